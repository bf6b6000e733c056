//! What the session itself costs, measured again and again.
//!
//! The kernel's run-time statistics cost every BPF program on the host something, so they are on for a short while only,
//! and what the probes take then stands for the time until the next measurement.

mod account;

use std::time::Duration;

use tokio::time::Instant;

use self::account::{Checkpoint, CpuAccount};
pub use self::account::{CpuUse, Share};
use super::govern::Budget;
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
/// One part in forty: a run that costs 50 ns more meanwhile costs 1.25 ns more on average.
const MEASURE_FOR: Duration = Duration::from_millis(50);

/// Measures in turns: begins, ends, waits.
pub struct Meter {
    measurement: Option<Measurement>,
    /// When the next turn is.
    due: Instant,
    cpu: CpuAccount,
    /// Does not change while a session runs.
    kernel_bytes: Option<u64>,
    /// Why the probes cannot be measured.
    unavailable: Option<Reason>,
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
            cpu: CpuAccount::new(checkpoint()),
            kernel_bytes: cost::kernel_bytes().ok(),
            unavailable: None,
        }
    }

    pub fn due(&self) -> Instant {
        self.due
    }

    pub fn unavailable(&self) -> Option<&Reason> {
        self.unavailable.as_ref()
    }

    /// Begins a measurement, or ends it, which gives what is taken at present.
    pub fn turn(&mut self, events: &Events) -> Option<CpuUse> {
        if let Some(measurement) = self.measurement.take() {
            self.due = measurement.start + MEASURE_EVERY;
            return Some(self.end(measurement, events));
        }
        let statistics = RunTimeStatistics::enable();
        self.unavailable = statistics.as_ref().err().map(|error| root_cause(error));
        let before = events.probe_times().unwrap_or_default();
        let start = Instant::now();
        self.measurement = Some(Measurement { statistics: statistics.ok(), before, start });
        self.due = start + MEASURE_FOR;
        None
    }

    fn end(&mut self, Measurement { statistics, before, start }: Measurement, events: &Events) -> CpuUse {
        let probes =
            statistics.as_ref().and_then(|_| Some((events.probe_times().ok()? - before, start.elapsed())));
        drop(statistics);
        self.cpu.add(probes, checkpoint())
    }

    /// What the session costs at present; at its end, what it did cost on average.
    pub fn cost(&self, is_final: bool, budget: &Budget) -> OwnCost {
        let (cpu, probe_ns_per_event) =
            if is_final { self.cpu.overall(checkpoint()) } else { self.cpu.at_present() };
        OwnCost {
            probe_ns_per_event,
            probes_cpu: cpu.and_then(|cpu| cpu.probes),
            userspace_cpu: cpu.map(|cpu| cpu.userspace),
            resident_bytes: cost::resident_bytes().ok(),
            kernel_bytes: self.kernel_bytes,
            max_memory: Some(budget.most_memory()),
            max_cpu: budget.most_cpu(),
        }
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint { time: Duration::from_nanos(clock::now()), cpu_time: cost::cpu_time() }
}
