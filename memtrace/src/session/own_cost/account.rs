//! From times that were measured to shares of a CPU. Pure: no clock.

use std::time::Duration;

use crate::kernel::cost::ProbeTimes;

/// Share of one CPU: 1.0 is all of it.
pub type Share = f64;

/// What memtrace takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuUse {
    /// None where the kernel does not tell.
    pub probes: Option<Share>,
    pub userspace: Share,
}

impl CpuUse {
    /// As far as it is known.
    pub fn total(self) -> Share {
        self.probes.unwrap_or(0.0) + self.userspace
    }
}

/// A time, and the CPU time that the process had used by then.
#[derive(Clone, Copy, Debug)]
pub struct CpuReading {
    pub time: Duration,
    pub cpu_time: Duration,
}

pub struct CpuAccount {
    start: CpuReading,
    last: CpuReading,
    latest: Option<CpuUse>,
    recent: ProbeSum,
    all: ProbeSum,
}

/// Measurements of probes, added up.
#[derive(Clone, Copy, Default)]
struct ProbeSum {
    /// Nanoseconds that probes ran.
    run_time: f64,
    events: f64,
    /// Nanoseconds that were measured.
    measured: f64,
}

impl ProbeSum {
    fn add(&mut self, times: ProbeTimes, measured: Duration) {
        self.run_time += nanoseconds(times.run_time);
        self.events += times.events as f64;
        self.measured += nanoseconds(measured);
    }

    fn share(self) -> Option<Share> {
        (self.measured > 0.0).then(|| self.run_time / self.measured)
    }

    fn ns_per_event(self) -> Option<f64> {
        // Less than one is what is left of long ago.
        (self.events >= 1.0).then(|| self.run_time / self.events)
    }
}

impl CpuAccount {
    pub fn new(start: CpuReading) -> Self {
        Self { start, last: start, latest: None, recent: ProbeSum::default(), all: ProbeSum::default() }
    }

    /// Adds a measurement of the probes, which took so long, and of the process since the last one. Returns what they
    /// took.
    pub fn add(&mut self, probes: Option<(ProbeTimes, Duration)>, now: CpuReading) -> CpuUse {
        let mut this = ProbeSum::default();
        if let Some((times, measured)) = probes {
            this.add(times, measured);
            self.all.add(times, measured);
            // What is older counts half.
            let ProbeSum { run_time, events, measured: before } = self.recent;
            self.recent = ProbeSum { run_time: run_time / 2.0, events: events / 2.0, measured: before / 2.0 };
            self.recent.add(times, measured);
        }
        let used = CpuUse { probes: this.share(), userspace: userspace(self.last, now) };
        self.last = now;
        self.latest = Some(used);
        used
    }

    /// What is taken at present, and a probe's nanoseconds for one event; as far as it was measured.
    pub fn at_present(&self) -> (Option<CpuUse>, Option<f64>) {
        (self.latest, self.recent.ns_per_event())
    }

    /// The same since the start.
    pub fn overall(&self, now: CpuReading) -> (Option<CpuUse>, Option<f64>) {
        let used = CpuUse { probes: self.all.share(), userspace: userspace(self.start, now) };
        (Some(used), self.all.ns_per_event())
    }
}

fn userspace(before: CpuReading, now: CpuReading) -> Share {
    let time = nanoseconds(now.time.saturating_sub(before.time));
    let cpu_time = nanoseconds(now.cpu_time.saturating_sub(before.cpu_time));
    if time > 0.0 { cpu_time / time } else { 0.0 }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(time_ms: u64, cpu_ms: u64) -> CpuReading {
        CpuReading { time: Duration::from_millis(time_ms), cpu_time: Duration::from_millis(cpu_ms) }
    }

    fn probes(run_time_us: u64, events: u64) -> Option<(ProbeTimes, Duration)> {
        let times = ProbeTimes { run_time: Duration::from_micros(run_time_us), events };
        Some((times, Duration::from_millis(50)))
    }

    #[test]
    fn shares_are_of_one_cpu() {
        let mut account = CpuAccount::new(reading(1_000, 300));
        // 5 of 50 ms, 40 of 2,000 ms.
        let used = account.add(probes(5_000, 50_000), reading(3_000, 340));
        assert_eq!(used, CpuUse { probes: Some(0.1), userspace: 0.02 });
        assert_eq!(account.at_present(), (Some(used), Some(100.0)));
        // Two CPUs' worth of probes.
        let used = account.add(probes(100_000, 1_000_000), reading(5_000, 340));
        assert_eq!(used, CpuUse { probes: Some(2.0), userspace: 0.0 });
        assert_eq!(used.total(), 2.0);
    }

    #[test]
    fn the_end_is_the_average_of_all() {
        let mut account = CpuAccount::new(reading(0, 0));
        account.add(probes(1_000, 10_000), reading(2_000, 20));
        account.add(probes(4_000, 10_000), reading(4_000, 20));
        let (used, ns) = account.overall(reading(5_000, 100));
        assert_eq!(used, Some(CpuUse { probes: Some(0.05), userspace: 0.02 }));
        assert_eq!(ns, Some(250.0));
    }

    #[test]
    fn what_cannot_be_measured_is_unknown() {
        let mut account = CpuAccount::new(reading(0, 0));
        assert_eq!(account.at_present(), (None, None));
        let used = account.add(None, reading(2_000, 100));
        assert_eq!(used, CpuUse { probes: None, userspace: 0.05 });
        assert_eq!(used.total(), 0.05);
        assert_eq!(account.at_present(), (Some(used), None));
        assert_eq!(account.overall(reading(2_000, 100)), (Some(used), None));
    }

    #[test]
    fn without_an_event_there_is_no_time_for_one() {
        let mut account = CpuAccount::new(reading(0, 0));
        let used = account.add(probes(0, 0), reading(2_000, 0));
        assert_eq!(used, CpuUse { probes: Some(0.0), userspace: 0.0 });
        assert_eq!(account.at_present().1, None);
    }

    #[test]
    fn newer_measurements_count_more() {
        let mut account = CpuAccount::new(reading(0, 0));
        for time in 1..20 {
            account.add(probes(1_000, 10_000), reading(time * 2_000, 0));
        }
        for time in 20..30 {
            account.add(probes(500, 10_000), reading(time * 2_000, 0));
        }
        let ns = account.at_present().1.unwrap();
        assert!((50.0..51.0).contains(&ns), "{ns}");
    }

    proptest! {
        #[test]
        fn shares_are_finite_whatever_the_clocks_say(
            measurements in proptest::collection::vec(
                (any::<bool>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()),
                0..20,
            ),
        ) {
            let mut account = CpuAccount::new(reading(1_000, 1_000));
            for (known, run_time, events, measured, time, cpu_time) in measurements {
                let times = ProbeTimes { run_time: Duration::from_nanos(run_time.into()), events: events.into() };
                let probes = known.then(|| (times, Duration::from_nanos(measured.into())));
                let used = account.add(probes, reading(time.into(), cpu_time.into()));
                prop_assert!(used.userspace.is_finite() && used.userspace >= 0.0);
                for (used, ns) in [account.at_present(), account.overall(reading(time.into(), cpu_time.into()))] {
                    prop_assert!(used.unwrap().probes.is_none_or(|share| share.is_finite() && share >= 0.0));
                    prop_assert!(ns.is_none_or(|ns| ns.is_finite() && ns >= 0.0));
                }
            }
        }
    }
}
