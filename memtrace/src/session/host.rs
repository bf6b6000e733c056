//! The host that the session runs on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::budget::memory::Memory;
use crate::{
    procfs::{Files, meminfo::SlabMemory, process},
    stream::event::Comm,
};

pub struct Host {
    pub name: String,
    /// The kernel's release.
    pub kernel: String,
}

impl Host {
    pub fn read() -> Self {
        let uname = rustix::system::uname();
        Self {
            name: uname.nodename().to_string_lossy().into_owned(),
            kernel: uname.release().to_string_lossy().into_owned(),
        }
    }

    pub fn slab_memory(&self) -> Option<SlabMemory> {
        Files::live().slab_memory()
    }
}

pub fn memory() -> Memory {
    let info = rustix::system::sysinfo();
    let host = info.totalram as u64 * u64::from(info.mem_unit);
    let available = Files::live().slab_memory().and_then(|meminfo| meminfo.available);
    Memory { host, available, limit: memory_limit() }
}

/// Bytes that our own cgroups allow us; None where they allow any amount.
pub fn memory_limit() -> Option<u64> {
    Files::live().memory_limit()
}

/// CPUs that are online.
pub fn cpus() -> usize {
    aya::util::online_cpus().map_or(1, |cpus| cpus.len())
}

/// CPUs up to the last one that is online.
pub fn cpu_numbers() -> usize {
    aya::util::online_cpus().map_or(1, |cpus| cpus.iter().max().map_or(1, |last| *last as usize + 1))
}

/// NUMA nodes that have memory or CPUs; 1 on a kernel without any.
pub fn nodes() -> usize {
    let is_node = |name: &str| name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok());
    let Ok(entries) = std::fs::read_dir("/sys/devices/system/node") else { return 1 };
    entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_node)).count().max(1)
}

pub fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Processes that these started, and those that they started, as far as their parents live.
pub fn descendants(of: &[u32]) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |pid: u32| {
        let stat = fs::read(process::directory(Path::new("/proc"), pid).join("stat")).ok()?;
        Some((pid, process::parse_stat(&stat)?.parent))
    };
    below(of, &pids.filter_map(parent).collect::<Vec<_>>())
}

/// Of processes with their parents.
fn below(of: &[u32], parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found: Vec<u32> = of.to_vec();
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = parents.iter().filter(|&&(pid, of)| of == parent && pid != parent);
        let new: Vec<u32> = children.map(|&(pid, _)| pid).filter(|pid| !found.contains(pid)).collect();
        found.extend(new);
        next += 1;
    }
    found.split_off(of.len())
}

/// The name of a process that has a thread of this name, if it has another one itself.
pub fn process_of_thread(name: Comm) -> Option<String> {
    let comm = |task: &Path| {
        fs::read(task.join("comm"))
            .ok()
            .map(|comm| Comm::truncated(comm.strip_suffix(b"\n").unwrap_or(&comm)))
    };
    let entries =
        |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let processes: Vec<PathBuf> =
        entries(Path::new("/proc")).filter(|path| path.join("task").exists()).collect();
    // A process of that name is what was meant.
    if processes.iter().any(|process| comm(process) == Some(name)) {
        return None;
    }
    let has_it = |process: &&PathBuf| entries(&process.join("task")).any(|task| comm(&task) == Some(name));
    let of_thread = comm(processes.iter().find(has_it)?)?;
    Some(String::from_utf8_lossy(of_thread.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_all_generations() {
        let parents = [(1, 0), (2, 1), (3, 2), (4, 3), (5, 2), (6, 1), (7, 6), (8, 8)];
        assert_eq!(below(&[2], &parents), [3, 5, 4]);
        assert_eq!(below(&[2, 6], &parents), [3, 5, 7, 4]);
        assert_eq!(below(&[2, 3], &parents), [5, 4]);
        assert_eq!(below(&[8], &parents), [0; 0]);
        assert_eq!(below(&[1], &parents).len(), 6);
    }

    #[test]
    fn our_own_children_are_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = descendants(&[std::process::id()]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&child.id()), "{found:?}");
    }
}
