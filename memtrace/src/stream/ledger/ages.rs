//! When an origin's objects were allocated: counts by spans of time, the older the coarser.
//!
//! That is enough to tell how old the oldest is, costs a few nanoseconds an event, and leaves the objects themselves
//! without links or order. An event may come later than others that happened after it: it goes where its time belongs.

use super::entry::Tick;
use crate::stream::event::TimeNs;

/// Ticks that are not told apart even in the newest span: 16 ms.
pub const MOMENT: u64 = 160;

/// Spans are joined while they are shorter than this part of their age: 3 %.
pub const PRECISION: u64 = 32;

/// Spans are not joined before there are so many.
const FEW: usize = 32;

/// Objects that were allocated from one time to another, both included.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    from: Tick,
    /// How many ticks later the last one may be.
    more: u32,
    objects: u32,
}

impl Span {
    fn one(time: Tick) -> Self {
        Self { from: time, more: 0, objects: 1 }
    }

    fn to(&self) -> Tick {
        self.from + u64::from(self.more)
    }

    /// Adds an object of this time if the span is not too long then.
    fn add(&mut self, time: Tick) -> bool {
        let (from, to) = (self.from.min(time), self.to().max(time));
        let belongs = to - from < MOMENT || (from, to) == (self.from, self.to());
        if belongs {
            *self = Self { from, more: (to - from) as u32, objects: self.objects + 1 };
        }
        belongs
    }
}

/// Outstanding objects that were allocated in a span of time: when exactly, within it, is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocSpan {
    /// The first of them, or earlier.
    pub from: TimeNs,
    /// The last, or later.
    pub to: TimeNs,
    pub objects: u64,
}

/// Spans in order; they have no time in common.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    /// Kept apart, because most events belong to it. May have no objects.
    newest: Span,
    /// Each has objects.
    older: Vec<Span>,
    /// When to join some of them, by their number.
    most: usize,
}

impl Ages {
    /// When the oldest object was allocated, or earlier by less than [`MOMENT`] ticks or one [`PRECISION`]th of its age.
    pub fn oldest(&self) -> Option<Tick> {
        self.spans().map(|(from, _, _)| from).next()
    }

    /// Memory that it takes besides itself.
    pub fn bytes(&self) -> usize {
        self.older.capacity() * size_of::<Span>()
    }

    /// First and last moment of each span that has objects, and how many: the oldest first. A span is shorter than
    /// [`MOMENT`] or one [`PRECISION`]th of its age.
    pub fn spans(&self) -> impl Iterator<Item = (Tick, Tick, u32)> {
        let spans = self.older.iter().chain([&self.newest]);
        spans.filter(|span| span.objects > 0).map(|span| (span.from, span.to(), span.objects))
    }

    /// Reads where most removals look first.
    pub fn touch(&self) -> u64 {
        let at = |index: usize| self.older.get(index).map_or(0, |span| span.from);
        let len = self.older.len();
        self.newest.from ^ at(len / 2) ^ at(len.wrapping_sub(1))
    }

    pub fn add(&mut self, time: Tick) {
        if self.newest.objects == 0 && self.older.is_empty() {
            self.newest = Span::one(time);
        } else if time < self.newest.from {
            self.add_late(time);
        } else if !self.newest.add(time) {
            let before = std::mem::replace(&mut self.newest, Span::one(time));
            if before.objects > 0 {
                self.older.push(before);
                self.join();
            }
        }
    }

    /// Removes an object that was added with this time.
    pub fn remove(&mut self, time: Tick) {
        if time >= self.newest.from {
            self.newest.objects -= 1;
            return;
        }
        let at = self.older.partition_point(|span| span.from <= time);
        let Some(span) = self.older[..at].last_mut() else { return };
        span.objects -= 1;
        if span.objects == 0 {
            self.older.remove(at - 1);
        }
    }

    /// Adds an object that was allocated before the newest span.
    fn add_late(&mut self, time: Tick) {
        let at = self.older.partition_point(|span| span.from <= time);
        let (before, behind) = self.older.split_at_mut(at);
        let next = behind.first_mut().unwrap_or(&mut self.newest);
        if before.last_mut().is_some_and(|span| span.add(time)) || next.add(time) {
            return;
        }
        self.older.insert(at, Span::one(time));
        self.join();
    }

    /// Joins spans that are short for their age, where there are many.
    fn join(&mut self) {
        if self.older.len() < self.most.max(FEW) {
            return;
        }
        let newest = self.newest.to();
        self.older.dedup_by(|next, span| {
            let together = next.to() - span.from;
            let joins = together < (newest - next.to()) / PRECISION && together <= u64::from(u32::MAX);
            if joins {
                *span = Span { from: span.from, more: together as u32, objects: span.objects + next.objects };
            }
            joins
        });
        self.most = self.older.len() * 3 / 2;
        self.older.shrink_to(self.most.max(FEW));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Whether it is told as the oldest time when it is `truth`, at a time `newest`.
    fn is_right(told: Option<Tick>, truth: Option<Tick>, newest: Tick) -> bool {
        let (Some(told), Some(truth)) = (told, truth) else { return told == truth };
        told <= truth && (truth - told < MOMENT || (truth - told) * PRECISION < newest - truth)
    }

    proptest! {
        /// Objects come at whatever distances, some of them late, and go in whatever order.
        #[test]
        fn the_oldest_is_told_within_its_bounds(
            steps in vec((0..2_000_u64, 0..3_000_u64, any::<bool>(), any::<prop::sample::Index>()), 0..600),
            pace in 1..1_000_u64,
        ) {
            let (mut ages, mut times) = (Ages::default(), BTreeMap::<Tick, u32>::new());
            let (mut now, mut newest) = (10_000, 0);
            for (pause, late, is_freed, which) in steps {
                now += pause * pace;
                let time = now - late.saturating_sub(2_000);
                ages.add(time);
                *times.entry(time).or_default() += 1;
                newest = newest.max(time);
                if is_freed {
                    let time = *which.get(&times.keys().copied().collect::<Vec<_>>());
                    ages.remove(time);
                    let objects = times.get_mut(&time).unwrap();
                    *objects -= 1;
                    if *objects == 0 {
                        times.remove(&time);
                    }
                }
                let held: u32 = ages.spans().map(|(_, _, objects)| objects).sum();
                prop_assert_eq!(held, times.values().sum::<u32>());
                for (from, to, objects) in ages.spans() {
                    let within: u32 = times.range(from..=to).map(|(_, objects)| objects).sum();
                    prop_assert_eq!(objects, within, "{}..={}", from, to);
                    prop_assert!(to - from < MOMENT || (to - from) * PRECISION < newest - from, "{from}..={to}");
                }
                let truth = times.keys().next().copied();
                prop_assert!(is_right(ages.oldest(), truth, newest), "{:?}, not {truth:?}", ages.oldest());
            }
            for (time, objects) in times {
                prop_assert_eq!(ages.oldest().is_some_and(|oldest| oldest <= time), true);
                (0..objects).for_each(|_| ages.remove(time));
            }
            prop_assert_eq!(ages.oldest(), None);
        }
    }

    #[test]
    fn a_month_takes_some_kilobytes() {
        let mut ages = Ages::default();
        for second in 0..30 * 24 * 3600 {
            ages.add(second * 10_000);
        }
        assert_eq!(ages.oldest(), Some(0));
        let bytes = ages.older.capacity() * size_of::<Span>();
        assert!(bytes < 20_000, "{bytes}");
    }
}
