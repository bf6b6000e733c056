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
    /// Those that were learned since they were asked for; None where nobody asks.
    learned: Option<Vec<CgroupId>>,
}

impl Cgroups {
    /// None where the host has no cgroups that memtrace can read.
    pub fn new(hierarchy: Option<Hierarchy>) -> Self {
        Self { hierarchy, paths: HashMap::new(), learned: None }
    }

    /// Cgroups that are known already.
    pub fn known(paths: impl IntoIterator<Item = (CgroupId, Vec<u8>)>) -> Self {
        let paths = paths.into_iter().map(|(id, path)| (id, Some(path))).collect();
        Self { hierarchy: None, paths, learned: None }
    }

    /// Learns a cgroup's name while it is there.
    pub fn learn(&mut self, id: CgroupId) {
        let Some(hierarchy) = &self.hierarchy else { return };
        if id == 0 || self.paths.contains_key(&id) || self.paths.len() >= MOST_CGROUPS {
            return;
        }
        self.paths.insert(id, hierarchy.path(id));
        if let Some(learned) = &mut self.learned {
            learned.push(id);
        }
    }

    /// Takes in what is known from elsewhere.
    pub fn define(&mut self, id: CgroupId, path: Option<Vec<u8>>) {
        if self.paths.len() < MOST_CGROUPS || self.paths.contains_key(&id) {
            self.paths.insert(id, path);
        }
    }

    /// Remembers from now on which are learned.
    pub fn keep_changes(&mut self) {
        self.learned = Some(Vec::new());
    }

    /// Those that were learned since the last call.
    pub fn take_changes(&mut self) -> Vec<(CgroupId, Option<Vec<u8>>)> {
        let learned = self.learned.as_mut().map(std::mem::take).unwrap_or_default();
        learned.into_iter().filter_map(|id| Some((id, self.paths.get(&id)?.clone()))).collect()
    }

    /// Its path in the hierarchy: `/system.slice/cron.service`. None where that is not known.
    pub fn path(&self, id: CgroupId) -> Option<&[u8]> {
        self.paths.get(&id)?.as_deref()
    }
}
