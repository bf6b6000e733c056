//! The machine and what ran on it: without these no figure means anything.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

use super::peers::PEERS;
use crate::command::CommandExt;
use crate::{host, paths};

#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// UTC, RFC 3339.
    pub date: String,
    pub kernel: String,
    pub cpu: String,
    pub cpus: usize,
    pub memory_bytes: u64,
    /// The commit that was measured; with `+` where the tree had changes beside it.
    pub commit: String,
    /// Names and versions of the peers that are installed.
    pub peers: Vec<(String, String)>,
    /// Share of all CPUs that others used in the second before we began: 0 to 1.
    pub busy_before: f64,
}

impl Facts {
    /// Looks on for a second.
    pub fn gather() -> Self {
        Self {
            date: date(),
            kernel: host::kernel_release(),
            cpu: cpu(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory(),
            commit: commit(),
            peers: PEERS.iter().filter_map(|peer| Some((peer.program.to_owned(), peer.version()?))).collect(),
            busy_before: busy_for(Duration::from_secs(1)),
        }
    }
}

fn date() -> String {
    Command::new("date")
        .args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"])
        .text()
        .map_or_else(|_| "?".into(), |date| date.trim().into())
}

fn cpu() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "?".into(), |(_, name)| name.to_owned())
}

fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram * u64::from(info.mem_unit)
}

fn commit() -> String {
    let git = |args: &[&str]| Command::new("git").current_dir(paths::root()).args(args).text();
    let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "?".into() };
    let is_clean = git(&["status", "--porcelain"]).is_ok_and(|changes| changes.is_empty());
    format!("{}{}", commit.trim(), if is_clean { "" } else { "+" })
}

/// Time of all CPUs since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    total: u64,
    idle: u64,
}

impl CpuTimes {
    fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The first line: `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests are in user and nice.
    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).map_while(|field| field.parse().ok()).take(8).collect();
        let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
        Self { total: ticks.iter().sum(), idle: at(3) + at(4) }
    }

    fn busy_share_since(self, before: Self) -> f64 {
        let total = self.total - before.total;
        if total == 0 { 0.0 } else { 1.0 - (self.idle - before.idle) as f64 / total as f64 }
    }
}

fn busy_for(time: Duration) -> f64 {
    let before = CpuTimes::now();
    sleep(time);
    CpuTimes::now().busy_share_since(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_idle_is_busy() {
        let before = CpuTimes::parse("cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1 2 3\n");
        assert_eq!(before, CpuTimes { total: 1000, idle: 850 });
        let after = CpuTimes::parse("cpu  130 0 60 840 60 0 0 10 9 0\n");
        assert_eq!(after.busy_share_since(before), 0.5);
        assert_eq!(after.busy_share_since(after), 0.0);
    }
}
