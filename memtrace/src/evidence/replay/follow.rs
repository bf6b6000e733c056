//! A recording that grows, report by report, as its session shows them.

use super::{Query, Replay, Step, window::WindowError};
use crate::{
    evidence::recording::{Place, Reader, TooMuch},
    text::human,
    view::Snapshot,
};

pub struct Follower {
    reader: Reader,
    replay: Replay,
    /// The sequence of the block that comes next.
    next: u64,
    /// Blocks that a ring had overwritten before they were read.
    missed: u64,
}

impl Follower {
    /// From where the query says; nothing is read yet.
    pub fn start(reader: Reader, ask: &Query, progress: &mut dyn FnMut(Step)) -> Result<Self, WindowError> {
        let window = super::window(&reader, &ask.filter, ask.from.as_ref(), None, progress)?;
        let replay = Replay::start(&reader, ask, window)?;
        let next = reader.places()[window.first].sequence;
        Ok(Self { reader, replay, next, missed: 0 })
    }

    /// The same recording, as it is by now. False where it is another one.
    pub fn read_on(&mut self, reader: Reader) -> bool {
        let is_same = reader.header == self.reader.header;
        if is_same {
            self.replay.state.raise_limits(reader.limits);
            self.reader = reader;
        }
        is_same
    }

    /// Reads what is new. Of the reports in it, the last one.
    pub fn latest(&mut self, progress: &mut dyn FnMut(Step)) -> Result<Option<Snapshot>, TooMuch> {
        self.reader.start_anew();
        let is_new = |place: &&Place| place.sequence >= self.next;
        let places: Vec<Place> = self.reader.places().iter().filter(is_new).copied().collect();
        let mut latest = None;
        for (done, place) in places.iter().enumerate() {
            progress(Step { doing: "reading", done, all: places.len() });
            // Its recorder may be in the middle of it.
            if done + 1 == places.len() && self.reader.plain(place).is_err() {
                break;
            }
            let report = self.replay.read(&self.reader, place, false)?;
            latest = report.map(|(_, snapshot)| snapshot.clone()).or(latest);
            self.missed += place.sequence - self.next;
            self.next = place.sequence + 1;
        }
        if let Some(latest) = &mut latest {
            latest.notes.extend(self.note());
        }
        Ok(latest)
    }

    fn note(&self) -> Option<String> {
        let blocks = (self.missed > 0).then(|| human::number(self.missed, "block"))?;
        Some(format!("events of {blocks} are missing: the ring had overwritten them before they were read"))
    }
}
