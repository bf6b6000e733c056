//! What memtrace itself does and takes, beside what it costs others: the figures of sessions.

use serde::Serialize;

use crate::process::Spent;
use crate::stats::Estimate;
use crate::tracer::Use;
use crate::workload::Workload;

/// All figures of memtrace on all caches, with names, as by default.
#[derive(Debug, Serialize)]
pub struct Sessions {
    /// From its start until its probes are attached.
    pub attached_ns: Estimate,
    /// From its start until a report with the first events is written.
    pub first_event_ns: Estimate,
    pub idle: Idle,
    pub full_speed: Vec<Flood>,
    /// The same while the process is stopped for one second.
    pub stopped: Vec<Flood>,
    /// All CPUs busy, and all of it recorded.
    pub recorded: Vec<Recorded>,
    /// From the signal that ends it until its last probe is gone, with a full load of events waiting.
    pub probes_gone_ns: Estimate,
    /// And until the process is gone, its final report written.
    pub gone_ns: Estimate,
}

#[derive(Debug, Serialize)]
pub struct Idle {
    pub rss_bytes: u64,
    /// Of this, its own: neither files nor the mapped ring buffers.
    pub anonymous_bytes: u64,
    /// What its maps take in the kernel.
    pub map_bytes: u64,
    /// Of one CPU, in percent.
    pub cpu_percent: f64,
}

/// What is left running: a screen, a service.
#[derive(Debug, Serialize)]
pub struct Running {
    pub name: &'static str,
    /// Of one CPU, in percent, when nothing happens.
    pub idle_percent: f64,
    pub rss_bytes: u64,
    /// Of this, its own.
    pub anonymous_bytes: u64,
    pub busy: Option<Busy>,
}

impl Running {
    /// With the same at another time.
    pub fn average(&mut self, other: &Self) {
        self.idle_percent = f64::midpoint(self.idle_percent, other.idle_percent);
        self.rss_bytes = self.rss_bytes.max(other.rss_bytes);
        self.anonymous_bytes = self.anonymous_bytes.max(other.anonymous_bytes);
        if let (Some(busy), Some(other)) = (&mut self.busy, &other.busy) {
            busy.percent = f64::midpoint(busy.percent, other.percent);
            busy.told_percent =
                busy.told_percent.zip(other.told_percent).map(|(one, two)| f64::midpoint(one, two));
        }
    }
}

/// All CPUs busy. In percent of one CPU.
#[derive(Debug, Serialize)]
pub struct Busy {
    /// What the process itself takes.
    pub percent: f64,
    /// What it says that it takes with its probes, where it says that.
    pub told_percent: Option<f64>,
}

/// All CPUs busy with a workload.
#[derive(Debug, Serialize)]
pub struct Flood {
    pub workload: Workload,
    pub cpus: usize,
    pub seconds: f64,
    pub events_per_s: f64,
    /// memtrace's own CPU time. None where there were no events.
    pub cpu_ns_per_event: Option<f64>,
    #[serde(flatten)]
    pub tracer: Use,
}

/// A recorded flood.
#[derive(Debug, Serialize)]
pub struct Recorded {
    #[serde(flatten)]
    pub flood: Flood,
    /// Of the file.
    pub bytes: u64,
    pub bytes_per_event: Option<f64>,
    /// From the file to the report, ledger included, by CPU time.
    pub reported_per_s: Option<f64>,
    /// Of `memtrace report` on it.
    pub report: Spent,
}
