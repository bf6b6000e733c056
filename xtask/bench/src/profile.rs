//! Where the nanoseconds go: each of memtrace's programs by the kernel's own run-time statistics, and the CPUs by sampling.
//!
//! Both disturb what they measure, so they have runs of their own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aya::sys::{Stats, enable_stats};
use serde::Serialize;
use xtask::command::{CommandExt, which};

use crate::bpf::{self, ProgramInfo};
use crate::contender::{Memtrace, NO_NAMES};
use crate::floor::Floor;
use crate::tracer::{Traced, UNCHANGED};
use crate::workload::{Bound, Load, Workload};
use crate::{interrupt, peers, process};

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
    pub scratch: &'a Path,
    pub time: Duration,
}

impl Bench<'_> {
    pub fn run(&self) -> Result<Profile> {
        interrupt::check()?;
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
        let floor = Floor::attach(&self.memtrace.floor, &self.memtrace.all)?;
        let _stats = enable_stats(Stats::RunTime)?;
        self.mix()?;
        floor.ns_per_run()?.context("no empty program ran")
    }

    fn programs(&self, cache: &str, statistics_ns: f64) -> Result<SessionPrograms> {
        let traced = self.session(cache)?;
        let ids = traced.probes().programs;
        let stats = enable_stats(Stats::RunTime)?;
        // memtrace has statistics on now and then, so they do not begin at 0.
        let before = bpf::infos(&ids)?;
        let ops = self.mix()?;
        let after = bpf::infos(&ids)?;
        drop(stats);
        let cost = |after: ProgramInfo| {
            let before = before.iter().find(|before| before.id == after.id)?;
            ProgramCost::of(before, after, ops, statistics_ns)
        };
        let mut programs: Vec<ProgramCost> = after.into_iter().filter_map(cost).collect();
        programs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(SessionPrograms { cache: cache.to_owned(), programs })
    }

    /// perf samples by a timer: virtual machines mostly lack the counters of the CPU.
    fn samples(&self) -> Result<Vec<Samples>> {
        which(peers::PERF).context("perf is not installed; cargo xtask bench --setup installs it")?;
        let directory = tempfile::tempdir_in(self.scratch)?;
        let file = directory.path().join(peers::PERF_DATA);
        let traced = self.session("all")?;
        let mut record = Command::new(peers::PERF);
        record
            .args(["record", "--quiet", "--event", "cpu-clock", "--freq", "3999", "--all-cpus", "--output"])
            .arg(&file);
        record.args(["--", "sleep", &self.time.as_secs_f64().to_string()]);
        // Longer than perf takes to start and to sample; it is ended then.
        let mut load = self.load(4 * self.time)?;
        load.go()?;
        let mut perf =
            process::spawn(record.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
        if !perf.0.wait()?.success() {
            bail!("perf record cannot sample here");
        }
        drop(load);
        drop(traced);
        let ours = env!("CARGO_PKG_NAME");
        ["memtrace", ours].into_iter().map(|process| samples_of(process, &file)).collect()
    }

    fn session(&self, cache: &str) -> Result<Traced> {
        let mut command = self.memtrace.command(cache, NO_NAMES);
        Traced::start(&mut command, tempfile::tempdir_in(self.scratch)?, UNCHANGED)
    }

    fn mix(&self) -> Result<u64> {
        let mut load = self.load(self.time)?;
        let measured = load.run()?;
        load.end()?;
        Ok(measured.ops)
    }

    fn load(&self, time: Duration) -> Result<Load> {
        let bound = Bound { ops: u64::MAX, time };
        Load::start(WORKLOAD, bound, WORKLOAD.threads(), self.scratch)
    }
}

impl ProgramCost {
    /// None for what did not run meanwhile.
    fn of(before: &ProgramInfo, after: ProgramInfo, ops: u64, statistics_ns: f64) -> Option<Self> {
        let runs = after.runs - before.runs;
        if runs == 0 {
            return None;
        }
        let ns_per_run = (after.run_time_ns - before.run_time_ns) as f64 / runs as f64 - statistics_ns;
        Some(Self {
            name: after.name,
            runs_per_op: runs as f64 / ops as f64,
            // What is in the noise of the statistics is nothing.
            ns_per_run: ns_per_run.max(0.0),
            recursion_misses: after.recursion_misses - before.recursion_misses,
            verified_insns: after.verified_insns,
            insns: after.insns,
            jited_bytes: after.jited_bytes,
        })
    }
}

/// Only the first are shown.
const MAX_SYMBOLS: usize = 16;

fn samples_of(process: &str, file: &Path) -> Result<Samples> {
    let report = Command::new(peers::PERF)
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
    report.lines().filter_map(symbol).take(MAX_SYMBOLS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_did_before_is_not_counted() {
        let info = |runs, run_time_ns, recursion_misses| ProgramInfo {
            id: 7,
            name: "kfree".into(),
            runs,
            run_time_ns,
            recursion_misses,
            verified_insns: 20,
            insns: 10,
            jited_bytes: 60,
        };
        let cost = ProgramCost::of(&info(1000, 90_000, 1), info(3000, 230_000, 4), 500, 50.0).unwrap();
        assert_eq!((cost.runs_per_op, cost.ns_per_run, cost.recursion_misses), (4.0, 20.0, 3));
        let fast = ProgramCost::of(&info(0, 0, 0), info(10, 400, 0), 10, 50.0).unwrap();
        assert_eq!(fast.ns_per_run, 0.0);
        assert!(ProgramCost::of(&info(5, 300, 0), info(5, 300, 0), 10, 50.0).is_none());
    }

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
