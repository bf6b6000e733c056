//! How old outstanding objects are, and what survives of each part of the session.
//!
//! Made of the spans of time in which the ledger counts each origin's objects, never of the objects. A span is
//! shorter than 16 ms or 1/32 of its age; where it lies across a boundary, its objects are taken to be spread evenly over it. So
//! sums are exact, and a boundary is off by that much at most.

mod timeline;

use std::time::Duration;

pub use self::timeline::{AllocsUntil, SignedNs, Timeline};
use crate::stream::{
    event::TimeNs,
    ledger::{AllocSpan, Ledger, Origin},
};

/// Outstanding objects of an age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgeBucket {
    /// Inclusive.
    pub at_least: Duration,
    /// Exclusive. None: no end.
    pub less_than: Option<Duration>,
    pub objects: u64,
    pub bytes: u64,
}

/// A part of the session: what was allocated in it, and what is left of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// Since the start of the session.
    pub from: Duration,
    pub to: Duration,
    pub allocs: u64,
    /// Those that are outstanding.
    pub survivors: u64,
}

impl Cohort {
    /// Share of what was allocated that is outstanding, 0 to 1. None where nothing was.
    pub fn kept(&self) -> Option<f64> {
        (self.allocs > 0).then(|| self.survivors as f64 / self.allocs as f64)
    }
}

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Where buckets of age end, in seconds; the last one has no end.
const ENDS: [u64; 15] = [
    SECOND,
    3 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    3 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    10 * HOUR,
    DAY,
    3 * DAY,
    10 * DAY,
    30 * DAY,
];

/// Outstanding objects and bytes by age and by cohort, in the making.
pub struct Survivors<'a> {
    timeline: &'a Timeline,
    /// Those allocated until then are that old: of [`ENDS`], the last first.
    aged: [SignedNs; ENDS.len()],
    /// The oldest first.
    ages: [(u64, u64); ENDS.len() + 1],
    cohorts: Vec<u64>,
}

impl<'a> Survivors<'a> {
    /// Of nobody yet, as of `now` on the clock of the events.
    pub fn new(timeline: &'a Timeline, now: TimeNs) -> Self {
        let mut aged = ENDS.map(|end| now as SignedNs - (end * 1_000_000_000) as SignedNs);
        aged.reverse();
        Self { timeline, aged, ages: Default::default(), cohorts: vec![0; timeline.boundaries().len() + 1] }
    }

    /// Adds an origin's outstanding objects, each of so many bytes.
    pub fn add(&mut self, ledger: &Ledger, origin: &Origin, object_size: u64) {
        for span in ledger.allocated(origin) {
            split(span, &self.aged, |at, objects| {
                let (of_age, bytes) = &mut self.ages[at];
                *of_age += objects;
                *bytes += objects * object_size;
            });
            split(span, self.timeline.boundaries(), |at, objects| self.cohorts[at] += objects);
        }
    }

    /// Buckets of age, the youngest first: as far as the session is old, or the oldest object.
    pub fn ages(&self) -> Vec<AgeBucket> {
        let bucket = |(at, &(objects, bytes)): (usize, &(u64, u64))| AgeBucket {
            at_least: Duration::from_secs(at.checked_sub(1).map_or(0, |before| ENDS[before])),
            less_than: ENDS.get(at).copied().map(Duration::from_secs),
            objects,
            bytes,
        };
        let elapsed = self.timeline.elapsed();
        let mut buckets: Vec<AgeBucket> = self.ages.iter().rev().enumerate().map(bucket).collect();
        let is_told = |bucket: &AgeBucket| bucket.objects > 0 || bucket.at_least < elapsed;
        buckets.truncate(buckets.iter().rposition(is_told).map_or(0, |last| last + 1));
        buckets
    }

    /// What survives of each part of the session, the first one first.
    pub fn cohorts(&self, allocs: &AllocsUntil) -> Vec<Cohort> {
        let allocs: Vec<u64> = allocs.in_each().collect();
        let spans = self.timeline.spans().zip(&allocs).zip(bounded(&self.cohorts, &allocs));
        spans.map(|(((from, to), &allocs), survivors)| Cohort { from, to, allocs, survivors }).collect()
    }
}

/// A boundary between parts is not exact: what seems to survive in one beyond what was allocated in it survived in those beside it.
fn bounded(survivors: &[u64], allocs: &[u64]) -> Vec<u64> {
    let mut bounded = survivors.to_vec();
    bounded.resize(allocs.len(), 0);
    let mut excess = 0;
    let mut pour = |(survivors, &allocs): (&mut u64, &u64)| {
        let all = *survivors + excess;
        *survivors = all.min(allocs);
        excess = all - *survivors;
    };
    bounded.iter_mut().zip(allocs).for_each(&mut pour);
    bounded.iter_mut().zip(allocs).rev().for_each(&mut pour);
    bounded
}

/// Tells how many of the span's objects are in which part of time, where each moment is the end of one.
pub(super) fn split(span: AllocSpan, ends: &[SignedNs], mut tell: impl FnMut(usize, u64)) {
    let (from, to) = (span.from as SignedNs, span.to as SignedNs);
    let mut told = 0;
    for at in ends.partition_point(|&end| end < from)..=ends.len() {
        let until = match ends.get(at) {
            Some(&end) if end < to => share(span.objects, end - from, to - from),
            _ => span.objects,
        };
        if until > told {
            tell(at, until - told);
        }
        if until == span.objects {
            return;
        }
        told = until;
    }
}

/// So many of the objects, rounded.
fn share(objects: u64, part: SignedNs, whole: SignedNs) -> u64 {
    ((i128::from(objects) * i128::from(part) + i128::from(whole / 2)) / i128::from(whole)) as u64
}

#[cfg(test)]
mod tests;
