//! Does what somebody allocated stay, and does it become more? Judged by when the objects that are outstanding were born: of a
//! leak, each part of the time left survivors; of churn, only the last moments did; of a burst or a warm-up, the first ones.

use std::{ops::Range, time::Duration};

use super::{
    ages::{SignedNs, split},
    points::Points,
    trend::{MIN_OBJECTS, Slope, student},
};
use crate::stream::ledger::AllocSpan;

/// Equal parts of the time: thirds and quarters are made of them.
const PARTS: usize = 12;
const THIRD: usize = PARTS / 3;
const QUARTER: usize = PARTS / 4;

/// The youngest objects, of this share of the time, tell nothing yet.
const IN_FLIGHT: u32 = 8;
const MIN_IN_FLIGHT: Duration = Duration::from_millis(500);

/// Less time tells nothing, nor does a smaller share of the session: a phase is no leak.
const MIN_TIME: Duration = Duration::from_secs(3);
const MIN_SHARE_OF_SESSION: u32 = 5;

/// A quarter of the time with more than this share of the survivors is a burst.
const BURST: f64 = 0.6;

/// The last third grows at least this fast, compared to those before it: slower is a warm-up that flattens.
const MIN_LATE: f64 = 0.5;
/// Likewise the second, compared to the first.
const MIN_MIDDLE: f64 = 0.4;
/// A third has at least this share of the next one's: what is all young is not kept.
const MIN_EARLY: f64 = 0.25;
/// What is left of the first third's allocations, compared to the second's. Less is working memory that lives long.
const MIN_OLD_KEPT: f64 = 0.7;

/// So many parts without survivors, but for this share of all: it has ended.
const QUIET: usize = 2;
const FEW: f64 = 0.02;

/// Where one object in some is followed, so many of those are enough: their interval says how much that tells.
const MIN_FOLLOWED: u64 = 50;

/// Fewer objects are not worth a word.
pub const FEW_OBJECTS: u64 = 20;

/// How many objects somebody had allocated: none at the last report before the first one, then at each report.
pub type Allocs = Points<16>;

/// What survives of what somebody allocated in one cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Survival {
    /// Outstanding objects by when they were born: from the first allocation on.
    parts: [u64; PARTS],
    /// When they begin, and how long they are together.
    began: Duration,
    time: Duration,
    /// Outstanding objects that are younger.
    in_flight: u64,
    /// Allocated in each third of the time.
    allocs: [f64; 3],
    /// Allocated since the start of the session.
    all_allocs: u64,
}

/// How it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Course {
    /// It grows steadily, by objects that stay.
    Steady(Slope),
    /// It seems to, and these are too few objects to tell.
    TooFew(Slope),
    No,
}

/// The session's time, on the clock of the events and since its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub start: SignedNs,
    pub elapsed: Duration,
}

impl Survival {
    /// Of outstanding objects, and of how many had been allocated at each report and now. None where it is too early to tell.
    pub fn new(spans: &[AllocSpan], allocs: &Allocs, all_allocs: u64, clock: Clock) -> Option<Self> {
        let began = began(spans, allocs, clock)?;
        let since = clock.elapsed.saturating_sub(began);
        let time = since.saturating_sub((since / IN_FLIGHT).max(MIN_IN_FLIGHT));
        if time < MIN_TIME || time < clock.elapsed / MIN_SHARE_OF_SESSION {
            return None;
        }
        let end_of = |part: usize| began + time * (part as u32 + 1) / PARTS as u32;
        let ends: [SignedNs; PARTS] = std::array::from_fn(|part| clock.start + signed(end_of(part)));
        let mut born = [0; PARTS + 1];
        spans.iter().for_each(|&span| split(span, &ends, |at, objects| born[at] += objects));
        let now = (clock.elapsed, all_allocs);
        let until = |parts: usize| allocated_until(allocs, now, end_of(parts - 1));
        let [first, second, third] = [THIRD, 2 * THIRD, PARTS].map(until);
        Some(Self {
            parts: std::array::from_fn(|part| born[part]),
            began,
            time,
            in_flight: born[PARTS],
            allocs: [first, second - first, third - second],
            all_allocs,
        })
    }

    /// How long it has been watched.
    pub fn time(&self) -> Duration {
        self.time
    }

    pub fn objects(&self) -> u64 {
        self.grown() + self.in_flight
    }

    /// Allocated since the start of the session, freed or not.
    pub fn allocs(&self) -> u64 {
        self.all_allocs
    }

    /// Share of what was allocated that is outstanding, 0 to 1.
    pub fn kept(&self) -> f64 {
        (self.objects() as f64 / self.all_allocs.max(1) as f64).min(1.0)
    }

    /// Of a sample, where one object in `period` is followed, counts vary more.
    pub fn course(&self, period: u32) -> Course {
        if self.grown() < FEW_OBJECTS * u64::from(period) || !self.is_steady(period) {
            return Course::No;
        }
        let slope = self.slope(period);
        if self.grown() < least_objects(period) { Course::TooFew(slope) } else { Course::Steady(slope) }
    }

    /// Until when it grew, where it did so for a while and then no more. None of what came all at once.
    pub fn ended(&self, period: u32) -> Option<Duration> {
        let few = self.grown() as f64 * FEW;
        let is_some = |&born: &u64| born as f64 > few;
        let first = self.parts.iter().position(is_some)?;
        let last = self.parts.iter().rposition(is_some)?;
        let (active, after) = (&self.parts[first..=last], &self.parts[last + 1..]);
        let mean = sum(active) / active.len() as f64;
        let is_even = active.iter().all(|&born| upper(born as f64, period) >= MIN_EARLY * mean);
        let is_over = after.len() >= QUIET && sum(after) + self.in_flight as f64 <= few;
        let is_enough = self.grown() >= least_objects(period);
        let until = self.began + self.time * (last as u32 + 1) / PARTS as u32;
        (is_enough && active.len() > 1 && is_even && is_over).then_some(until)
    }

    fn grown(&self) -> u64 {
        self.parts.iter().sum()
    }

    /// All the time, or all but for a burst: who opens a thousand files and then leaks still leaks.
    fn is_steady(&self, period: u32) -> bool {
        match self.burst() {
            None => stays_and_grows(self.thirds(), self.allocs, period),
            Some(burst) => {
                let mut others = self.parts.to_vec();
                others.drain(burst);
                let thirds: [f64; 3] = std::array::from_fn(|at| sum(&others[at * 3..][..3]));
                // How much was allocated in these parts alone is not known.
                thirds.iter().sum::<f64>() >= least_objects(period) as f64
                    && stays_and_grows(thirds, [1.0; 3], period)
            }
        }
    }

    /// A quarter of the time with most of the survivors.
    fn burst(&self) -> Option<Range<usize>> {
        let quarters = self.parts.windows(QUARTER).map(sum).zip(0..);
        let (most, first) = quarters.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (most > self.grown() as f64 * BURST).then_some(first..first + QUARTER)
    }

    fn thirds(&self) -> [f64; 3] {
        std::array::from_fn(|at| sum(&self.parts[at * THIRD..][..THIRD]))
    }

    /// The mean of the parts' rates, without a burst, with Student's interval. What is followed varies by its root at least.
    fn slope(&self, period: u32) -> Slope {
        let part = self.time.as_secs_f64() / PARTS as f64;
        let mut parts = self.parts.to_vec();
        self.burst().map(|burst| parts.drain(burst));
        let (count, grown) = (parts.len() as f64, sum(&parts));
        let per_s = grown / count / part;
        let squares: f64 = parts.iter().map(|&born| (born as f64 / part - per_s).powi(2)).sum();
        let variance = (squares / (count - 1.0)).max(grown * f64::from(period) / count / part.powi(2));
        let error = (variance / count).sqrt() * student(parts.len() - 1);
        Slope { per_s, low: per_s - error, high: per_s + error }
    }
}

/// Whether survivors were born in each third of the time, and no fewer of what was allocated in the first: old objects are not
/// freed in the end.
fn stays_and_grows([first, second, third]: [f64; 3], allocs: [f64; 3], period: u32) -> bool {
    let upper = |count| upper(count, period);
    let [old_kept, kept] = [first / allocs[0].max(1.0), second / allocs[1].max(1.0)];
    upper(third) >= MIN_LATE * (first + second) / 2.0
        && upper(second) >= MIN_MIDDLE * first
        && upper(first) >= MIN_EARLY * second
        && upper(second) >= MIN_EARLY * third
        && upper(first) / first.max(1.0) * old_kept >= MIN_OLD_KEPT * kept
}

fn sum(parts: &[u64]) -> f64 {
    parts.iter().sum::<u64>() as f64
}

/// A count may have been this high by chance: of those that were followed.
fn upper(count: f64, period: u32) -> f64 {
    count + 2.0 * (count * f64::from(period)).sqrt()
}

/// Fewer do not tell whether they become more.
fn least_objects(period: u32) -> u64 {
    MIN_OBJECTS.max(MIN_FOLLOWED * u64::from(period))
}

/// The first allocation since the start: between two reports, where the oldest survivor says when.
fn began(spans: &[AllocSpan], allocs: &Allocs, clock: Clock) -> Option<Duration> {
    let oldest = spans.iter().map(|span| span.from as SignedNs).min()?;
    let oldest = Duration::from_nanos(u64::try_from(oldest - clock.start).unwrap_or(0));
    let (before, _) = *allocs.all().first()?;
    let (seen, _) = allocs.all().get(1).copied().unwrap_or((clock.elapsed, 0));
    Some(oldest.clamp(before, seen.max(before)))
}

/// How much had been allocated by then, as if it were evenly between two reports.
fn allocated_until(allocs: &Allocs, now: (Duration, u64), then: Duration) -> f64 {
    let points = allocs.all();
    let next = points.partition_point(|&(time, _)| time <= then);
    let (before, had) = next.checked_sub(1).map_or((Duration::ZERO, 0), |at| points[at]);
    let (after, has) = points.get(next).copied().unwrap_or(now);
    let whole = after.saturating_sub(before).as_secs_f64();
    let share = if whole > 0.0 { then.saturating_sub(before).as_secs_f64() / whole } else { 1.0 };
    had as f64 + has.saturating_sub(had) as f64 * share.min(1.0)
}

fn signed(time: Duration) -> SignedNs {
    SignedNs::try_from(time.as_nanos()).unwrap_or(SignedNs::MAX)
}

/// Of somebody who keeps so many objects a second, all the time.
#[cfg(test)]
pub(crate) fn steady(per_s: u64, seconds: u64) -> Survival {
    until(per_s, seconds, seconds)
}

/// Likewise until then.
#[cfg(test)]
pub(crate) fn until(per_s: u64, until: u64, seconds: u64) -> Survival {
    let span = AllocSpan { from: 0, to: until * 1_000_000_000, objects: per_s * until };
    let mut allocs = Allocs::default();
    (0..=seconds).for_each(|second| allocs.add(Duration::from_secs(second), second.min(until) * per_s));
    let clock = Clock { start: 0, elapsed: Duration::from_secs(seconds) };
    Survival::new(&[span], &allocs, per_s * until, clock).expect("it is long enough")
}

#[cfg(test)]
mod tests;
