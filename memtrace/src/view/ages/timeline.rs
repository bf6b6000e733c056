//! The session in equal parts: each is made of the same number of reports, so that what was allocated in it is known.

use std::time::Duration;

use crate::stream::event::TimeNs;

/// A time on the clock of the events, or before its zero.
pub type SignedNs = i64;

/// Parts at most, an even number. With one more, two each become one.
const MAX: usize = 8;

/// Where the parts of a session end. Moments are on the clock of the events.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Of each part, the last its latest report.
    ends: Vec<(SignedNs, Duration)>,
    /// All but the last one's moments.
    boundaries: Vec<SignedNs>,
    /// Reports that make a part, and that the last has.
    each: usize,
    last: usize,
    reports: usize,
    start: SignedNs,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { ends: Vec::new(), boundaries: Vec::new(), each: 1, last: 0, reports: 0, start: 0 }
    }
}

impl Timeline {
    /// A report. Times must not go back. The final one may come just behind another: it makes no part of its own then.
    pub fn report(&mut self, now: TimeNs, elapsed: Duration, is_final: bool) {
        if self.ends.is_empty() {
            self.start = now as SignedNs - elapsed.as_nanos() as SignedNs;
        }
        let end = (now as SignedNs, elapsed);
        let is_extra =
            is_final && self.ends.last().is_some_and(|&(_, last)| self.is_just_behind(last, elapsed));
        if self.last < self.each && !self.ends.is_empty() || is_extra {
            self.ends.pop();
        } else {
            self.last = 0;
        }
        self.ends.push(end);
        self.last += usize::from(!is_extra);
        self.reports += usize::from(!is_extra);
        if self.ends.len() > MAX {
            // The last, of one report, stays as it is, for others to be added.
            self.ends = joined(&self.ends);
            self.each *= 2;
        }
        self.boundaries = self.ends.iter().map(|&(end, _)| end).collect();
        self.boundaries.pop();
    }

    /// By less than half of what usually is between two reports.
    fn is_just_behind(&self, last: Duration, elapsed: Duration) -> bool {
        let usual = last / u32::try_from(self.reports.max(1)).unwrap_or(u32::MAX);
        elapsed.saturating_sub(last) < usual / 2
    }

    /// When the session began.
    pub(in crate::view) fn start(&self) -> SignedNs {
        self.start
    }

    pub fn elapsed(&self) -> Duration {
        self.ends.last().map_or(Duration::ZERO, |&(_, elapsed)| elapsed)
    }

    pub(super) fn boundaries(&self) -> &[SignedNs] {
        &self.boundaries
    }

    /// From when to when each part lasts, since the start.
    pub(super) fn spans(&self) -> impl Iterator<Item = (Duration, Duration)> {
        let ends = self.ends.iter().map(|&(_, elapsed)| elapsed);
        [Duration::ZERO].into_iter().chain(ends.clone()).zip(ends)
    }
}

/// How many objects somebody had allocated until the end of each part.
#[derive(Clone, Debug, Default)]
pub struct AllocsUntil {
    until: Vec<u64>,
    /// [`Timeline::each`] at that time.
    each: usize,
}

impl AllocsUntil {
    /// At each report, after the timeline. Who comes later had allocated nothing before.
    pub fn report(&mut self, timeline: &Timeline, allocs: u64) {
        if self.each < timeline.each {
            self.until = joined(&self.until);
            self.each = timeline.each;
        }
        let before = self.until.last().copied().unwrap_or(0);
        self.until.resize(timeline.ends.len(), before);
        if let Some(last) = self.until.last_mut() {
            *last = allocs;
        }
    }

    /// How many in each part.
    pub(super) fn in_each(&self) -> impl Iterator<Item = u64> {
        let before = [0].into_iter().chain(self.until.iter().copied());
        before.zip(&self.until).map(|(before, until)| until.saturating_sub(before))
    }
}

/// Of each two, the second; of the last one alone, itself.
fn joined<T: Copy>(ends: &[T]) -> Vec<T> {
    ends.chunks(2).filter_map(|pair| pair.last().copied()).collect()
}
