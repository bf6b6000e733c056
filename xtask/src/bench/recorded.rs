//! What recording costs and comes to: all CPUs busy while memtrace writes all that happens to a file, and the file read back.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::process::{self, Spent};
use super::scratch::check_interrupted;
use super::sessions::{Bench, FLOODS, Flood, cpus};
use super::tracer::{self, Traced, UNCHANGED};
use super::workload::Workload;

/// A recorded flood.
#[derive(Debug, Serialize)]
pub struct Recorded {
    pub flood: Flood,
    /// Of the file.
    pub bytes: u64,
    /// Of `memtrace report` on it.
    pub report: Spent,
}

impl Recorded {
    fn events(&self) -> Option<f64> {
        self.flood.tracer.events.filter(|&events| events > 0).map(|events| events as f64)
    }

    pub fn bytes_per_event(&self) -> Option<f64> {
        self.events().map(|events| self.bytes as f64 / events)
    }

    /// From the file to the report, ledger included, by CPU time.
    pub fn reported_per_s(&self) -> Option<f64> {
        self.events().map(|events| events * 1e9 / self.report.cpu_ns.max(1) as f64)
    }
}

const FILE: &str = "recording";

impl Bench<'_> {
    pub fn recordings(&self, time: Duration) -> Result<Vec<Recorded>> {
        FLOODS.into_iter().map(|workload| self.recording(workload, time)).collect()
    }

    fn recording(&self, workload: Workload, time: Duration) -> Result<Recorded> {
        check_interrupted()?;
        eprintln!("{} on all CPUs for {} s, recorded", workload.name(), time.as_secs());
        let directory = self.scratch.fresh("recorded");
        let file = directory.join(FILE);
        let mut command = Command::new(&self.memtrace.program);
        command.args(["record", "--report", "json", "--settle", "0", "--output"]).arg(&file);
        let (traced, mut load) =
            (Traced::start(&mut command, directory.clone(), UNCHANGED)?, self.busy_cpus(workload, time)?);
        load.go()?;
        let measured = load.measured()?;
        load.end()?;
        sleep(Duration::from_millis(50));
        let (mut used, _) = traced.end()?;
        let trust = tracer::last_snapshot(&directory)?;
        (used.events, used.lost) = (Some(trust.emitted), Some(trust.lost()));
        let seconds = measured.wall_ns as f64 / 1e9;
        let events_per_s = trust.emitted as f64 / seconds;
        let flood = Flood { workload, cpus: cpus(), seconds, events_per_s, tracer: used };
        let recorded = Recorded { flood, bytes: fs::metadata(&file)?.len(), report: self.report(&file)? };
        fs::remove_dir_all(&directory)?;
        Ok(recorded)
    }

    fn report(&self, file: &Path) -> Result<Spent> {
        let mut command = Command::new(&self.memtrace.program);
        command.arg("report").arg(file).args(["--output", "json"]).stdout(Stdio::null());
        process::spent(&mut command).context("memtrace report")
    }
}
