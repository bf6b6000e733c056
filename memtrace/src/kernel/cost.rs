//! What memtrace itself uses: CPU time of its probes (the kernel's statistics) and of this process, its resident memory, and the
//! kernel memory of its maps and programs.

use std::{collections::HashMap, fs, io, ops::Sub, os::fd::OwnedFd, time::Duration};

use aya::sys::{Stats, SyscallError, enable_stats};
use rustix::{
    param::page_size,
    time::{ClockId, clock_gettime},
};

use crate::procfs::{fdinfo::Fdinfo, process::memory};

/// While it lives, the kernel counts the runs of all BPF programs and their time. That costs each run about 50 ns (two
/// readings of a clock), so it should not live long. Needs CAP_SYS_ADMIN, and v5.8: Linux commit d46edd671a14 ("bpf:
/// Sharing bpf runtime stats with BPF_ENABLE_STATS").
pub struct RunTimeStatistics {
    _fd: OwnedFd,
}

impl RunTimeStatistics {
    pub fn enable() -> Result<Self, SyscallError> {
        enable_stats(Stats::RunTime).map(|fd| Self { _fd: fd })
    }
}

/// Time that probes ran, and how often, as far as [`RunTimeStatistics`] were on: without them the kernel counts neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeTimes {
    /// Of all programs. Includes about one reading of the clock a run, but not the call of the program: on the hosts that
    /// were measured these are about the same.
    pub run_time: Duration,
    /// Allocations and frees of the whole host, filtered out or not.
    pub events: u64,
}

impl ProbeTimes {
    /// None without any event.
    pub fn ns_per_event(self) -> Option<f64> {
        (self.events > 0).then(|| self.run_time.as_nanos() as f64 / self.events as f64)
    }
}

impl Sub for ProbeTimes {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            run_time: self.run_time.saturating_sub(before.run_time),
            events: self.events.saturating_sub(before.events),
        }
    }
}

/// CPU time that this process took, in all its threads.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Resident memory of this process, in bytes.
pub fn resident_bytes() -> io::Result<u64> {
    let statm = memory::parse_statm(&fs::read("/proc/self/statm")?);
    Ok(statm.map_or(0, |statm| statm.resident) * page_size() as u64)
}

/// Kernel memory of the maps and programs that this process has open, in bytes.
pub fn kernel_bytes() -> io::Result<u64> {
    let mut objects = HashMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        // What the directory itself was read with is closed by now.
        let Ok(fdinfo) = fs::read(entry?.path()) else { continue };
        objects.extend(bpf_object(Fdinfo::parse(&fdinfo)));
    }
    Ok(objects.values().sum())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum BpfId {
    Map(u64),
    Program(u64),
}

/// `BPF_MAP_TYPE_RINGBUF`.
const RING: u64 = 27;

/// The map or program that a file descriptor stands for, and how many bytes it takes.
fn bpf_object(fdinfo: Fdinfo<'_>) -> Option<(BpfId, u64)> {
    // A link has a program's id, but no memory.
    let bytes = fdinfo.number("memlock")?;
    let Some(id) = fdinfo.number("map_id") else {
        return Some((BpfId::Program(fdinfo.number("prog_id")?), bytes));
    };
    // A ring's data is not in it from v5.11 to v6.3: Linux commits 80ee81e0403c ("bpf: Eliminate rlimit-based memory
    // accounting infra for bpf maps") and 2f7e4ab2caf2 ("bpf: ringbuf memory usage").
    let data = if fdinfo.number("map_type") == Some(RING) { fdinfo.number("max_entries")? } else { 0 };
    Some((BpfId::Map(id), bytes.max(data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(fdinfo: &str) -> Option<(BpfId, u64)> {
        bpf_object(Fdinfo::parse(fdinfo.as_bytes()))
    }

    #[test]
    fn kernel_memory_is_that_of_maps_and_programs() {
        let map = |map_type, entries, memlock| {
            format!(
                "pos:\t0\nflags:\t02000002\nmap_type:\t{map_type}\nkey_size:\t4\nvalue_size:\t4\nmax_entries:\t{entries}\n\
                 map_flags:\t0x0\nmemlock:\t{memlock}\nmap_id:\t7\nfrozen:\t0\n"
            )
        };
        assert_eq!(object(&map(1, 1024, 91168)), Some((BpfId::Map(7), 91168)));
        assert_eq!(object(&map(27, 4096, 16728)), Some((BpfId::Map(7), 16728)));
        assert_eq!(object(&map(27, 4096, 0)), Some((BpfId::Map(7), 4096)));
        let program = "pos:\t0\nprog_type:\t17\nprog_jited:\t1\nmemlock:\t12288\nprog_id:\t9\nrun_cnt:\t0\n";
        assert_eq!(object(program), Some((BpfId::Program(9), 12288)));
        for other in ["", "pos:\t0\nflags:\t02\nmnt_id:\t17\n", "link_type:\traw_tracepoint\nprog_id:\t9\n"] {
            assert_eq!(object(other), None, "{other:?}");
        }
    }

    #[test]
    fn this_process_takes_something() {
        let memory = vec![1_u8; 8 << 20];
        assert!(resident_bytes().unwrap() > memory.len() as u64);
        assert!(cpu_time() > Duration::ZERO);
        assert_eq!(kernel_bytes().unwrap(), 0, "a test of pure code has no maps");
    }
}
