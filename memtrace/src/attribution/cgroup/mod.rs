//! Control groups: the hierarchy that charges memory, the cgroups' paths, and who owns them.

mod hierarchy;
mod names;
mod owner;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub use self::{
    hierarchy::{Hierarchy, HierarchyError},
    names::container_names,
    owner::{Container, Owner},
};
use crate::stream::event::CgroupId;

/// Most cgroups whose names are kept, and most bytes of their paths: 100,000 of 160 bytes, as containers have.
const MAX_CGROUPS: usize = 1 << 17;
const MAX_BYTES: usize = 32 << 20;

/// The cgroups that were seen: those that were removed keep their names.
#[derive(Clone)]
pub struct Cgroups {
    hierarchy: Option<Arc<Hierarchy>>,
    /// Paths in the hierarchy, from its root; None for cgroups that were gone before their path was read.
    paths: HashMap<CgroupId, Option<Vec<u8>>>,
    /// Those that were learned since the last [`Self::take_changes`]; None unless [`Self::keep_changes`] was called.
    learned: Option<Vec<CgroupId>>,
    /// Of all paths together.
    bytes: usize,
    /// Cgroups that there was no room for.
    left_out: HashSet<CgroupId>,
}

impl Cgroups {
    /// None where the host has no cgroups that memtrace can read.
    pub fn new(hierarchy: Option<Hierarchy>) -> Self {
        let hierarchy = hierarchy.map(Arc::new);
        Self { hierarchy, paths: HashMap::new(), learned: None, bytes: 0, left_out: HashSet::new() }
    }

    /// Cgroups that are known already.
    pub fn known(paths: impl IntoIterator<Item = (CgroupId, Vec<u8>)>) -> Self {
        let mut cgroups = Self::new(None);
        paths.into_iter().for_each(|(id, path)| cgroups.keep(id, Some(path)));
        cgroups
    }

    /// Learns a cgroup's name while it is there.
    pub fn learn(&mut self, id: CgroupId) {
        if id == 0 || self.paths.contains_key(&id) {
            return;
        }
        let Some(hierarchy) = &self.hierarchy else { return };
        if self.is_full() {
            self.leave_out(id);
        } else {
            let path = hierarchy.path(id);
            self.keep(id, path);
        }
    }

    fn keep(&mut self, id: CgroupId, path: Option<Vec<u8>>) {
        self.left_out.remove(&id);
        self.bytes += path.as_ref().map_or(0, Vec::len);
        if let Some(before) = self.paths.insert(id, path) {
            self.bytes -= before.map_or(0, |path| path.len());
        }
        if let Some(learned) = &mut self.learned {
            learned.push(id);
        }
    }

    /// Takes in what is known from elsewhere, as far as there is room.
    pub fn define(&mut self, id: CgroupId, path: Option<Vec<u8>>) {
        if !self.is_full() {
            self.keep(id, path);
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

    /// Whether it was learned; its path, unless it was gone.
    pub fn get(&self, id: CgroupId) -> Option<&Option<Vec<u8>>> {
        self.paths.get(&id)
    }

    fn leave_out(&mut self, id: CgroupId) {
        if self.left_out.len() < MAX_CGROUPS {
            self.left_out.insert(id);
        }
    }

    fn is_full(&self) -> bool {
        self.paths.len() >= MAX_CGROUPS || self.bytes >= MAX_BYTES
    }

    /// Where there is no room for more, forgets the cgroups that are not of interest, and learns those that were left out and
    /// are.
    pub fn prune(&mut self, of_interest: impl FnOnce() -> HashSet<CgroupId>) {
        if self.left_out.is_empty() {
            return;
        }
        let kept = of_interest();
        self.paths.retain(|id, _| kept.contains(id));
        self.bytes = self.paths.values().flatten().map(Vec::len).sum();
        let again: Vec<CgroupId> = self.left_out.drain().filter(|id| kept.contains(id)).collect();
        again.into_iter().for_each(|id| self.learn(id));
    }

    /// How many have a name, or are known to be gone.
    pub fn count(&self) -> usize {
        self.paths.len()
    }

    pub fn path_bytes(&self) -> usize {
        self.bytes
    }

    /// How many cgroups there was no room for.
    pub fn left_out(&self) -> usize {
        self.left_out.len()
    }

    /// Its path in the hierarchy: `/system.slice/cron.service`. None where that is not known.
    pub fn path(&self, id: CgroupId) -> Option<&[u8]> {
        self.paths.get(&id)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as there may be, of which some go.
    #[test]
    fn what_nobody_holds_makes_room() {
        let path = |id: CgroupId| format!("/kubepods.slice/pod-{id:0140}").into_bytes();
        let mut cgroups = Cgroups::known((1..=100_000).map(|id| (id, path(id))));
        assert!(!cgroups.is_full(), "{} bytes", cgroups.bytes);
        cgroups.keep(100_001, Some(vec![b'x'; MAX_BYTES]));
        assert!(cgroups.is_full());
        for id in 200_000..200_010 {
            cgroups.leave_out(id);
        }
        cgroups.prune(|| (1..=1_000).chain([200_003]).collect());
        assert_eq!((cgroups.paths.len(), cgroups.left_out()), (1_000, 0), "it has no hierarchy to ask again");
        assert_eq!(cgroups.path(7), Some(&path(7)[..]));
        assert_eq!(cgroups.bytes, (1..=1_000).map(|id| path(id).len()).sum::<usize>());
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let Ok(hierarchy) = Hierarchy::find() else { return };
        let mut cgroups = Cgroups::new(Some(hierarchy));
        cgroups.keep(u64::MAX, Some(vec![b'x'; MAX_BYTES]));
        (1_000..1_010).for_each(|id| cgroups.learn(id));
        (1_000..1_005).for_each(|id| cgroups.learn(id));
        assert_eq!((cgroups.left_out(), cgroups.paths.len()), (10, 1));
        // Those that still hold something are asked for when there is room.
        cgroups.prune(|| (1_000..1_003).collect());
        assert_eq!((cgroups.left_out(), cgroups.paths.len()), (0, 3));
    }
}
