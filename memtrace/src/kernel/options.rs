//! What a session wants loaded.

use std::collections::HashSet;

use memtrace_common::{
    COMM_LEN,
    config::{Cgroups, PidNamespace, Stacks},
};

/// What to trace.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Addresses of the caches; None for all.
    pub caches: Option<HashSet<u64>>,
    /// The dentry cache is among them.
    pub names: bool,
    /// kmalloc serves some of them.
    pub kmalloc: bool,
    /// Address of the cache that every `struct kmem_cache` is from; 0 where it is not known.
    pub cache_of_caches: u64,
    /// Empty for all.
    pub pids: Vec<u32>,
    /// Empty for all.
    pub comms: Vec<[u8; COMM_LEN]>,
}

impl Filters {
    pub fn follow_all_tasks(&self) -> bool {
        self.pids.is_empty() && self.comms.is_empty()
    }
}

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Let the programs log rare events.
    pub verbose: bool,
    /// Load backup programs: see `memtrace-ebpf/src/backup.rs`.
    pub backups: bool,
    /// Which objects to follow: see [`memtrace_common::sample`].
    pub sample_limit: u32,
    /// Follow forks, execs and exits.
    pub processes: bool,
    /// How to read a task's cgroup.
    pub cgroups: Cgroups,
    /// Of which namespace the ids of processes are.
    pub pid_namespace: PidNamespace,
    /// Which allocations carry their stack.
    pub stacks: Stacks,
}
