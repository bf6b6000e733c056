//! A count over time, in few points that span the whole session.

use std::time::Duration;

/// At most `MOST` points, an even number: beyond, every second one is dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Points<const MOST: usize> {
    points: Vec<(Duration, u64)>,
    /// One point in so many is kept.
    every: usize,
    seen: usize,
}

impl<const MOST: usize> Default for Points<MOST> {
    fn default() -> Self {
        Self { points: Vec::new(), every: 1, seen: 0 }
    }
}

impl<const MOST: usize> Points<MOST> {
    /// Adds the count at a time since the start. Times must not go back.
    pub fn add(&mut self, elapsed: Duration, count: u64) {
        self.seen += 1;
        if (self.seen - 1).is_multiple_of(self.every) {
            self.points.push((elapsed, count));
        }
        if self.points.len() > MOST {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.every *= 2;
        }
    }

    /// The oldest first.
    pub fn all(&self) -> &[(Duration, u64)] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn points_span_all_and_are_few(count in 1..2000_usize) {
            let mut points = Points::<64>::default();
            for point in 0..count {
                points.add(Duration::from_secs(point as u64), point as u64);
            }
            let all = points.all();
            prop_assert!(all.len() <= 64);
            prop_assert_eq!(all[0], (Duration::ZERO, 0));
            let (last, _) = all[all.len() - 1];
            prop_assert!(last.as_secs() as usize + points.every >= count);
            prop_assert!(all.is_sorted());
        }
    }
}
