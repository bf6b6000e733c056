//! Whether a cache's sample can be believed, and whether it is large enough to tell whose the objects are.

use super::estimate::{Whole, unseen};
use crate::kernel::census::plan::{MOST_FRAMES, pages_for};

/// Fewer pages do not tell.
const LEAST_PAGES: u64 = 30;
/// As many are to be expected where these are wanted.
const ENOUGH_PAGES: f64 = 45.0;
/// Below, the number of pages is no normal variable.
const LEAST_EXPECTED: f64 = 20.0;
/// Standard deviations by which the sample may differ from the kernel's count. By chance one census in thousands is further off.
const FAR: f64 = 4.0;

/// What can be said of a cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told {
    /// What has no row is less than this share of it.
    Rows { unseen: f64 },
    /// Too few pages; enough were seen with this `--error`. None where that takes more frames than a census draws.
    TooFew { error: Option<f64> },
    /// So many pages were to be expected: something is read wrong.
    Doubted { expected: f64, deviations: f64 },
}

/// What a cache's sample is judged by.
pub struct Evidence<'a> {
    /// Pages of it that were seen, those in which no object begins included.
    pub seen: u64,
    /// What the kernel's counts before and after the census let expect.
    pub expected: Option<(f64, f64)>,
    pub whole: &'a Whole,
    /// Of all caches that were asked for.
    pub all_seen: u64,
    pub drawn: u64,
    pub frames: u64,
    pub error: f64,
}

impl Evidence<'_> {
    pub fn judge(&self) -> Told {
        if let Some(doubted) = self.expected.and_then(|expected| self.doubt(expected)) {
            return doubted;
        }
        if self.whole.pages < LEAST_PAGES {
            return Told::TooFew { error: self.error_that_would_do() };
        }
        Told::Rows { unseen: unseen(self.whole.equal_pages()) }
    }

    /// It may have grown or shrunk from the one count to the other meanwhile.
    fn doubt(&self, (before, after): (f64, f64)) -> Option<Told> {
        let seen = self.seen as f64;
        let expected = seen.clamp(before.min(after), before.max(after));
        let deviations = (seen - expected) / expected.max(1.0).sqrt();
        let is_large = expected.max(seen) >= LEAST_EXPECTED;
        (is_large && deviations.abs() > FAR).then_some(Told::Doubted { expected, deviations })
    }

    fn error_that_would_do(&self) -> Option<f64> {
        let expected = self.expected.map_or(0.0, |(_, after)| after).max(self.seen as f64);
        let times = ENOUGH_PAGES / expected;
        if !times.is_finite() || self.drawn as f64 * times > MOST_FRAMES.min(self.frames) as f64 {
            return None;
        }
        // Pages go with the square: see [`pages_for`].
        let error = (pages_for(1.0) / (self.all_seen.max(1) as f64 * times)).sqrt();
        let error = round_down(error);
        (error < self.error).then_some(error)
    }
}

/// To one digit: of 0.0047 0.004.
fn round_down(error: f64) -> f64 {
    let tens = 10_f64.powf(-error.log10().floor());
    (error * tens).floor() / tens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pages: u64) -> Whole {
        let mut whole = Whole::default();
        (0..pages).for_each(|_| whole.add(21, 2));
        whole
    }

    fn judge(seen: u64, expected: Option<(f64, f64)>, drawn: u64) -> Told {
        let whole = whole(seen);
        Evidence { seen, expected, whole: &whole, all_seen: 2_400, drawn, frames: 1 << 30, error: 0.02 }
            .judge()
    }

    #[test]
    fn chance_is_no_reason_for_doubt() {
        assert!(matches!(judge(1_000, Some((1_000.0, 1_000.0)), 20_000), Told::Rows { .. }));
        assert!(matches!(judge(1_100, Some((1_000.0, 1_000.0)), 20_000), Told::Rows { .. }));
        let Told::Doubted { expected, deviations } = judge(1_200, Some((1_000.0, 1_000.0)), 20_000) else {
            panic!("200 pages too many")
        };
        assert!(expected == 1_000.0 && (deviations - 6.3).abs() < 0.1);
        assert!(matches!(judge(0, Some((100.0, 100.0)), 20_000), Told::Doubted { .. }));
        assert!(matches!(judge(100, Some((0.0, 0.0)), 20_000), Told::Doubted { .. }));
        // It grew meanwhile.
        assert!(matches!(judge(1_200, Some((1_000.0, 2_000.0)), 20_000), Told::Rows { .. }));
        assert!(matches!(judge(1_200, None, 20_000), Told::Rows { .. }));
    }

    #[test]
    fn a_small_cache_says_what_would_do() {
        // Of 2,400 pages at 2 % these are 10: 45 need 4.5 times as many, so 2 % / 2.1.
        assert_eq!(judge(10, Some((10.0, 10.0)), 20_000), Told::TooFew { error: Some(0.009) });
        assert_eq!(judge(10, Some((10.0, 10.0)), 1_000_000), Told::TooFew { error: None });
        assert_eq!(judge(0, Some((0.0, 0.0)), 20_000), Told::TooFew { error: None });
        assert_eq!(judge(0, None, 20_000), Told::TooFew { error: None });
    }

    #[test]
    fn errors_are_rounded_to_what_one_writes() {
        for (error, expect) in [(0.0047, 0.004), (0.02, 0.02), (0.000_19, 0.000_1)] {
            assert!((round_down(error) - expect).abs() < 1e-12, "{error}");
        }
    }
}
