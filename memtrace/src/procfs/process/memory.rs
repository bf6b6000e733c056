//! The processes' memory, from /proc/PID. A process that ends while it is read is left out.

use std::{collections::HashMap, fs, path::Path};

use super::{ProcessId, Stat, directory, parse_stat};

/// Processes that are read, at most. Reading one takes some 20 us.
pub const MAX_PROCESSES: usize = 20_000;

/// In bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessMemory {
    pub comm: Vec<u8>,
    /// All of its pages that are in memory; those that it shares with others count in full.
    pub resident: u64,
    /// Those of them that are its own: heap, stacks, private pages that it wrote to.
    pub anon: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessList {
    pub list: HashMap<ProcessId, ProcessMemory>,
    pub left_out: usize,
}

pub fn read(proc: &Path, page_size: u64) -> ProcessList {
    read_at_most(MAX_PROCESSES, proc, page_size)
}

fn read_at_most(most: usize, proc: &Path, page_size: u64) -> ProcessList {
    let Ok(entries) = fs::read_dir(proc) else { return ProcessList::default() };
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let mut processes = ProcessList::default();
    for pid in entries.flatten().filter_map(pid) {
        if processes.list.len() == most {
            processes.left_out += 1;
        } else if let Some((id, process)) = read_one(proc, pid, page_size) {
            processes.list.insert(id, process);
        }
    }
    processes
}

/// None for what has ended, and for kernel threads, which have no memory of their own.
fn read_one(proc: &Path, pid: u32, page_size: u64) -> Option<(ProcessId, ProcessMemory)> {
    let directory = directory(proc, pid);
    let Statm { resident, shared } = parse_statm(&fs::read(directory.join("statm")).ok()?)?;
    if resident == 0 {
        return None;
    }
    let Stat { comm, started, .. } = parse_stat(&fs::read(directory.join("stat")).ok()?)?;
    let process = ProcessMemory {
        comm,
        resident: resident.saturating_mul(page_size),
        anon: resident.saturating_sub(shared).saturating_mul(page_size),
    };
    Some((ProcessId { tgid: pid, started }, process))
}

/// What of its memory counts for this process where what is shared is divided among those that share it, in bytes. Walks
/// all of its page tables: some milliseconds for a GiB, in which the process cannot map or unmap anything.
pub fn proportional(proc: &Path, id: ProcessId) -> Option<u64> {
    parse_rollup(&fs::read(directory(proc, id.tgid).join("smaps_rollup")).ok()?)
}

/// In pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statm {
    pub resident: u64,
    /// File pages and shared memory: `task_statm` adds up MM_FILEPAGES and MM_SHMEMPAGES, so the rest is anonymous.
    pub shared: u64,
}

pub fn parse_statm(text: &[u8]) -> Option<Statm> {
    let mut numbers = str::from_utf8(text).ok()?.split_ascii_whitespace().skip(1);
    let mut next = || numbers.next()?.parse().ok();
    Some(Statm { resident: next()?, shared: next()? })
}

pub fn parse_rollup(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use memtrace_common::event::start_tag;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statm_tells_own_pages_from_shared_ones() {
        assert_eq!(parse_statm(b"765 418 390 5 0 123 0\n"), Some(Statm { resident: 418, shared: 390 }));
        assert_eq!(parse_statm(b"765 418"), None);
    }

    #[test]
    fn rollup_has_the_proportional_size() {
        let text = b"55724000-7ffe0000 ---p 00000000 00:00 0    [rollup]\nRss:    1672 kB\nPss:     322 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(parse_rollup(text), Some(322 << 10));
        assert_eq!(parse_rollup(b"Pss: 1\n"), None);
    }

    #[test]
    fn what_has_ended_and_what_has_no_memory_is_left_out() {
        let proc = tempfile::tempdir().unwrap();
        let process = |pid: &str, statm: &str, stat: &str| {
            fs::create_dir(proc.path().join(pid)).unwrap();
            fs::write(proc.path().join(pid).join("statm"), statm).unwrap();
            fs::write(proc.path().join(pid).join("stat"), stat).unwrap();
        };
        let stat = "(x) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 42\n";
        process("12", "9 5 2 0 0 0 0", &format!("12 {stat}"));
        process("13", "0 0 0 0 0 0 0", &format!("13 {stat}"));
        process("14", "9 5 2 0 0 0 0", "");
        fs::create_dir(proc.path().join("15")).unwrap();
        fs::create_dir(proc.path().join("self")).unwrap();
        let processes = read(proc.path(), 4096);
        assert_eq!(processes.left_out, 0);
        assert_eq!(read_at_most(0, proc.path(), 4096), ProcessList { left_out: 4, ..ProcessList::default() });
        assert_eq!(processes.list.len(), 1);
        let process = &processes.list[&ProcessId { tgid: 12, started: start_tag(47_110_000_000) }];
        assert_eq!((process.resident, process.anon, &process.comm[..]), (5 * 4096, 3 * 4096, &b"x"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_statm(&bytes);
            let _ = parse_rollup(&bytes);
        }
    }
}
