//! How many allocations nobody saw, by the pages of a panel: see [`crate::kernel::panel`].

use super::{Interval, estimate::interval_of_count};

/// Objects that are there, and whose allocations nobody saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnseenAllocations {
    pub objects: u64,
    pub ci95: Interval<u64>,
}

/// A page of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCount {
    /// Objects that begin in it, free places included.
    pub places: u32,
    pub unseen: u32,
}

impl UnseenAllocations {
    /// By pages that each had the same chance to be drawn. None if there are none.
    ///
    /// Objects of a page are not independent: they count as so many pages of equal size.
    pub fn of(pages: &[PageCount], chance: f64) -> Option<Self> {
        let sum = |of: fn(&PageCount) -> f64| pages.iter().map(of).sum::<f64>();
        let (unseen, squares) = (sum(|page| page.unseen.into()), sum(|page| f64::from(page.unseen).powi(2)));
        if pages.is_empty() || chance <= 0.0 {
            return None;
        }
        let (draws, each) = if squares > 0.0 {
            (unseen * unseen / squares, squares / unseen)
        } else {
            (0.0, sum(|page| page.places.into()) / pages.len() as f64)
        };
        let (low, high) = interval_of_count(draws.floor() as u64);
        // The fraction that was cut off.
        let high = high + draws.fract();
        let of = |pages: f64| pages * each / chance;
        let objects = (unseen / chance).round() as u64;
        Some(Self { objects, ci95: ((of(low) as u64).min(objects), (of(high).ceil() as u64).max(objects)) })
    }

    /// More than chance explains: there are some.
    pub fn is_sure(self) -> bool {
        self.ci95.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(places: u32, unseen: u32) -> PageCount {
        PageCount { places, unseen }
    }

    #[test]
    fn none_seen_is_less_than_four_pages() {
        let none = UnseenAllocations::of(&[page(20, 0); 1_000], 0.01).unwrap();
        assert_eq!(none, UnseenAllocations { objects: 0, ci95: (0, 7_683) });
        assert!(!none.is_sure());
        assert_eq!(UnseenAllocations::of(&[], 0.01), None);
    }

    /// 100,000 pages of 20 places, of which one in ten has 15 objects that nobody saw.
    #[test]
    fn intervals_hold_the_truth() {
        let truth = 100_000 / 10 * 15;
        let held = (0..200).filter(|&seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let pages: Vec<_> =
                (0..1_000).map(|_| page(20, if random.u32(0..10) == 0 { 15 } else { 0 })).collect();
            let of = UnseenAllocations::of(&pages, 0.01).unwrap();
            assert!(of.is_sure());
            of.ci95.0 <= truth && truth <= of.ci95.1
        });
        assert!(held.count() >= 184);
    }

    proptest! {
        #[test]
        fn the_estimate_is_in_its_interval(unseen in prop::collection::vec(0..30_u32, 1..200), chance in 0.0001..=1.0_f64) {
            let pages: Vec<_> = unseen.iter().map(|&unseen| page(30, unseen)).collect();
            let of = UnseenAllocations::of(&pages, chance).unwrap();
            prop_assert!(of.ci95.0 <= of.objects && of.objects <= of.ci95.1, "{:?}", of);
        }
    }
}
