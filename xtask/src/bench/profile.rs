//! Where the nanoseconds go: each of memtrace's programs by the kernel's own run-time statistics, and the CPUs by sampling.
//!
//! Both disturb what they measure, so they have runs of their own.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::bpf::{self, ProgramInfo};
use super::contender::{Memtrace, NO_NAMES};
use super::floor::Floor;
use super::process;
use super::scratch::{Scratch, check_interrupted};
use super::tracer::{Traced, UNCHANGED};
use super::workload::{Bound, Load, Workload};
use crate::command::{CommandExt, which};

/// The workload that is looked at: dentries, inodes, files and sockets, on two CPUs.
pub const WORKLOAD: Workload = Workload::Mix;

#[derive(Debug, Serialize)]
pub struct Profile {
    /// What an empty program takes by the statistics: their own cost, already taken off the others' figures.
    pub statistics_ns_per_run: f64,
    pub sessions: Vec<SessionPrograms>,
    /// Where the CPUs were found, of the workload and of memtrace; or why there is no such profile.
    pub samples: Result<Vec<Samples>, String>,
}

/// A session and its programs.
#[derive(Debug, Serialize)]
pub struct SessionPrograms {
    /// The caches that it traced.
    pub cache: String,
    pub programs: Vec<ProgramCost>,
}

#[derive(Debug, Serialize)]
pub struct ProgramCost {
    pub name: String,
    pub runs_per_op: f64,
    /// Without what the statistics cost.
    pub ns_per_run: f64,
    pub recursion_misses: u64,
    /// 0 where the kernel does not say.
    pub verified_insns: u32,
    pub insns: u32,
    pub jited_bytes: u32,
}

/// Functions that a process was found in, most often first.
#[derive(Debug, Serialize)]
pub struct Samples {
    pub process: String,
    pub symbols: Vec<(f64, String)>,
}

pub struct Bench<'a> {
    pub memtrace: &'a Memtrace,
    pub scratch: &'a Scratch,
    pub time: Duration,
}

impl Bench<'_> {
    pub fn run(&self) -> Result<Profile> {
        check_interrupted()?;
        eprintln!("profile");
        let statistics_ns_per_run = self.statistics_ns_per_run()?;
        let caches = [self.memtrace.quiet_cache, "dentry", "all"];
        let session = |cache: &str| self.programs(cache, statistics_ns_per_run);
        Ok(Profile {
            statistics_ns_per_run,
            sessions: caches.into_iter().map(session).collect::<Result<_>>()?,
            samples: self.samples().map_err(|error| format!("{error:#}")),
        })
    }

    fn statistics_ns_per_run(&self) -> Result<f64> {
        let floor = Floor::attach(&self.memtrace.all)?;
        let _stats = bpf::enable_stats()?;
        self.mix()?;
        floor.ns_per_run()?.context("no empty program ran")
    }

    fn programs(&self, cache: &str, statistics_ns: f64) -> Result<SessionPrograms> {
        let traced = self.session(cache)?;
        let stats = bpf::enable_stats()?;
        let ops = self.mix()?;
        drop(stats);
        let mut programs = Vec::new();
        for id in traced.probes().programs {
            let info = bpf::info(bpf::program_by_id(id)?.as_fd())?;
            // Those that run on request only.
            if info.runs > 0 {
                programs.push(ProgramCost::of(info, ops, statistics_ns));
            }
        }
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(SessionPrograms { cache: cache.to_owned(), programs })
    }

    /// perf samples by a timer: virtual machines mostly lack the counters of the CPU.
    fn samples(&self) -> Result<Vec<Samples>> {
        which("perf").context("perf is not installed; cargo xtask bench --setup installs it")?;
        let file = self.scratch.fresh("profile");
        let traced = self.session("all")?;
        let mut record = Command::new("perf");
        record
            .args(["record", "--quiet", "--event", "cpu-clock", "--freq", "3999", "--all-cpus", "--output"])
            .arg(&file);
        record.args(["--", "sleep", &(self.time.as_secs_f64() - 0.2).to_string()]);
        let mut load = self.load()?;
        load.go()?;
        let mut perf =
            process::spawn(record.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
        load.measured()?;
        if !perf.wait()?.success() {
            bail!("perf record cannot sample here");
        }
        drop(traced);
        let ours = env!("CARGO_PKG_NAME");
        ["memtrace", ours].into_iter().map(|process| samples_of(process, &file)).collect()
    }

    fn session(&self, cache: &str) -> Result<Traced> {
        let mut command = self.memtrace.command(cache, NO_NAMES);
        Traced::start(&mut command, self.scratch.fresh("profiled"), UNCHANGED)
    }

    fn mix(&self) -> Result<u64> {
        let mut load = self.load()?;
        let measured = load.run()?;
        load.end()?;
        Ok(measured.ops)
    }

    fn load(&self) -> Result<Load> {
        let bound = Bound { ops: u64::MAX, time: self.time };
        Load::start(WORKLOAD, bound, WORKLOAD.threads(), &self.scratch.fresh("mix"))
    }
}

impl ProgramCost {
    fn of(info: ProgramInfo, ops: u64, statistics_ns: f64) -> Self {
        let ns_per_run = info.run_time_ns as f64 / info.runs as f64 - statistics_ns;
        Self {
            name: info.name,
            runs_per_op: info.runs as f64 / ops as f64,
            // What is in the noise of the statistics is nothing.
            ns_per_run: ns_per_run.max(0.0),
            recursion_misses: info.recursion_misses,
            verified_insns: info.verified_insns,
            insns: info.insns,
            jited_bytes: info.jited_bytes,
        }
    }
}

/// So many functions are shown.
const MOST_SYMBOLS: usize = 16;

fn samples_of(process: &str, file: &Path) -> Result<Samples> {
    let report = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "--percentage", "relative", "--sort", "symbol"])
        .args(["--comms", process, "--input"])
        .arg(file)
        .text()?;
    Ok(Samples { process: process.to_owned(), symbols: symbols(&report) })
}

/// From lines like `    12.34%  [k] bpf_ringbuf_reserve`.
fn symbols(report: &str) -> Vec<(f64, String)> {
    let symbol = |line: &str| {
        let (percent, symbol) = line.trim().split_once('%')?;
        // Where it knows no call chains, two more columns say so.
        let symbol = symbol.trim_end_matches(['-', ' ']).trim();
        Some((percent.parse().ok()?, symbol.to_owned()))
    };
    report.lines().filter_map(symbol).take(MOST_SYMBOLS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_read_from_perf_s_report() {
        let report = "# Samples: 5K of event 'cpu-clock'\n#\n# Overhead  Symbol\n#\n    \
                      31.02%  [k] bpf_ringbuf_reserve          -      -\n     2.10%  [.] memtrace::decode::decode\n\n";
        let expected = vec![
            (31.02, "[k] bpf_ringbuf_reserve".to_owned()),
            (2.1, "[.] memtrace::decode::decode".to_owned()),
        ];
        assert_eq!(symbols(report), expected);
        assert_eq!(symbols("Error: no data\n"), []);
    }
}
