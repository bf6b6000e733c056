//! What was outstanding over time, by key: of the biggest keys each, of the others together, so that each moment adds up to all.

use std::time::{Duration, SystemTime};

use super::{key::Keys, sampling::Sampling, snapshot::Rest};
use crate::procfs::meminfo::SlabMemory;

#[derive(Clone, Debug, PartialEq)]
pub struct KeySeries {
    pub host: String,
    /// The kernel's release.
    pub kernel: String,
    pub by: Keys,
    /// Only objects at least this old are counted.
    pub older: Option<Duration>,
    pub moments: Vec<Moment>,
    /// The biggest at their peaks come first.
    pub lines: Vec<Line>,
    /// What all other keys held at each moment.
    pub others: Vec<Rest>,
    /// What is missing and why, a sentence each.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    pub time: SystemTime,
    /// Since the start.
    pub elapsed: Duration,
    pub sampling: Sampling,
    /// None where /proc/meminfo could not be read.
    pub meminfo: Option<SlabMemory>,
}

/// What one key held at each moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// A text for each of [`KeySeries::by`]. From outside: escape it.
    pub keys: Vec<Vec<u8>>,
    pub held: Vec<Held>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub objects: u64,
    pub bytes: u64,
}

impl KeySeries {
    /// All that was outstanding at a moment.
    pub fn total(&self, moment: usize) -> Held {
        let lines = self.lines.iter().map(|line| line.held[moment]);
        let Rest { objects, bytes, .. } = self.others[moment];
        lines.fold(Held { objects, bytes }, |sum, held| Held {
            objects: sum.objects.saturating_add(held.objects),
            bytes: sum.bytes.saturating_add(held.bytes),
        })
    }
}
