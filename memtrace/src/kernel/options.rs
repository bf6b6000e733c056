//! What a session wants loaded.

use std::{collections::HashSet, hash::Hash};

use memtrace_common::{
    COMM_LEN,
    config::{Cgroups, PidNamespace, Stacks},
};

/// What of a kind is traced.
#[derive(Clone, Debug, Default)]
pub enum Members<T> {
    #[default]
    All,
    Only(HashSet<T>),
    Except(HashSet<T>),
}

impl<T: Eq + Hash> Members<T> {
    pub fn contains(&self, member: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(named) => named.contains(member),
            Self::Except(named) => !named.contains(member),
        }
    }
}

impl<T> Members<T> {
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Those that are named.
    pub fn named(&self) -> impl Iterator<Item = &T> {
        let named = match self {
            Self::All => None,
            Self::Only(named) | Self::Except(named) => Some(named),
        };
        named.into_iter().flatten()
    }

    /// Empty where not only some are.
    pub fn only(self) -> HashSet<T> {
        match self {
            Self::Only(named) => named,
            Self::All | Self::Except(_) => HashSet::new(),
        }
    }

    /// How many there are, where that is known.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::All | Self::Except(_) => None,
            Self::Only(named) => Some(named.len()),
        }
    }
}

/// Which processes are traced.
#[derive(Clone, Debug, Default)]
pub enum Processes {
    #[default]
    All,
    /// Of these numbers.
    Only(Vec<u32>),
    /// Likewise, and all that they start.
    Trees(Vec<u32>),
}

/// What to trace.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Their addresses.
    pub caches: Members<u64>,
    /// The dentry cache is among them.
    pub names: bool,
    /// kmalloc serves some of them.
    pub kmalloc: bool,
    /// Address of the cache that every `struct kmem_cache` is from; 0 where it is not known.
    pub cache_of_caches: u64,
    pub processes: Processes,
    /// Empty for all.
    pub uids: Vec<u32>,
    /// Of processes, as the kernel keeps them.
    pub comms: Members<[u8; COMM_LEN]>,
    /// Not all cgroups are traced: see [`super::live_filters`].
    pub by_cgroup: bool,
    /// Userspace leaves out some of what the probes send.
    pub is_sifted: bool,
}

impl Filters {
    pub fn follow_all_tasks(&self) -> bool {
        let is_any = matches!(self.processes, Processes::All) && self.uids.is_empty() && self.comms.is_all();
        is_any && !self.by_cgroup && !self.is_sifted
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
