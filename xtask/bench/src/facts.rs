//! The machine and what ran on it: without these no figure means anything.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use procfs::{CpuInfo, CpuTime, Current as _, CurrentSI as _, KernelStats};
use serde::Serialize;
use xtask::command::CommandExt;
use xtask::{host, paths};

use crate::peers::PEERS;

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
    let cpus = CpuInfo::current().ok();
    cpus.as_ref().and_then(|cpus| cpus.model_name(0)).unwrap_or("?").to_owned()
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

/// For which share of the time all CPUs were busy: 0 to 1; 0 where /proc/stat cannot be read.
fn busy_for(time: Duration) -> f64 {
    let Ok(before) = KernelStats::current() else { return 0.0 };
    sleep(time);
    KernelStats::current().map_or(0.0, |now| busy_share(&before.total, &now.total))
}

fn busy_share(before: &CpuTime, now: &CpuTime) -> f64 {
    let total = total_ticks(now) - total_ticks(before);
    let idle = idle_ticks(now) - idle_ticks(before);
    if total == 0 { 0.0 } else { 1.0 - idle as f64 / total as f64 }
}

/// Time of guests is in `user` and `nice`.
fn total_ticks(cpu: &CpuTime) -> u64 {
    let newer = [cpu.irq, cpu.softirq, cpu.steal].into_iter().flatten();
    cpu.user + cpu.nice + cpu.system + idle_ticks(cpu) + newer.sum::<u64>()
}

fn idle_ticks(cpu: &CpuTime) -> u64 {
    cpu.idle + cpu.iowait.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use procfs::{FromBufReadSI as _, current_system_info};

    #[test]
    fn what_is_not_idle_is_busy() {
        let stat = |cpu: &str| {
            let stat = format!("{cpu}\ncpu0 1 2 3 4 5 6 7 8 9 0\nctxt 1\nbtime 1\nprocesses 1\n");
            KernelStats::from_buf_read(stat.as_bytes(), current_system_info()).unwrap().total
        };
        let before = stat("cpu  100 0 50 800 50 0 0 0 7 0");
        assert_eq!((total_ticks(&before), idle_ticks(&before)), (1000, 850));
        let after = stat("cpu  130 0 60 840 60 0 0 10 9 0");
        assert_eq!(busy_share(&before, &after), 0.5);
        assert_eq!(busy_share(&after, &after), 0.0);
    }
}
