//! Which part of a recording is looked at: from one moment to another.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::{
    evidence::recording::{Header, Place, TooMuch, footer::BlockFooter},
    stream::event::{Address, TimeNs},
    text::{escape, time::rfc3339_seconds},
    view::{Checkpoint, Trust, checkpoint::Losses, reconcile::Growth},
};

/// Marks that an error lists.
const MAX_LISTED: usize = 20;

/// A time in a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after its start.
    After(Duration),
    /// So long before its end.
    BeforeEnd(Duration),
    /// By the wall clock.
    At(SystemTime),
    /// When most bytes were outstanding.
    Peak,
    /// At the mark of this name.
    Mark(String),
}

/// The blocks of a window, by their numbers in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub first: usize,
    /// One more than the last.
    pub end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("that time is outside the recording, which covers {from} to {to}", from = rfc3339_seconds(*.from), to = rfc3339_seconds(*.to))]
    Outside { from: SystemTime, to: SystemTime },
    #[error("the window is empty: its end is not after its start")]
    Empty,
    #[error("no mark named '{}'; {}", escape::terminal(.0.as_bytes()), known_marks(.1))]
    NoMark(String, Vec<String>),
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

fn known_marks(marks: &[String]) -> String {
    let more = marks.len().saturating_sub(MAX_LISTED);
    match (&marks[..marks.len() - more], more) {
        ([], _) => "the recording has no marks".to_owned(),
        (marks, 0) => format!("the recording has: {}", marks.join(", ")),
        (marks, more) => format!("the recording has: {} and {more} more", marks.join(", ")),
    }
}

/// A recording's times.
pub struct Times<'a> {
    pub header: &'a Header,
    pub places: &'a [Place],
    /// Those that were found, with what they are called.
    pub marks: &'a [(TimeNs, String)],
    /// The block at whose end most was outstanding.
    pub peak: usize,
}

impl Times<'_> {
    /// The blocks between two times; each counts as a whole, by its end.
    pub fn window(&self, from: Option<&When>, to: Option<&When>) -> Result<Window, WindowError> {
        let first = from.map(|when| self.position(when)).transpose()?.unwrap_or(0);
        let end = to.map(|when| self.position(when)).transpose()?.unwrap_or(self.places.len());
        if first < end { Ok(Window { first, end }) } else { Err(WindowError::Empty) }
    }

    /// How many blocks end at this time or before; at least one, since the recording begins with its first.
    fn position(&self, when: &When) -> Result<usize, WindowError> {
        let (start, end) = (self.start(), self.end());
        let time = match when {
            When::After(time) => start.saturating_add(nanoseconds(*time)),
            When::BeforeEnd(time) => end.saturating_sub(nanoseconds(*time)),
            When::At(time) => self.monotonic(*time).unwrap_or(0),
            When::Peak => return Ok(self.peak + 1),
            When::Mark(name) => self.mark(name)?,
        };
        if time < start || time > end {
            return Err(WindowError::Outside { from: self.wall(start), to: self.wall(end) });
        }
        Ok(self.places.partition_point(|place| place.end <= time))
    }

    fn start(&self) -> TimeNs {
        self.places.first().map_or(0, |place| place.start)
    }

    fn end(&self) -> TimeNs {
        self.places.last().map_or(0, |place| place.end)
    }

    fn mark(&self, name: &str) -> Result<TimeNs, WindowError> {
        let found = self.marks.iter().find(|(_, known)| known == name);
        let names = || self.marks.iter().map(|(_, name)| name.clone()).collect();
        found.map(|(time, _)| *time).ok_or_else(|| WindowError::NoMark(name.to_owned(), names()))
    }

    fn wall(&self, time: TimeNs) -> SystemTime {
        wall(self.header, time)
    }

    /// None before the recording's boot.
    fn monotonic(&self, time: SystemTime) -> Option<TimeNs> {
        match time.duration_since(self.header.started) {
            Ok(after) => self.header.started_ns.checked_add(nanoseconds(after)),
            Err(before) => self.header.started_ns.checked_sub(nanoseconds(before.duration())),
        }
    }
}

/// As many as fit.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A time of the events by the wall clock, as it was at the start.
pub fn wall(header: &Header, time: TimeNs) -> SystemTime {
    let since = |time: TimeNs, from: TimeNs| Duration::from_nanos(time.saturating_sub(from));
    let later = header.started.checked_add(since(time, header.started_ns));
    let wall = later.and_then(|later| later.checked_sub(since(header.started_ns, time)));
    // No host was up in 1970, but files say what they like.
    wall.unwrap_or(header.started).max(SystemTime::UNIX_EPOCH)
}

/// A moment, as a session would have had it that began at the end of another block. What the ledger counted itself is its own
/// to say.
pub fn since(base: &BlockFooter, checkpoint: &Checkpoint) -> Checkpoint {
    let Checkpoint { elapsed, losses, growth, trust, .. } = checkpoint;
    Checkpoint {
        elapsed: elapsed.saturating_sub(base.checkpoint.elapsed),
        losses: losses_since(&base.checkpoint.losses, losses),
        growth: growth_since(&base.checkpoint.growth, growth),
        trust: trust_since(&base.checkpoint.trust, trust),
        ..checkpoint.clone()
    }
}

fn losses_since(
    before: &HashMap<Address, Losses>,
    now: &HashMap<Address, Losses>,
) -> HashMap<Address, Losses> {
    let difference = |(&cache, losses): (&Address, &Losses)| {
        let before = before.get(&cache).copied().unwrap_or_default();
        let allocs = losses.allocs.saturating_sub(before.allocs);
        (cache, Losses { allocs, frees: losses.frees.saturating_sub(before.frees) })
    };
    now.iter().map(difference).filter(|(_, losses)| *losses != Losses::default()).collect()
}

/// What was not compared at the beginning has nothing to be compared with.
fn growth_since(before: &HashMap<String, Growth>, now: &HashMap<String, Growth>) -> HashMap<String, Growth> {
    let difference = |(name, growth): (&String, &Growth)| {
        let before = before.get(name)?;
        let since = Growth {
            slabinfo: growth.slabinfo.saturating_sub(before.slabinfo),
            traced: growth.traced.saturating_sub(before.traced),
            slack: growth.slack.max(before.slack),
            outstanding: growth.outstanding.saturating_sub(before.outstanding),
            reused: growth.reused.saturating_sub(before.reused),
        };
        Some((name.clone(), since))
    };
    now.iter().filter_map(difference).collect()
}

fn trust_since(before: &Trust, now: &Trust) -> Trust {
    let since = |of: fn(&Trust) -> u64| of(now).saturating_sub(of(before));
    Trust {
        emitted: since(|trust| trust.emitted),
        lost_allocs: since(|trust| trust.lost_allocs),
        lost_frees: since(|trust| trust.lost_frees),
        lost_names: since(|trust| trust.lost_names),
        recursion_misses: since(|trust| trust.recursion_misses),
        unresolved: since(|trust| trust.unresolved),
        ..*now
    }
}
