//! What is known of those that events name, while a recording is written: each block is given what it needs.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use memtrace_common::event::cache_tag;

use super::{columns::Common, definitions::Definitions};
use crate::{
    attribution::{cgroup::Cgroups, process::Processes},
    kernel::symbols::Symbols,
    stream::{
        calls::CallSites as _,
        event::{Address, CacheTag, CgroupId, ProcessId, StackId},
    },
    view::lookups::CacheInfo,
};

pub struct Directory {
    caches: HashMap<Address, CacheInfo>,
    processes: Processes,
    cgroups: Cgroups,
    stacks: HashMap<StackId, Vec<String>>,
    symbols: Option<Arc<Symbols>>,
    /// What changed since the last block.
    changed: Changed,
}

#[derive(Default)]
struct Changed {
    caches: HashSet<Address>,
    processes: HashSet<ProcessId>,
}

impl Directory {
    /// Places in the kernel have no names where there are no symbols.
    pub fn new(symbols: Option<Arc<Symbols>>) -> Self {
        Self {
            caches: HashMap::new(),
            processes: Processes::default(),
            cgroups: Cgroups::new(None),
            stacks: HashMap::new(),
            symbols,
            changed: Changed::default(),
        }
    }

    pub fn define(&mut self, definitions: Definitions) {
        let Definitions { caches, processes, cgroups, stacks, call_sites: _ } = definitions;
        for (number, info) in caches {
            self.changed.caches.insert(number);
            self.caches.insert(number, info);
        }
        for process in processes {
            self.changed.processes.insert(process.id);
            self.processes.define(process);
        }
        cgroups.into_iter().for_each(|(id, path)| self.cgroups.define(id, path));
        self.stacks.extend(stacks);
    }

    /// What a block needs, in a fixed order: whatever its allocations refer to, the caches that its frees tell, and what
    /// changed since the last one.
    pub fn needed(&mut self, common: &[Common], freed: &[Option<CacheTag>]) -> Definitions {
        let Changed { caches, processes } = std::mem::take(&mut self.changed);
        let freed: HashSet<CacheTag> = freed.iter().copied().flatten().collect();
        let mut numbers: BTreeSet<Address> = caches.into_iter().collect();
        numbers.extend(common.iter().map(|common| common.cache));
        let told = self.caches.iter().filter(|(number, info)| {
            info.is_requested || (!freed.is_empty() && freed.contains(&cache_tag(**number)))
        });
        numbers.extend(told.map(|(&number, _)| number));
        let mut processes: BTreeSet<ProcessId> = processes.into_iter().collect();
        // By the number under which it is known, which may be a little earlier.
        let known = |common: &Common| Some(self.processes.definition(common.task.process())?.id);
        processes.extend(common.iter().filter_map(known));
        let cgroups: BTreeSet<CgroupId> = common.iter().map(|common| common.cgroup).collect();
        let places: BTreeSet<Address> = common.iter().map(|common| common.call_site).collect();
        let stacks: BTreeSet<StackId> = common.iter().map(|common| common.stack).collect();
        let symbol = |place: &Address| self.symbols.as_ref()?.name(*place);
        Definitions {
            caches: pick(numbers, |number| self.caches.get(number).cloned()),
            processes: processes.into_iter().filter_map(|id| self.processes.definition(id)).collect(),
            cgroups: pick(cgroups, |id| self.cgroups.get(*id).cloned()),
            call_sites: pick(places, symbol),
            stacks: pick(stacks, |id| self.stacks.get(id).cloned()),
        }
    }

    /// Forgets processes that ended, but for those that the last block names: more of theirs may be under way.
    pub fn forget_ended(&mut self, common: &[Common]) {
        self.processes.forget_ended(common.iter().map(|common| common.task.process()).collect());
    }
}

fn pick<K: Copy, V>(keys: BTreeSet<K>, value: impl Fn(&K) -> Option<V>) -> Vec<(K, V)> {
    keys.into_iter().filter_map(|key| Some((key, value(&key)?))).collect()
}
