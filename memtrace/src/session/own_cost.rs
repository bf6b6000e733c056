//! What the session itself costs.
//!
//! The kernel's run-time statistics slow down every BPF program on the host. So they are on for a short while only, and what
//! the probes take then stands for the time until the next measurement. Where the right to turn them on is given up once the probes
//! are attached, what an event took then stands for all later ones.

mod account;

use std::{thread, time::Duration};

use tokio::time::Instant;

use self::account::{CpuAccount, CpuReading};
pub use self::account::{CpuUse, Share};
use crate::{
    kernel::{
        clock,
        cost::{self, ProbeTimes, RunTimeStatistics},
        events::Events,
        reason::{Reason, root_cause},
    },
    view::OwnCost,
};

const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// A fortieth of the time: 50 ns more for each run meanwhile are 1.25 ns on average.
const MEASURE_FOR: Duration = Duration::from_millis(50);

/// Measures in turns: begins, ends, pauses.
pub struct Meter {
    measurement: Option<Measurement>,
    /// When the next turn is.
    due: Instant,
    cpu: CpuAccount,
    /// Does not change while a session runs.
    kernel_bytes: Option<u64>,
    /// Why the probes cannot be measured.
    unavailable: Option<Reason>,
    /// Nanoseconds that an event took when that was still measured.
    calibrated: Option<f64>,
}

struct Measurement {
    /// None where the kernel does not allow it: then only userspace is measured.
    statistics: Option<RunTimeStatistics>,
    before: ProbeTimes,
    start: Instant,
}

impl Meter {
    pub fn start() -> Self {
        Self {
            measurement: None,
            due: Instant::now(),
            cpu: CpuAccount::new(cpu_reading()),
            kernel_bytes: cost::kernel_bytes().ok(),
            unavailable: None,
            calibrated: None,
        }
    }

    /// Measures what an event takes, for the time when the right to measure is given up. The rings wait meanwhile: they have room for
    /// a second.
    pub fn calibrate(&mut self, events: &Events) {
        let Ok(_statistics) = RunTimeStatistics::enable() else { return };
        let Ok(before) = events.probe_times() else { return };
        thread::sleep(MEASURE_FOR);
        let Ok(after) = events.probe_times() else { return };
        self.calibrated = (after - before).ns_per_event();
    }

    pub fn due(&self) -> Instant {
        self.due
    }

    pub fn unavailable(&self) -> Option<&Reason> {
        self.unavailable.as_ref()
    }

    /// Begins a measurement, or ends one and returns the CPU use at present.
    pub fn turn(&mut self, events: &Events) -> Option<CpuUse> {
        if let Some(measurement) = self.measurement.take() {
            self.due = measurement.start + MEASURE_EVERY;
            return Some(self.end(measurement, events));
        }
        let statistics = if self.calibrated.is_none() { self.enable_statistics() } else { None };
        let before = events.probe_times().unwrap_or_default();
        let start = Instant::now();
        self.measurement = Some(Measurement { statistics, before, start });
        self.due = start + MEASURE_FOR;
        None
    }

    fn enable_statistics(&mut self) -> Option<RunTimeStatistics> {
        let statistics = RunTimeStatistics::enable();
        self.unavailable = statistics.as_ref().err().map(|error| root_cause(error));
        statistics.ok()
    }

    fn end(&mut self, Measurement { statistics, before, start }: Measurement, events: &Events) -> CpuUse {
        let times = events.probe_times().ok().map(|times| times - before);
        let times = match self.calibrated {
            Some(ns_per_event) => times.map(|times| times.estimated(ns_per_event)),
            None => times.filter(|_| statistics.is_some()),
        };
        let probes = times.map(|times| (times, start.elapsed()));
        drop(statistics);
        self.cpu.add(probes, cpu_reading())
    }

    /// What the session costs at present; at its end, on average.
    pub fn cost(&self, is_final: bool, max_memory: u64, max_cpu: Option<Share>) -> OwnCost {
        let (cpu, probe_ns_per_event) =
            if is_final { self.cpu.overall(cpu_reading()) } else { self.cpu.at_present() };
        OwnCost {
            probe_ns_per_event,
            probes_cpu: cpu.and_then(|cpu| cpu.probes),
            userspace_cpu: cpu.map(|cpu| cpu.userspace),
            resident_bytes: cost::resident_bytes().ok(),
            kernel_bytes: self.kernel_bytes,
            max_memory: Some(max_memory),
            max_cpu,
        }
    }
}

fn cpu_reading() -> CpuReading {
    CpuReading { time: Duration::from_nanos(clock::now()), cpu_time: cost::cpu_time() }
}
