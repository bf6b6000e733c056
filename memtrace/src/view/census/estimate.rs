//! Shares of a slab cache, from some of its pages.
//!
//! Each page that was drawn is one draw, whatever was looked at in it: neighbours in a slab mostly are one owner's, so that a
//! second object of a page tells little. The objects that begin in a page count by those that were looked at, and a share is a
//! ratio of two sums over pages. Its error comes from how the pages differ ("ultimate clusters"), which is right however objects
//! cluster. The interval is Wilson's, of as many independent draws as that error is worth: right for rare things too.

/// The middle 95 % of a normal distribution lie within this many standard deviations.
const Z: f64 = 1.959_964;
/// Fewer pages with, or without, do not show how pages differ.
const FEW: u64 = 12;

/// The pages of a cache that were seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whole {
    pub pages: u64,
    /// Objects that were looked at.
    pub looks: u64,
    /// Objects that begin in them, and the sum of their squares.
    pub objects: f64,
    squares: f64,
}

/// What of these is of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Pages that have some, and pages that have nothing else.
    pages: u64,
    full: u64,
    pub objects: f64,
    squares: f64,
    products: f64,
}

/// A share of a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub value: f64,
    /// Independent draws that it is worth.
    pub draws: f64,
}

impl Whole {
    pub fn add(&mut self, objects: u32, looks: usize) {
        let objects = f64::from(objects);
        self.pages += 1;
        self.looks += looks as u64;
        self.objects += objects;
        self.squares += objects * objects;
    }

    /// As many pages of equal size would tell as much: a page with many objects counts more than one with few.
    pub fn equal_pages(&self) -> f64 {
        if self.squares > 0.0 { self.objects * self.objects / self.squares } else { 0.0 }
    }

    pub fn share(&self, part: &Part) -> Share {
        if self.objects <= 0.0 {
            return Share { value: 0.0, draws: 0.0 };
        }
        let value = (part.objects / self.objects).clamp(0.0, 1.0);
        let (binomial, variance) = (value * (1.0 - value), self.variance(part, value));
        let worth = if variance > 0.0 { binomial / variance } else { f64::INFINITY };
        let is_rare = part.pages.min(self.pages.saturating_sub(part.full)) < FEW;
        let most = if is_rare { self.equal_pages() } else { self.looks as f64 };
        Share { value, draws: worth.min(most) }
    }

    /// Of a ratio of sums over pages.
    fn variance(&self, part: &Part, value: f64) -> f64 {
        if self.pages < 2 {
            return 0.0;
        }
        let n = self.pages as f64;
        let squares = part.squares - 2.0 * value * part.products + value * value * self.squares;
        squares.max(0.0) * n / (n - 1.0) / (self.objects * self.objects)
    }
}

impl Part {
    /// So many of the objects that begin in a page.
    pub fn add(&mut self, objects: f64, of: u32) {
        let of = f64::from(of);
        self.pages += 1;
        self.full += u64::from(objects >= of);
        self.objects += objects;
        self.squares += objects * objects;
        self.products += objects * of;
    }
}

impl Share {
    pub fn variance(self) -> f64 {
        if self.draws > 0.0 { self.value * (1.0 - self.value) / self.draws } else { 0.0 }
    }

    /// Of several wholes together, each with its share and its weight.
    pub fn of_all(parts: &[(Share, f64)]) -> Self {
        if let [(share, _)] = parts {
            return *share;
        }
        let sum: f64 = parts.iter().map(|(_, weight)| weight).sum();
        if sum <= 0.0 {
            return Self { value: 0.0, draws: 0.0 };
        }
        let value = parts.iter().map(|(share, weight)| share.value * weight).sum::<f64>() / sum;
        let square = |weight: f64| (weight / sum).powi(2);
        let variance: f64 = parts.iter().map(|(share, weight)| square(*weight) * share.variance()).sum();
        let draws = if variance > 0.0 {
            value * (1.0 - value) / variance
        } else {
            1.0 / parts.iter().map(|(share, weight)| square(*weight) / share.draws).sum::<f64>()
        };
        Self { value, draws }
    }

    /// Nineteen of twenty such intervals hold the truth.
    pub fn interval(self) -> (f64, f64) {
        if self.draws <= 0.0 {
            return (0.0, 1.0);
        }
        let n = self.draws;
        let spread = quantile(n).powi(2) / n;
        let middle = (self.value + spread / 2.0) / (1.0 + spread);
        let reach = (spread * (self.value * (1.0 - self.value) + spread / 4.0)).sqrt() / (1.0 + spread);
        // What was seen is in it, rounding or not.
        ((middle - reach).clamp(0.0, self.value), (middle + reach).clamp(self.value, 1.0))
    }
}

/// What is not seen in so many draws is less than this, at 95 %.
pub fn unseen(draws: f64) -> f64 {
    (3.0 / draws.max(3.0)).min(1.0)
}

/// Student's, to the first order: of few draws the error is not known well either.
fn quantile(draws: f64) -> f64 {
    Z + (Z.powi(3) + Z) / (4.0 * (draws - 1.0).max(1.0))
}

/// A number of events that are rare among many: 95 % of such intervals hold what is expected.
pub fn interval_of_count(count: u64) -> (f64, f64) {
    let (count, spread) = (count as f64, Z * Z);
    let (middle, reach) = (count + spread / 2.0, (spread * (count + spread / 4.0)).sqrt());
    ((middle - reach).max(0.0), middle + reach)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pages of so many objects each, of which so many are of the kind.
    fn share(pages: &[(u32, f64)]) -> Share {
        let (mut whole, mut part) = (Whole::default(), Part::default());
        for &(objects, of_kind) in pages {
            whole.add(objects, 2);
            if of_kind > 0.0 {
                part.add(of_kind, objects);
            }
        }
        whole.share(&part)
    }

    #[test]
    fn pages_that_are_one_owner_s_are_draws() {
        let mut pages = vec![(21, 21.0); 500];
        pages.extend(vec![(21, 0.0); 500]);
        let half = share(&pages);
        assert!((half.draws - 999.0).abs() < 1.0, "{half:?}");
        let (low, high) = half.interval();
        assert!((high - low - 2.0 * 0.031).abs() < 0.001, "{low} {high}");
    }

    #[test]
    fn pages_that_are_alike_tell_as_much_as_their_looks() {
        let half = share(&[(20, 10.0); 100]);
        assert_eq!((half.value, half.draws), (0.5, 200.0));
    }

    #[test]
    fn what_is_rare_is_worth_no_more_than_its_pages() {
        let mut pages = vec![(20, 0.0); 999];
        pages.push((20, 10.0));
        let rare = share(&pages);
        assert!(rare.draws <= 1000.0 && rare.value > 0.0, "{rare:?}");
        let (low, high) = rare.interval();
        assert!(low > 0.0 && high > 0.003, "{low} {high}");
        assert_eq!(unseen(1000.0), 0.003);
    }

    #[test]
    fn all_of_a_few_is_not_certain() {
        let (low, high) = share(&[(8, 8.0); 30]).interval();
        assert!(low > 0.84 && low < 0.9 && high == 1.0, "{low}");
        assert_eq!(Share { value: 0.0, draws: 0.0 }.interval(), (0.0, 1.0));
    }

    #[test]
    fn counts() {
        let (low, high) = interval_of_count(100);
        assert!((low - 82.2).abs() < 0.5 && (high - 121.6).abs() < 0.5, "{low} {high}");
        assert_eq!(interval_of_count(0).0, 0.0);
    }

    proptest! {
        #[test]
        fn the_estimate_is_in_its_interval(pages in prop::collection::vec((1_u32..40, 0.0..=1.0_f64), 1..60)) {
            let pages: Vec<_> = pages.into_iter().map(|(objects, share)| (objects, share * f64::from(objects))).collect();
            let share = share(&pages);
            let (low, high) = share.interval();
            prop_assert!(0.0 <= low && low <= share.value && share.value <= high && high <= 1.0, "{share:?}");
        }

        /// Twice as many objects in each page change nothing.
        #[test]
        fn the_scale_does_not_matter(pages in prop::collection::vec((1_u32..40, 0.0..=1.0_f64), 2..60), scale in 2_u32..9) {
            let of = |scale: u32| {
                let pages: Vec<_> = pages.iter().map(|&(objects, part)| (objects * scale, part * f64::from(objects * scale))).collect();
                share(&pages)
            };
            let (one, other) = (of(1), of(scale));
            prop_assert!((one.value - other.value).abs() < 1e-9);
            prop_assert!((one.draws - other.draws).abs() <= 1e-6 * one.draws, "{one:?} {other:?}");
        }

        #[test]
        fn several_wholes_are_between_them(a in 0.0..=1.0_f64, b in 0.0..=1.0_f64, weight in 0.1..10.0_f64) {
            let of = |value| Share { value, draws: 100.0 };
            let all = Share::of_all(&[(of(a), 1.0), (of(b), weight)]);
            prop_assert!(all.value >= a.min(b) - 1e-9 && all.value <= a.max(b) + 1e-9);
            prop_assert!(all.draws > 0.0);
            prop_assert_eq!(Share::of_all(&[(of(a), weight)]), of(a));
        }
    }
}
