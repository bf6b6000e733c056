//! How a row's outstanding objects move: they grow, grew and stay, or come and go.
//!
//! Judged by what was outstanding at each report. Every row starts at zero and grows at first; a leak still grows in the
//! second half of the time.

use std::time::Duration;

use super::points::Points;

/// With fewer points it is too early to say.
const MIN_POINTS: usize = 5;

/// Of fewer objects that seem to grow it is too early too.
pub(super) const MIN_OBJECTS: u64 = 100;

/// The second half counts as growing if it is at least this fast compared to the first; slower is flattening.
const MIN_SHARE_OF_FIRST: f64 = 0.25;

/// This share of all growth between two points is a burst.
const BURST: f64 = 0.7;

/// A row that keeps a smaller share of what it allocates churns.
const CHURN_KEEPS: f64 = 0.05;

/// Outstanding objects over time.
pub type History = Points<64>;

#[derive(Clone, Copy, Debug, Default, PartialEq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
pub enum Trend {
    /// There are too few reports yet, or too few objects.
    #[default]
    TooEarly,
    /// It grows, as fast in the second half of the time as in the first.
    #[strum(serialize = "grows")]
    Growing(Slope),
    /// It grew, and stays.
    #[strum(serialize = "flat")]
    Plateaued,
    /// It grew at once, and stays.
    Burst,
    /// It allocates and frees, and holds little.
    #[strum(serialize = "churns")]
    Churning,
    /// None of these.
    Steady,
}

/// Objects a second, and the ends of a 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    pub per_s: f64,
    pub low: f64,
    pub high: f64,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    /// Seconds.
    time: f64,
    objects: f64,
}

/// What came of it, with how many objects were allocated in all.
pub fn trend(history: &History, allocs: u64) -> Trend {
    let point =
        |&(time, objects): &(Duration, u64)| Point { time: time.as_secs_f64(), objects: objects as f64 };
    let points: Vec<Point> = history.all().iter().map(point).collect();
    if points.len() < MIN_POINTS {
        return Trend::TooEarly;
    }
    let middle = points.len() / 2;
    let (Some(first), Some(second)) = (slope(&points[..=middle]), slope(&points[middle..])) else {
        return Trend::TooEarly;
    };
    let held = points.last().map_or(0.0, |point| point.objects);
    let churns = held < allocs as f64 * CHURN_KEEPS;
    let steps = || points.windows(2).map(|pair| pair[1].objects - pair[0].objects);
    let grown: f64 = steps().filter(|step| *step > 0.0).sum();
    let largest = steps().fold(0.0, f64::max);
    // A row that was not there at first starts with what it had then.
    let (grown, largest) = (grown + points[0].objects, largest.max(points[0].objects));
    let is_burst = largest >= grown * BURST;
    if second.low > 0.0 && second.per_s >= first.per_s * MIN_SHARE_OF_FIRST && !is_burst {
        return Trend::Growing(second);
    }
    // A slow leak, perhaps.
    if held < MIN_OBJECTS as f64 && first.per_s > 0.0 && second.per_s > 0.0 && !churns {
        return Trend::TooEarly;
    }
    match (churns, is_burst, first.low > 0.0 || points[0].objects > 0.0) {
        (true, ..) => Trend::Churning,
        (_, true, _) if grown > 0.0 && held > grown / 2.0 => Trend::Burst,
        (_, _, true) => Trend::Plateaued,
        _ => Trend::Steady,
    }
}

/// By least squares, with Student's interval. Counts jitter by their root at least, however straight few points lie. None
/// where all points are at one time.
fn slope(points: &[Point]) -> Option<Slope> {
    let n = points.len() as f64;
    let mean_time = points.iter().map(|point| point.time).sum::<f64>() / n;
    let mean = points.iter().map(|point| point.objects).sum::<f64>() / n;
    let spread: f64 = points.iter().map(|point| (point.time - mean_time).powi(2)).sum();
    if points.len() < 3 || spread <= 0.0 {
        return None;
    }
    let covariance: f64 = points.iter().map(|point| (point.time - mean_time) * (point.objects - mean)).sum();
    let per_s = covariance / spread;
    let residuals: f64 =
        points.iter().map(|point| (point.objects - mean - per_s * (point.time - mean_time)).powi(2)).sum();
    let freedom = points.len() - 2;
    let moved = (points[points.len() - 1].objects - points[0].objects).abs();
    let variance = (residuals / freedom as f64).max(moved / n);
    let error = (variance / spread).sqrt() * student(freedom);
    Some(Slope { per_s, low: per_s - error, high: per_s + error })
}

/// Student's t for a 95 % interval, by degrees of freedom.
pub(super) fn student(freedom: usize) -> f64 {
    const T: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    T.get(freedom.saturating_sub(1)).copied().unwrap_or(if freedom < 30 { 2.2 } else { 2.0 })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// A report a second.
    fn of(objects: impl IntoIterator<Item = u64>, allocs: u64) -> Trend {
        let mut history = History::default();
        for (second, objects) in objects.into_iter().enumerate() {
            history.add(Duration::from_secs(second as u64 + 1), objects);
        }
        trend(&history, allocs)
    }

    #[test]
    fn a_leak_grows() {
        let Trend::Growing(slope) = of((1..=20).map(|second| second * 2000), 40_000) else {
            panic!("it does")
        };
        assert!((slope.per_s - 2000.0).abs() < 1e-6, "{slope:?}");
        assert!(slope.low < 2000.0 && slope.low > 1500.0 && slope.high > 2000.0, "{slope:?}");
        // Every ten seconds some more.
        assert!(matches!(of((1..=60).map(|second| 500 * (second / 10 + 1)), 3000), Trend::Growing(_)));
        // Also beside a lot of churn.
        assert!(matches!(of((1..=20).map(|second| second * 100), 1_000_000), Trend::Growing(_)));
    }

    #[test]
    fn few_objects_that_become_more_do_not_tell() {
        assert_eq!(of([4, 5, 14, 15, 16, 27], 27), Trend::TooEarly);
        assert_eq!(of([20; 8], 20), Trend::Burst);
    }

    #[test]
    fn a_working_set_does_not() {
        assert_eq!(of((1..=20).map(|second: u64| second.min(6) * 1000), 7000), Trend::Plateaued);
        assert_eq!(of([900, 1000, 1000, 1001, 1000, 999, 1000, 1000], 1500), Trend::Burst);
        assert_eq!(of([0, 0, 0, 5000, 5000, 5000, 5000, 5000], 5000), Trend::Burst);
        assert_eq!(of([12, 7, 15, 9, 11, 8, 13, 10, 9, 12], 100_000), Trend::Churning);
        assert_eq!(of([0; 10], 0), Trend::Steady);
        assert_eq!(of([1000, 2000, 3000, 4000], 4000), Trend::TooEarly);
    }

    proptest! {
        #[test]
        fn a_line_has_its_slope(per_s in 10..10_000_u64, points in 6..200_u64) {
            let Trend::Growing(slope) = of((1..=points).map(|second| second * per_s), points * per_s) else {
                panic!("it grows");
            };
            prop_assert!((slope.per_s / per_s as f64 - 1.0).abs() < 1e-6);
            prop_assert!(slope.low <= slope.per_s && slope.per_s <= slope.high);
        }

        #[test]
        fn noise_alone_seldom_grows(objects in vec(900..1100_u64, 40)) {
            // With 5 in 200 on each side: where it is said to grow, it is by next to nothing.
            if let Trend::Growing(slope) = of(objects, 1100) {
                prop_assert!(slope.per_s < 20.0, "{slope:?}");
            }
        }

        #[test]
        fn any_figures_are_survived(objects in vec(any::<u64>(), 0..100), allocs in any::<u64>()) {
            let _ = of(objects, allocs);
        }
    }
}
