//! The least and the most that a figure was within a time.

use std::{collections::VecDeque, time::Duration};

/// A time has so many parts, of each of which the least and the most are known.
const PARTS: u64 = 120;

/// Exact but for the time, which may be shorter by one part.
#[derive(Clone, Debug)]
pub struct Past {
    /// Nanoseconds.
    part: u64,
    parts: VecDeque<Part>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    number: u64,
    least: u64,
    most: u64,
}

impl Past {
    pub fn of(within: Duration) -> Self {
        let nanoseconds = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        Self { part: (nanoseconds / PARTS).max(1), parts: VecDeque::new() }
    }

    /// Takes note of a value, and returns the least and the most of it and those before.
    pub fn add(&mut self, at: Duration, value: u64) -> (u64, u64) {
        let number = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX) / self.part;
        while self.parts.front().is_some_and(|first| first.number + PARTS <= number) {
            self.parts.pop_front();
        }
        match self.parts.back_mut().filter(|last| last.number == number) {
            Some(last) => (last.least, last.most) = (last.least.min(value), last.most.max(value)),
            None => self.parts.push_back(Part { number, least: value, most: value }),
        }
        let join = |(least, most): (u64, u64), part: &Part| (least.min(part.least), most.max(part.most));
        self.parts.iter().fold((value, value), join)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// It forgets nothing of all but the last part of the time, and remembers nothing from before.
        #[test]
        fn it_is_what_was_within_the_time(
            within in 1_000_u64..1_000_000,
            values in vec((0_u64..50_000, 0_u64..1_000), 1..200),
        ) {
            let mut past = Past::of(Duration::from_nanos(within));
            let mut at = 0;
            let mut all: Vec<(u64, u64)> = Vec::new();
            for (after, value) in values {
                at += after;
                all.push((at, value));
                let (least, most) = past.add(Duration::from_nanos(at), value);
                let since = |age: u64| all.iter().filter(move |(then, _)| at - then < age).map(|(_, value)| *value);
                let (sure, at_most) = (within - within / PARTS - PARTS, within);
                prop_assert!(least <= since(sure.max(1)).min().unwrap());
                prop_assert!(most >= since(sure.max(1)).max().unwrap());
                prop_assert!(least >= since(at_most).min().unwrap());
                prop_assert!(most <= since(at_most).max().unwrap());
                prop_assert!(past.parts.len() as u64 <= PARTS);
            }
        }
    }
}
