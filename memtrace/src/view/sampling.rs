//! Sampling: how many objects the followed ones stand for, and the error of that estimate.
//!
//! An object is followed by its address alone, one in `period`. Of M objects, the number n that is followed is binomial, and M is
//! estimated as n times the period, with a standard error of sqrt(n * period * (period - 1)).

use std::ops::RangeInclusive;

/// The middle 95 % of a normal distribution lie within this many standard deviations.
const Z: f64 = 1.959_964;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// One object in this many is followed; 1: all are.
    pub period: u32,
}

impl Sampling {
    pub const NONE: Self = Self { period: 1 };

    pub fn is_on(self) -> bool {
        self.period > 1
    }

    /// The number of objects that these stand for.
    pub fn estimate(self, followed: u64) -> u64 {
        followed.saturating_mul(u64::from(self.period))
    }

    /// The 95 % interval of an estimate; None where it is exact. It is Wilson's: right for few objects too, where the
    /// standard error alone is not. Of no followed object it says how many may have been missed.
    pub fn interval(self, estimate: u64) -> Option<RangeInclusive<u64>> {
        if !self.is_on() {
            return None;
        }
        let period = f64::from(self.period);
        let followed = estimate as f64 / period;
        let spread = Z * Z * (1.0 - 1.0 / period);
        let middle = followed + spread / 2.0;
        let reach = (spread * (followed + spread / 4.0)).sqrt();
        // Those that are followed are there.
        let low = ((middle - reach) * period).floor().max(followed);
        Some(low as u64..=((middle + reach) * period).ceil() as u64)
    }

    /// Half the interval as a share of the estimate: 0.04 for 4 %. None where it is exact, or nothing was followed.
    pub fn error(self, estimate: u64) -> Option<f64> {
        let interval = self.interval(estimate).filter(|_| estimate > 0)?;
        Some((interval.end() - interval.start()) as f64 / 2.0 / estimate as f64)
    }
}

#[cfg(test)]
mod tests {
    use memtrace_common::sample;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_is_the_standard_error_s_where_there_are_many() {
        let sampling = Sampling { period: 10 };
        // 10,000 followed: sqrt(10,000 * 10 * 9) = 948.7, times 1.96 = 1,859.
        let estimate = sampling.estimate(10_000);
        assert_eq!(estimate, 100_000);
        let interval = sampling.interval(estimate).unwrap();
        assert!(interval.start().abs_diff(100_000 - 1859) < 20, "{interval:?}");
        assert!(interval.end().abs_diff(100_000 + 1859) < 20, "{interval:?}");
        let error = sampling.error(estimate).unwrap();
        assert!((error - 0.0186).abs() < 0.0001, "{error}");
    }

    #[test]
    fn few_objects_say_little_and_none_not_nothing() {
        let sampling = Sampling { period: 100 };
        assert_eq!(sampling.interval(0), Some(0..=381));
        assert_eq!(sampling.interval(100), Some(17..=563));
        assert_eq!(sampling.error(0), None);
    }

    #[test]
    fn without_sampling_all_is_exact() {
        assert_eq!(Sampling::NONE.estimate(7), 7);
        assert_eq!(Sampling::NONE.interval(7), None);
        assert_eq!(Sampling::NONE.error(7), None);
    }

    #[test]
    fn nineteen_in_twenty_intervals_hold_the_truth() {
        let sampling = Sampling { period: 8 };
        let limit = sample::limit(sampling.period);
        let worlds = 2_000_u64;
        let objects = 1_000;
        let holding = (0..worlds).filter(|world| {
            // Addresses without an order, as those of a busy cache.
            let address = |object: u64| (world * objects + object + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let followed =
                (0..objects).filter(|&object| sample::keeps(address(object), limit)).count() as u64;
            sampling.interval(sampling.estimate(followed)).unwrap().contains(&objects)
        });
        let share = holding.count() as f64 / worlds as f64;
        assert!(share > 0.93, "{share}");
    }

    proptest! {
        #[test]
        fn the_estimate_is_in_its_interval(followed in 0_u64..1 << 40, period in 2_u32..1 << 16) {
            let sampling = Sampling { period };
            let estimate = sampling.estimate(followed);
            let interval = sampling.interval(estimate).unwrap();
            prop_assert!(interval.contains(&estimate), "{estimate} {interval:?}");
            prop_assert!(*interval.start() >= followed);
        }

        #[test]
        fn no_estimate_is_too_large(estimate in any::<u64>(), period in any::<u32>()) {
            let sampling = Sampling { period };
            if let Some(interval) = sampling.interval(estimate) {
                prop_assert!(interval.start() <= interval.end());
            }
            prop_assert!(sampling.error(estimate).is_none_or(f64::is_finite));
        }
    }
}
