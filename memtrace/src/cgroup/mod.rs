//! Control groups: which hierarchy tells to whom memory is charged, what a cgroup is called, and whose it is.

mod hierarchy;
mod owner;

use std::collections::HashMap;

pub use self::{
    hierarchy::{Hierarchy, HierarchyError},
    owner::{Container, Owner},
};
use crate::event::CgroupId;

/// Most cgroups whose names are kept.
const MOST_CGROUPS: usize = 1 << 17;

/// The cgroups that were seen: those that were removed keep their names.
pub struct Cgroups {
    hierarchy: Option<Hierarchy>,
    /// Paths in the hierarchy, from its root; None of those that were gone when they were looked for.
    paths: HashMap<CgroupId, Option<Vec<u8>>>,
}

impl Cgroups {
    /// None where the host has no cgroups that memtrace can read.
    pub fn new(hierarchy: Option<Hierarchy>) -> Self {
        Self { hierarchy, paths: HashMap::new() }
    }

    /// Cgroups that are known already.
    pub fn known(paths: impl IntoIterator<Item = (CgroupId, Vec<u8>)>) -> Self {
        let paths = paths.into_iter().map(|(id, path)| (id, Some(path))).collect();
        Self { hierarchy: None, paths }
    }

    /// Learns a cgroup's name while it is there.
    pub fn learn(&mut self, id: CgroupId) {
        let Some(hierarchy) = &self.hierarchy else { return };
        if id == 0 || self.paths.contains_key(&id) || self.paths.len() >= MOST_CGROUPS {
            return;
        }
        self.paths.insert(id, hierarchy.path(id));
    }

    /// Its path in the hierarchy: `/system.slice/cron.service`. None where that is not known.
    pub fn path(&self, id: CgroupId) -> Option<&[u8]> {
        self.paths.get(&id)?.as_deref()
    }
}
