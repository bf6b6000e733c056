//! How many page frames a census draws: as many as the wanted error needs, by what a pilot saw, within a budget.
//!
//! What an estimate is worth depends on the pages of slabs that were seen, and not on the size of the host. So the frames that are
//! needed depend on the share of memory that is slab alone. The number is fixed once, by the pilot: who goes on drawing until the
//! result pleases gets a wrong one.

use std::time::Duration;

/// Frames of a pilot.
pub const PILOT_FRAMES: u64 = 20_000;
/// No census draws more.
pub const MOST_FRAMES: u64 = 2_000_000;
/// So much of the time of a CPU is planned for; the rest is for pages that change, and for chance.
const DRAWING: f64 = 0.75;
/// The middle 95 % of a normal distribution lie within this many standard deviations.
const Z: f64 = 1.959_964;

/// What a pilot saw.
#[derive(Clone, Copy, Debug)]
pub struct Pilot {
    pub drawn: u64,
    /// Of these, pages of the caches that are asked for.
    pub pages: u64,
    /// Time of a CPU.
    pub spent: Duration,
}

/// Frames to draw in all, the pilot's included, from a host that has `frames` of them. `error` is half the width of the interval
/// of a row that is half of what is asked for: 0.02. `time` is of a CPU, for all of it.
pub fn frames_to_draw(pilot: Pilot, error: f64, time: Duration, frames: u64) -> u64 {
    let by_time = pilot.drawn as f64 * DRAWING * ratio(time, pilot.spent);
    let most = by_time.min(MOST_FRAMES as f64).min(frames as f64) as u64;
    let wanted = pages_for(error) / share_of_pages(pilot);
    (wanted.ceil() as u64).min(most).max(pilot.drawn)
}

/// Pages that a row of one half needs: one look at each is a coin that is tossed.
pub fn pages_for(error: f64) -> f64 {
    0.25 * (Z / error).powi(2)
}

/// One standard deviation less than what was seen: as often as not a pilot sees too many. At least as much as if one had been seen.
fn share_of_pages(pilot: Pilot) -> f64 {
    let pages = pilot.pages as f64;
    (pages - pages.sqrt()).max(1.0) / pilot.drawn.max(1) as f64
}

fn ratio(time: Duration, spent: Duration) -> f64 {
    time.as_secs_f64() / spent.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;
    const SECOND: Duration = Duration::from_secs(1);

    /// A pilot on a host of this size, of which a share is slab, at 100 ns a frame.
    fn pilot(bytes: u64, slab: f64, seed: u64) -> (Pilot, u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let frames = bytes / 4096;
        let slab_frames = (frames as f64 * slab) as u64;
        let stripe = frames as f64 / PILOT_FRAMES as f64;
        // The slabs lie anywhere, each a run of 8 frames.
        let is_slab = |frame: u64| (frame / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        let limit = ((slab_frames as f64 / frames as f64) * (1_u64 << 53) as f64) as u64;
        let pages = (0..PILOT_FRAMES)
            .filter(|&at| is_slab((stripe * (at as f64 + random.f64())) as u64) < limit)
            .count() as u64;
        (Pilot { drawn: PILOT_FRAMES, pages, spent: Duration::from_millis(2) }, frames)
    }

    fn drawn(bytes: u64, slab: f64, error: f64) -> u64 {
        let (pilot, frames) = pilot(bytes, slab, bytes);
        frames_to_draw(pilot, error, SECOND, frames)
    }

    /// 64 GB, 1 TB and 12 TB, the same share of them slab: no more frames on the greater host.
    #[test]
    fn the_size_of_the_host_does_not_matter() {
        for (slab, error, expect) in [(0.6, 0.01, 16_000), (0.1, 0.02, 24_000), (0.01, 0.02, 240_000)] {
            let all = [64 * GIB, 1024 * GIB, 12 * 1024 * GIB].map(|bytes| drawn(bytes, slab, error));
            let expect = PILOT_FRAMES.max(expect);
            // Chance in the pilot moves it by some tenths, the host's size by nothing.
            let is_near =
                |&frames: &u64| frames as f64 > 0.9 * expect as f64 && (frames as f64) < 1.4 * expect as f64;
            assert!(all.iter().all(is_near), "{slab} at {error}: {all:?} instead of {expect}");
        }
    }

    #[test]
    fn the_budget_bounds_it() {
        let seen = |pages, millis| Pilot { drawn: PILOT_FRAMES, pages, spent: Duration::from_millis(millis) };
        let draw = |pilot, error| frames_to_draw(pilot, error, SECOND, 1 << 40);
        assert_eq!(draw(seen(0, 2), 0.02), MOST_FRAMES, "no page was seen");
        assert_eq!(draw(seen(2, 2), 0.001), MOST_FRAMES);
        // 1 us a frame: 0.75 s are 750,000 frames.
        assert_eq!(draw(seen(2, 20), 0.001), 750_000);
        assert_eq!(draw(seen(2, 5_000), 0.001), PILOT_FRAMES, "the time is over");
        assert_eq!(frames_to_draw(seen(0, 2), 0.02, SECOND, 30_000), 30_000, "a host of 120 MB");
    }

    #[test]
    fn pages_are_as_in_the_textbook() {
        assert_eq!(pages_for(0.02).round() as u64, 2_401);
        assert_eq!(pages_for(0.05).round() as u64, 384);
    }

    proptest! {
        #[test]
        fn more_exact_is_more_frames(pages in 0..PILOT_FRAMES, error in 0.0001..0.5_f64, finer in 1.0..10.0_f64) {
            let pilot = Pilot { drawn: PILOT_FRAMES, pages, spent: Duration::from_millis(2) };
            let draw = |error| frames_to_draw(pilot, error, SECOND, u64::MAX);
            prop_assert!(draw(error / finer) >= draw(error));
            prop_assert!((PILOT_FRAMES..=MOST_FRAMES).contains(&draw(error)));
        }
    }
}
