//! What /proc, /sys and the cgroup filesystem say. Every parser of their files is here, a pure function of bytes; [`Files`] says
//! where they are. What a kernel does not have is None; only /proc/meminfo must be there.

pub mod buddyinfo;
pub mod cgroup;
pub mod dentry_state;
pub mod fdinfo;
pub mod id_list;
pub mod kallsyms;
pub mod listening;
pub mod maps;
pub mod meminfo;
pub mod memory_events;
pub mod mountinfo;
pub mod open_files;
pub mod pressure;
pub mod process;
pub mod security;
pub mod slab;
pub mod tmpfs;
pub mod vmstat;
pub mod zoneinfo;

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use thiserror::Error;

use self::{
    buddyinfo::FreeBlocks,
    dentry_state::DentryState,
    meminfo::{Meminfo, SlabMemory},
    memory_events::MemoryEvents,
    mountinfo::Mount,
    pressure::Pressure,
    tmpfs::Tmpfs,
    vmstat::Vmstat,
};
use crate::text::escape;

/// The program that runs, whatever has become of its file since: another memtrace is started by it.
pub const OURSELVES: &str = "/proc/self/exe";

#[derive(Debug, Error)]
pub enum HostError {
    #[error("cannot read {}: {source}; is /proc mounted?", escape::path(path))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has no line `MemTotal:` with a number of kB", escape::path(path))]
    NoTotal { path: PathBuf },
}

/// Where /proc and /sys are.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
}

/// The memory of one NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub number: u32,
    pub meminfo: Meminfo,
}

impl Files {
    pub fn live() -> Self {
        Self::at(Path::new("/"))
    }

    /// With `proc` and `sys` below `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    pub fn proc(&self) -> PathBuf {
        self.root.join("proc")
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(path)).ok()
    }

    pub fn meminfo(&self) -> Result<Meminfo, HostError> {
        let path = self.proc().join("meminfo");
        let text = fs::read(&path).map_err(|source| HostError::Unreadable { path: path.clone(), source })?;
        let meminfo = Meminfo::parse(&text);
        if meminfo.total() == 0 { Err(HostError::NoTotal { path }) } else { Ok(meminfo) }
    }

    /// None where /proc/meminfo lacks a line.
    pub fn slab_memory(&self) -> Option<SlabMemory> {
        Meminfo::parse(&self.read("proc/meminfo")?).slab_memory()
    }

    /// By their numbers; empty where the kernel has no NUMA.
    pub fn nodes(&self) -> Vec<Node> {
        let directory = self.root.join("sys/devices/system/node");
        let Ok(entries) = fs::read_dir(&directory) else { return Vec::new() };
        let number = |name: &str| name.strip_prefix("node")?.parse().ok();
        let numbers = entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?));
        let read = |number: u32| {
            let text = fs::read(directory.join(format!("node{number}/meminfo"))).ok()?;
            Some(Node { number, meminfo: Meminfo::parse(&text) })
        };
        let mut nodes: Vec<_> = numbers.filter_map(read).filter(|node| node.meminfo.total() > 0).collect();
        nodes.sort_by_key(|node| node.number);
        nodes
    }

    pub fn vmstat(&self) -> Vmstat {
        self.read("proc/vmstat").map(|text| Vmstat::parse(&text)).unwrap_or_default()
    }

    /// Free pages in the per-CPU lists, which MemFree leaves out.
    pub fn pcp_free_pages(&self) -> Option<u64> {
        self.read("proc/zoneinfo").map(|text| zoneinfo::pcp_free_pages(&text))
    }

    /// The page frames of each zone of memory, holes included.
    pub fn zones(&self) -> Vec<Range<u64>> {
        self.read("proc/zoneinfo").map(|text| zoneinfo::zones(&text)).unwrap_or_default()
    }

    pub fn pressure(&self) -> Option<Pressure> {
        Pressure::parse(&self.read("proc/pressure/memory")?)
    }

    pub fn memory_events(&self) -> MemoryEvents {
        MemoryEvents::read(&self.mounts(), self.vmstat().get("oom_kill"))
    }

    pub fn free_blocks(&self) -> Option<FreeBlocks> {
        FreeBlocks::parse(&self.read("proc/buddyinfo")?)
    }

    pub fn dentry_state(&self) -> Option<DentryState> {
        DentryState::parse(&self.read("proc/sys/fs/dentry-state")?)
    }

    /// In this process's mount namespace.
    pub fn mounts(&self) -> Vec<Mount> {
        self.read("proc/self/mountinfo").map(|text| mountinfo::parse(&text)).unwrap_or_default()
    }

    /// The mounted tmpfs that we see, with what is in them.
    pub fn tmpfs(&self) -> Vec<Tmpfs> {
        tmpfs::measure(&self.mounts())
    }

    /// Bytes of memory that our own cgroups allow us; None where they allow any amount.
    pub fn memory_limit(&self) -> Option<u64> {
        cgroup::limit_of_own(&self.read("proc/self/cgroup")?, &self.mounts())
    }

    pub fn cgroups(&self) -> cgroup::CgroupList {
        cgroup::read(&self.mounts())
    }
}

#[cfg(test)]
mod tests;
