//! The host that the session runs on.

use std::path::Path;

use crate::procfs::{Files, meminfo::SlabMemory};

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

/// Physical memory in bytes.
pub fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
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
