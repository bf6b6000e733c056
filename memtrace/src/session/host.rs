//! The host that the session runs on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::budget::memory::Memory;
use crate::{
    procfs::{Files, meminfo::SlabMemory},
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

/// NUMA nodes that have memory or CPUs; 1 on a kernel without any.
pub fn nodes() -> usize {
    let is_node = |name: &str| name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok());
    let Ok(entries) = std::fs::read_dir("/sys/devices/system/node") else { return 1 };
    entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_node)).count().max(1)
}

pub fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
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
