//! Filters that change while the probes run: which processes are the first of their trees, and which cgroups are traced.

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
};
use memtrace_common::{
    cgroup::{LEFT_OUT, TRACED},
    names::map,
};

use super::error::LoadError;

pub struct LiveFilters {
    pids: HashMap<MapData, u32, u8>,
    cgroups: HashMap<MapData, u64, u8>,
}

impl LiveFilters {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let mut take = |name| ebpf.take_map(name).expect("the object has this map");
        let error = |name| move |error| LoadError::Map(name, error);
        Ok(Self {
            pids: take(map::PID_FILTER).try_into().map_err(error(map::PID_FILTER))?,
            cgroups: take(map::CGROUP_FILTER).try_into().map_err(error(map::CGROUP_FILTER))?,
        })
    }

    /// Follows these processes from now on, and all that they start.
    pub fn add_to_trees(&mut self, pids: &[u32]) -> Result<(), LoadError> {
        let added = pids.iter().try_for_each(|&pid| self.pids.insert(pid, 1, 0));
        added.map_err(|error: MapError| LoadError::Map(map::PID_FILTER, error))
    }

    /// Tells the probes whether a cgroup is traced: see [`memtrace_common::cgroup`]. Where there is no room for it, they go on to
    /// send what is of it.
    pub fn decide_cgroup(&mut self, id: u64, is_traced: bool) {
        let _ = self.cgroups.insert(id, if is_traced { TRACED } else { LEFT_OUT }, 0);
    }

    /// Whether the probes know that a cgroup is traced, because it is in one that is.
    pub fn is_traced_cgroup(&self, id: u64) -> bool {
        self.cgroups.get(&id, 0).is_ok_and(|decision| decision == TRACED)
    }
}
