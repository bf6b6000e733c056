//! Series whose truth is known.

use proptest::{collection::vec, prelude::*};

use super::*;

const MINUTE: u64 = 60;
const WITHIN: Duration = Duration::from_secs(10 * MINUTE);
const M: f64 = (1_u64 << 20) as f64;

/// Of a host with so many MiB available at each time: when it is first said that it does not last, and how long it is said to.
fn first(every: u64, seconds: u64, available: impl Fn(f64) -> f64) -> Option<(u64, Duration)> {
    let mut falling = Falling::of(WITHIN);
    (0..=seconds / every).map(|reading| reading * every).find_map(|at| {
        let value = (available(at as f64) * M).max(0.0) as u64;
        Some((at, falling.add(Duration::from_secs(at), value)?))
    })
}

/// Noise without a seed: the same at the same time.
fn noise(at: f64, height: f64) -> f64 {
    let x = (at * 12.9898).sin() * 43_758.547;
    (x - x.floor() - 0.5) * height
}

#[test]
fn a_host_that_fills_in_15_minutes_is_seen_with_minutes_to_spare() {
    for every in [1, 5, 10, 15] {
        for start in [0, 30 * MINUTE] {
            let filling = |at: f64| 8192.0 - (at - start as f64).max(0.0) * 8192.0 / 900.0 + noise(at, 200.0);
            let (at, lasts) = first(every, start + 900, filling).expect("it fills");
            let left = start + 900 - at;
            assert!(
                (8 * MINUTE..10 * MINUTE + 30).contains(&left),
                "every {every} s: {left} s before the end"
            );
            assert!(lasts.as_secs().abs_diff(left) < MINUTE, "said {lasts:?}, {left} s before the end");
        }
    }
}

#[test]
fn what_fills_faster_is_seen_faster() {
    for minutes in 3..10 {
        let filling = |at: f64| 8192.0 * (1.0 - (at - 3600.0).max(0.0) / (minutes * MINUTE) as f64);
        let (at, _) = first(10, 2 * 3600, filling).expect("it fills");
        let left = 3600 + minutes * MINUTE - at;
        assert!(left >= minutes * MINUTE / 3, "{minutes} minutes: seen {left} s before the end");
    }
}

#[test]
fn what_lasts_longer_is_not_said() {
    for minutes in [30, 60, 600] {
        let filling = |at: f64| 8192.0 - at * 8192.0 / (minutes * MINUTE) as f64 + noise(at, 10.0);
        let said = first(10, minutes * MINUTE - 11 * MINUTE, filling);
        assert_eq!(said, None, "{minutes}");
    }
}

#[test]
fn a_step_is_no_trend_however_deep() {
    for every in [1, 10] {
        for left in [4000.0, 1000.0, 100.0] {
            let started = |at: f64| if at < 1234.0 { 8192.0 } else { left } + noise(at, 20.0);
            assert_eq!(first(every, 3600, started), None, "{left}");
        }
    }
}

#[test]
fn single_readings_mean_nothing() {
    let spikes = |at: f64| if at % 90.0 < 10.0 { 100.0 } else { 8192.0 };
    assert_eq!(first(10, 3600, spikes), None);
}

/// Page cache is dirty for a while, a build comes and goes, garbage is collected.
#[test]
fn what_comes_and_goes_is_no_trend() {
    for period in [20.0, 45.0, 60.0] {
        let saw = |at: f64| 8000.0 - 6000.0 * (at % period) / period;
        assert_eq!(first(10, 3 * 3600, saw), None, "a saw of {period} s");
    }
    for period in [60.0, 200.0, 300.0, 600.0, 1500.0, 3600.0] {
        let wave = |at: f64| 7000.0 - 1000.0 * (at * std::f64::consts::TAU / period).sin() + noise(at, 100.0);
        assert_eq!(first(10, 3 * 3600, wave), None, "a wave of {period} s");
    }
}

#[test]
fn a_gap_is_no_reading() {
    let mut falling = Falling::of(WITHIN);
    for at in (0..60).chain(5000..5030) {
        assert_eq!(falling.add(Duration::from_secs(at), (8000 - at) << 20), None);
    }
    assert!(falling.readings.len() <= MOST as usize + 2);
}

proptest! {
    /// Whatever moves within a quarter of its height.
    #[test]
    fn a_band_is_no_trend(values in vec(750_u64..1000, 10..400), every in 1_u64..30) {
        let mut falling = Falling::of(WITHIN);
        for (reading, value) in (0..).zip(values) {
            prop_assert_eq!(falling.add(Duration::from_secs(reading * every), value << 20), None);
        }
    }

    /// A straight fall is read exactly, whenever it is read.
    #[test]
    fn a_straight_fall_is_exact(ends in 200_u64..900, gaps in vec(1_u64..15, 60)) {
        let mut falling = Falling::of(WITHIN);
        let mut at = 0;
        for gap in gaps {
            at += gap;
            let left = ends.saturating_sub(at);
            if left < 10 {
                break;
            }
            if let Some(lasts) = falling.add(Duration::from_secs(at), left << 30) {
                prop_assert!((lasts.as_secs_f64() - left as f64).abs() < 1.0, "{:?} of {}", lasts, left);
            }
        }
    }

    #[test]
    fn any_readings(readings in vec((any::<u64>(), any::<u64>()), 0..100), within in 0_u64..1 << 40) {
        let mut falling = Falling::of(Duration::from_nanos(within));
        for (at, value) in readings {
            falling.add(Duration::from_nanos(at), value);
            prop_assert!(falling.readings.len() <= 2 * MOST as usize + 2);
        }
    }
}
