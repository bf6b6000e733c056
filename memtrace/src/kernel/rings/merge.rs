//! Merges what rings hold by time. Pure: knows nothing of rings.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use crate::stream::event::TimeNs;

/// Events in the order of their times. Of equal times, that of the first source comes first.
pub trait Source {
    type Error;

    /// When its next event was; None where it has no more. Times do not go back.
    fn next_time(&mut self) -> Result<Option<TimeNs>, Self::Error>;
}

/// Which source comes next: times of the next events, with the numbers of their sources. Kept for its memory.
#[derive(Default)]
pub struct Merge {
    next: BinaryHeap<Reverse<(TimeNs, usize)>>,
}

impl Merge {
    /// Takes one event after the other, each from the source that has the earliest, until all that are left are at `until` or later, or
    /// `most` were taken. Returns how many were.
    pub fn run<S: Source>(
        &mut self,
        sources: &mut [S],
        until: TimeNs,
        most: usize,
        mut take: impl FnMut(&mut S),
    ) -> Result<usize, S::Error> {
        self.next.clear();
        for (number, source) in sources.iter_mut().enumerate() {
            self.next
                .extend(source.next_time()?.filter(|time| *time < until).map(|time| Reverse((time, number))));
        }
        let mut taken = 0;
        while taken < most
            && let Some(mut first) = self.next.peek_mut()
        {
            let Reverse((_, number)) = *first;
            let source = &mut sources[number];
            take(source);
            taken += 1;
            match source.next_time()?.filter(|time| *time < until) {
                Some(time) => *first = Reverse((time, number)),
                None => drop(PeekMut::pop(first)),
            }
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    struct Times {
        times: Vec<TimeNs>,
        taken: usize,
    }

    impl Source for Times {
        type Error = Infallible;

        fn next_time(&mut self) -> Result<Option<TimeNs>, Infallible> {
            Ok(self.times.get(self.taken).copied())
        }
    }

    proptest! {
        #[test]
        fn all_come_in_their_order(
            mut sources in vec(vec(0..1_000_u64, 0..50), 0..9),
            steps in vec((0..1_000_u64, 0..60_usize), 0..9),
        ) {
            let mut all: Vec<_> = sources.iter().flatten().copied().collect();
            all.sort_unstable();
            sources.iter_mut().for_each(|times| times.sort_unstable());
            let mut sources: Vec<_> = sources.into_iter().map(|times| Times { times, taken: 0 }).collect();
            let (mut merge, mut out, mut latest) = (Merge::default(), Vec::new(), 0);
            for (until, most) in steps {
                latest = until.max(latest);
                let before = out.len();
                let taken = merge.run(&mut sources, latest, most, |source| {
                    out.push(source.times[source.taken]);
                    source.taken += 1;
                });
                prop_assert_eq!(taken, Ok(out.len() - before));
                let due = all.iter().filter(|time| **time < latest).count();
                prop_assert_eq!(out.len(), due.min(before + most));
            }
            prop_assert_eq!(&out[..], &all[..out.len()]);
        }
    }
}
