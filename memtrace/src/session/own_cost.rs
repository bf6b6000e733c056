//! What the session itself costs.
//!
//! The kernel's run-time statistics slow down every BPF program on the host. So they are on for a short while only, and what
//! the probes take then stands for the time until the next measurement. Where the right to turn them on is given up once the probes
//! are attached, they are on once, before that, and what an event took then stands for all later ones.

mod account;
mod calibration;

use std::{fs::File, mem, thread, time::Duration};

use tokio::time::Instant;

pub use self::account::{CpuUse, Share};
use self::{
    account::{CpuAccount, CpuReading},
    calibration::{Calibration, Tally},
};
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

/// Of fewer events, a measurement says little of what one takes.
const ENOUGH_EVENTS: u64 = 200;
/// Each is two allocations and their frees, of a file and of its name.
const MADE_FILES: usize = 100;

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
    /// What was measured at the start, and stands for all that comes.
    calibrated: Option<Calibrated>,
}

struct Calibrated {
    calibration: Calibration,
    /// At the last turn.
    before: Tally,
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
    /// half a second.
    pub fn calibrate(&mut self, events: &Events) {
        let _statistics = match RunTimeStatistics::enable() {
            Ok(statistics) => statistics,
            Err(error) => return self.unavailable = Some(root_cause(&error)),
        };
        let Some(start) = tally(events) else { return };
        thread::sleep(MEASURE_FOR);
        let Some(mut end) = tally(events) else { return };
        let host = end - start;
        if host.probes.events < ENOUGH_EVENTS {
            make_events();
            end = tally(events).unwrap_or(end);
        }
        let all = end - start;
        let Some(calibration) = Calibration::new(host, all.probes) else { return };
        self.cpu.add(Some((all.probes, all.time)), cpu_reading());
        self.calibrated = Some(Calibrated { calibration, before: end });
        self.due = Instant::now() + MEASURE_FOR;
    }

    /// Whether what an event takes is known from the start only.
    pub fn is_calibrated(&self) -> bool {
        self.calibrated.is_some()
    }

    pub fn due(&self) -> Instant {
        self.due
    }

    pub fn unavailable(&self) -> Option<&Reason> {
        self.unavailable.as_ref()
    }

    /// Begins a measurement, or ends one and returns the CPU use at present.
    pub fn turn(&mut self, events: &Events) -> Option<CpuUse> {
        if let Some(Calibrated { calibration, before }) = &mut self.calibrated {
            self.due = Instant::now() + MEASURE_EVERY;
            let probes = tally(events).map(|now| {
                let since = now - mem::replace(before, now);
                (calibration.estimate(since), since.time)
            });
            return Some(self.cpu.add(probes, cpu_reading()));
        }
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
        self.cpu.add(probes, cpu_reading())
    }

    /// What the session costs at present; at its end, on average.
    pub fn cost(&self, is_final: bool, max_memory: u64, max_cpu: Option<Share>) -> OwnCost {
        let (cpu, probe_ns_per_event) =
            if is_final { self.cpu.overall(cpu_reading()) } else { self.cpu.at_present() };
        let from_start = self.calibrated.as_ref().map(|calibrated| calibrated.calibration.ns_per_event);
        OwnCost {
            probe_ns_per_event: from_start.or(probe_ns_per_event),
            probes_cpu: cpu.and_then(|cpu| cpu.probes),
            userspace_cpu: cpu.map(|cpu| cpu.userspace),
            resident_bytes: cost::resident_bytes().ok(),
            kernel_bytes: self.kernel_bytes,
            max_memory: Some(max_memory),
            max_cpu,
        }
    }
}

/// None where the kernel does not tell.
fn tally(events: &Events) -> Option<Tally> {
    let emitted = events.counters().ok()?.emitted;
    Some(Tally {
        time: Duration::from_nanos(clock::now()),
        probes: events.probe_times().ok()?,
        followed: emitted.allocs + emitted.frees,
    })
}

/// On an idle host. A file that is always there, so that nothing stays.
fn make_events() {
    for _ in 0..MADE_FILES {
        drop(File::open("/"));
    }
}

fn cpu_reading() -> CpuReading {
    CpuReading { time: Duration::from_nanos(clock::now()), cpu_time: cost::cpu_time() }
}
