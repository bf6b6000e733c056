//! The arithmetic: medians, how sure they are, and ratios.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::human;

/// A median and its spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub median: f64,
    /// Half of the values are within this of the median.
    pub mad: f64,
    pub runs: usize,
}

impl Estimate {
    /// None of no values.
    pub fn from_values(values: &[f64]) -> Option<Self> {
        let center = median(values)?;
        let distances: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
        Some(Self { median: center, mad: median(&distances)?, runs: values.len() })
    }

    /// Half the width of the interval that holds the true median in about 95 of 100 cases; None for fewer than three runs.
    ///
    /// By the usual factors for values that are spread normally: the standard deviation is 1.4826 times the MAD, the standard
    /// error of a median 1.2533 times that of a mean.
    pub fn error(&self) -> Option<f64> {
        (self.runs >= 3).then(|| 1.96 * 1.2533 * 1.4826 * self.mad / (self.runs as f64).sqrt())
    }
}

/// None of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// How many times one median is another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub value: f64,
    /// As [`Estimate::error`].
    pub error: Option<f64>,
}

impl Ratio {
    /// None where there is nothing to divide by.
    pub fn between(dividend: Estimate, divisor: Estimate) -> Option<Self> {
        if divisor.median <= 0.0 {
            return None;
        }
        let value = dividend.median / divisor.median;
        let error = dividend
            .error()
            .zip(divisor.error())
            .map(|(dividend, error)| (dividend / divisor.median).hypot(value * error / divisor.median));
        Some(Self { value, error })
    }
}

/// `1.27 ±0.04`
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&human::number(self.value))?;
        self.error.map_or(Ok(()), |error| write!(f, " ±{}", human::number(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn spread_ignores_one_bad_run() {
        let estimate = Estimate::from_values(&[10.0, 11.0, 9.0, 10.0, 500.0]).unwrap();
        assert_eq!(estimate, Estimate { median: 10.0, mad: 1.0, runs: 5 });
        let error = estimate.error().unwrap();
        assert!((error - 1.6288).abs() < 0.001, "{error}");
        assert_eq!(Estimate::from_values(&[1.0, 2.0]).unwrap().error(), None);
    }

    #[test]
    fn ratio_is_as_sure_as_its_parts() {
        let of = |median, mad| Estimate { median, mad, runs: 9 };
        let ratio = Ratio::between(of(200.0, 0.0), of(100.0, 0.0)).unwrap();
        assert_eq!(ratio, Ratio { value: 2.0, error: Some(0.0) });
        let one_sided = Ratio::between(of(200.0, 10.0), of(100.0, 0.0)).unwrap().error.unwrap();
        let two_sided = Ratio::between(of(200.0, 10.0), of(100.0, 5.0)).unwrap().error.unwrap();
        // The same relative error on both sides.
        assert!((two_sided / one_sided - 2_f64.sqrt()).abs() < 1e-9, "{one_sided} {two_sided}");
        assert_eq!(Ratio::between(of(1.0, 0.0), of(0.0, 0.0)), None);
        assert_eq!(Ratio::between(of(1.0, 0.0), of(-3.0, 0.0)), None);
    }

    proptest! {
        #[test]
        fn median_is_within_and_moves_with_its_values(
            values in prop::collection::vec(-1e6..1e6_f64, 1..50),
            by in -1e6..1e6_f64,
        ) {
            let Estimate { median, mad, runs } = Estimate::from_values(&values).unwrap();
            let (least, most) = (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(f64::MIN, f64::max));
            prop_assert!(least <= median && median <= most);
            prop_assert!(0.0 <= mad && mad <= most - least);
            prop_assert_eq!(runs, values.len());
            // At least half of the values are on either side.
            let below = values.iter().filter(|&&value| value <= median).count();
            let above = values.iter().filter(|&&value| value >= median).count();
            prop_assert!(2 * below >= runs && 2 * above >= runs);

            let moved: Vec<f64> = values.iter().map(|value| value + by).collect();
            let moved = Estimate::from_values(&moved).unwrap();
            prop_assert!((moved.median - median - by).abs() < 1e-6);
            prop_assert!((moved.mad - mad).abs() < 1e-6);
        }
    }
}
