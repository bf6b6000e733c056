//! A recording moment by moment, forth and back.
//!
//! A moment is the end of a block, and its snapshot is that of a report up to there. Forth, the next block is applied. Back,
//! reading begins at the nearest checkpoint before: a copy of all that was known there. There are as many as fit into
//! [`MAX_BYTES`].

use super::{
    Query, Replay, end,
    window::{Window, WindowError},
};
use crate::{
    evidence::{
        Step,
        recording::{Place, Reader, TooMuch, footer::BlockFooter},
    },
    stream::event::TimeNs,
    view::{Checkpoint, Snapshot, series::Series},
};

/// A checkpoint each so many entries, at first: some hundredths of a second of reading.
const ENTRIES_APART: u64 = 500_000;
/// What all checkpoints may take. Beyond, every second one goes.
const MAX_BYTES: usize = 512 << 20;

pub struct Player {
    reader: Reader,
    query: Query,
    window: Window,
    at: Option<Reached>,
    checkpoints: Checkpoints,
    /// Bytes outstanding at each block's end, as far as it was read.
    outstanding: Vec<u64>,
}

/// A block is applied, but what follows its end is not done yet: it may be the last one that is shown.
#[derive(Clone)]
struct Reached {
    replay: Replay,
    block: usize,
    /// None where the block is damaged.
    footer: Option<BlockFooter>,
}

impl Player {
    pub fn new(reader: Reader, query: Query) -> Result<Self, WindowError> {
        let window = super::window(&reader, &query.filter, query.from.as_ref(), None, &mut |_| {})?;
        Ok(Self {
            reader,
            query,
            window,
            at: None,
            checkpoints: Checkpoints::new(ENTRIES_APART, MAX_BYTES),
            outstanding: Vec::new(),
        })
    }

    /// How many entries lie between two checkpoints at first, and what all may take.
    #[cfg(test)]
    pub(super) fn keep_checkpoints(&mut self, apart: u64, most: usize) {
        self.checkpoints = Checkpoints::new(apart, most);
    }

    /// The blocks whose ends are moments.
    pub fn places(&self) -> &[Place] {
        &self.reader.places()[self.window.first..self.window.end]
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Looks at it in another way from now on: all is read again.
    pub fn ask(&mut self, query: Query) {
        self.query = query;
        self.at = None;
        self.checkpoints.clear();
        self.outstanding.clear();
    }

    /// The same recording, which may have grown meanwhile.
    pub fn read_on(&mut self, reader: Reader) {
        let first = self.reader.places()[self.window.first].sequence;
        // A ring may have overwritten what was its beginning.
        if reader.places().get(self.window.first).is_some_and(|place| place.sequence == first) {
            self.window.end = reader.places().len();
            self.reader = reader;
        }
    }

    /// The state at the end of a block.
    pub fn show(&mut self, block: usize, progress: &mut dyn FnMut(Step)) -> Result<Snapshot, TooMuch> {
        self.reader.start_anew();
        let block = block.min(self.places().len().saturating_sub(1));
        let from = self.at.take().filter(|at| at.block <= block);
        let checkpoint = self.checkpoints.before(block, from.as_ref().map(|at| at.block));
        let mut at = match checkpoint.or(from) {
            Some(at) => at,
            None => self.first()?,
        };
        at.replay.state.raise_limits(self.reader.limits);
        let (first, all) = (at.block, block - at.block);
        while at.block < block {
            progress(Step { doing: "reading", done: at.block - first, all });
            at = self.next(at)?;
        }
        let snapshot = at.snapshot(&self.reader, self.window);
        at.replay.state.check()?;
        self.at = Some(at);
        Ok(snapshot)
    }

    fn first(&mut self) -> Result<Reached, TooMuch> {
        let replay = Replay::start(&self.reader, &self.query, self.window)?;
        self.apply(replay, 0)
    }

    fn next(&mut self, mut at: Reached) -> Result<Reached, TooMuch> {
        if let Some(footer) = &at.footer {
            at.replay.close(footer, false);
            at.replay.state.check()?;
        }
        self.apply(at.replay, at.block + 1)
    }

    fn apply(&mut self, mut replay: Replay, block: usize) -> Result<Reached, TooMuch> {
        let place = self.places()[block];
        let footer = replay.apply(&self.reader, &place)?;
        if block >= self.outstanding.len() {
            self.outstanding.push(replay.state.outstanding().bytes);
        }
        let reached = Reached { replay, block, footer };
        self.checkpoints.keep(&reached, place.entries);
        Ok(reached)
    }

    /// Bytes outstanding at the end of each block, up to the last one that was read.
    pub fn outstanding(&self) -> &[u64] {
        &self.outstanding
    }

    /// How caches and rows moved up to the moment that was shown last.
    pub fn series(&self) -> Series {
        let at = self.at.as_ref();
        let series = at.map(|at| at.replay.series.clone()).unwrap_or_default();
        series.finish(self.marks().to_vec(), self.places()[0].start)
    }

    /// Marks up to the moment that was shown last.
    pub fn marks(&self) -> &[(TimeNs, Vec<u8>)] {
        self.at.as_ref().map_or(&[], |at| &at.replay.state.marks)
    }
}

impl Reached {
    /// As if its block were the last one.
    fn snapshot(&mut self, reader: &Reader, window: Window) -> Snapshot {
        let replay = &mut self.replay;
        let checkpoint = match (&self.footer, &replay.last) {
            (Some(footer), _) => replay.moment(footer, true),
            (None, Some((checkpoint, _))) => {
                let mut checkpoint = checkpoint.clone();
                end(&mut checkpoint);
                checkpoint
            }
            (None, None) => Checkpoint { is_final: true, ..Checkpoint::default() },
        };
        // It remembers reports, and this may be none of the session's.
        let mut builder = replay.builder.clone();
        let mut snapshot = replay.state.snapshot(&mut builder, &checkpoint);
        let shown = Window { end: window.first + self.block + 1, ..window };
        snapshot.notes.extend(replay.notes(reader, shown));
        snapshot
    }
}

/// Copies of what was known at some moments, in order.
struct Checkpoints {
    kept: Vec<Kept>,
    most: usize,
    apart: u64,
    /// Entries read since the last one.
    since: u64,
}

struct Kept {
    reached: Reached,
    bytes: usize,
}

impl Checkpoints {
    fn new(apart: u64, most: usize) -> Self {
        Self { kept: Vec::new(), most, apart, since: 0 }
    }

    fn clear(&mut self) {
        *self = Self::new(ENTRIES_APART, self.most);
    }

    /// The last one up to a block, if it is nearer than this.
    fn before(&mut self, block: usize, other: Option<usize>) -> Option<Reached> {
        let at = self.kept.partition_point(|kept| kept.reached.block <= block).checked_sub(1)?;
        let nearest = &self.kept[at].reached;
        other.is_none_or(|other| nearest.block > other).then(|| nearest.clone())
    }

    /// After a block of so many entries was read: a copy of it, if the last one is far enough.
    fn keep(&mut self, reached: &Reached, entries: u64) {
        if self.kept.last().is_some_and(|last| last.reached.block >= reached.block) {
            return;
        }
        self.since += entries;
        if self.since < self.apart {
            return;
        }
        self.since = 0;
        self.kept.push(Kept { reached: reached.clone(), bytes: reached.replay.state.bytes() });
        while self.kept.iter().map(|kept| kept.bytes).sum::<usize>() > self.most {
            self.halve();
        }
    }

    /// Every second one goes, and of a single one that one.
    fn halve(&mut self) {
        let mut index = 0;
        self.kept.retain(|_| {
            index += 1;
            index % 2 == 0
        });
        self.apart = self.apart.saturating_mul(2);
    }
}
