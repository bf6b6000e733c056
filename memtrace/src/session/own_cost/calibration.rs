//! What the probes took at the start, where the right to measure them is given up after that. Pure: no clock.
//!
//! While nothing is measured, the kernel does not count the runs of programs either. What is known all the time is which events came
//! through the filters, since we count these ourselves.

use std::{ops::Sub, time::Duration};

use crate::kernel::cost::ProbeTimes;

/// What there was by a time, or between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub time: Duration,
    /// As far as it was measured.
    pub probes: ProbeTimes,
    /// Allocations and frees that came through the filters.
    pub followed: u64,
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            time: self.time.saturating_sub(before.time),
            probes: self.probes - before.probes,
            followed: self.followed.saturating_sub(before.followed),
        }
    }
}

/// What one event takes, and how many are left out by the filters.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    pub ns_per_event: f64,
    left_out_per_s: f64,
}

impl Calibration {
    /// Of what the host did while nobody else asked for anything, and of all that was measured. None without an event.
    pub fn new(host: Tally, all: ProbeTimes) -> Option<Self> {
        let left_out = host.probes.events.saturating_sub(host.followed) as f64;
        let seconds = host.time.as_secs_f64();
        let left_out_per_s = if seconds > 0.0 { left_out / seconds } else { 0.0 };
        Some(Self { ns_per_event: all.ns_per_event()?, left_out_per_s })
    }

    /// What the probes took since, if the filters left out as many events a second as at the start.
    pub fn estimate(&self, since: Tally) -> ProbeTimes {
        let events = since.followed as f64 + self.left_out_per_s * since.time.as_secs_f64();
        let run_time = Duration::from_nanos((events * self.ns_per_event) as u64);
        ProbeTimes { run_time, events: events as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(run_time_us: u64, events: u64) -> ProbeTimes {
        ProbeTimes { run_time: Duration::from_micros(run_time_us), events }
    }

    fn tally(ms: u64, probes: ProbeTimes, followed: u64) -> Tally {
        Tally { time: Duration::from_millis(ms), probes, followed }
    }

    #[test]
    fn what_is_followed_is_counted_and_the_rest_stays_as_it_was() {
        // In 50 ms 1,000 events of 100 ns, 400 of them followed: 12,000 a second are not.
        let measured = tally(50, times(100, 1_000), 400);
        let calibration = Calibration::new(measured, measured.probes).unwrap();
        assert_eq!(calibration.ns_per_event, 100.0);
        let later = |followed| calibration.estimate(tally(2_000, times(0, 0), followed));
        assert_eq!(later(0), times(2_400, 24_000));
        assert_eq!(later(76_000), times(10_000, 100_000));
    }

    #[test]
    fn what_was_done_to_have_events_is_no_habit_of_the_host() {
        let idle = tally(50, times(0, 0), 0);
        let calibration = Calibration::new(idle, times(40, 400)).unwrap();
        assert_eq!(calibration.ns_per_event, 100.0);
        assert_eq!(calibration.estimate(tally(2_000, times(0, 0), 0)), times(0, 0));
        assert!(Calibration::new(idle, times(40, 0)).is_none(), "nothing is known of an event then");
    }

    #[test]
    fn clocks_and_counts_that_make_no_sense_are_no_harm() {
        let at_once = tally(0, times(1, 10), 20);
        let calibration = Calibration::new(at_once, at_once.probes).unwrap();
        let most = Tally { time: Duration::MAX, probes: times(u64::MAX, u64::MAX), followed: u64::MAX };
        assert_eq!(calibration.estimate(most).events, u64::MAX);
        assert_eq!(tally(1, times(1, 1), 1) - most, Tally::default());
    }
}
