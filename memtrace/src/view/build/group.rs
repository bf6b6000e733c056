//! The ledger's origins, grouped by the keys of rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    attribution::process::{ChainId, Processes},
    stream::{
        event::{CgroupId, Comm, NO_STACK, ProcessId, StackId, TimeNs},
        ledger::{Aged, FOLDED, Ledger, Origin},
    },
    view::{
        key::{KeyPart, Keys},
        lookups::{CacheInfo, Lookups},
        places::Places,
        snapshot::CacheTotals,
        task::{chain_of, command_of},
    },
};

/// A part for each key.
pub type RowKey = Vec<KeyPart>;

/// Outstanding objects by stack.
pub type Stacked = HashMap<StackId, u64>;

#[derive(Clone, Copy, Default)]
pub struct Totals {
    pub allocs: u64,
    pub frees: u64,
}

/// What a row has of one cache.
#[derive(Clone, Copy, Default)]
pub struct OfCache {
    pub objects: u64,
    pub bytes: u64,
    /// Since attach, freed or not.
    pub allocs: u64,
}

/// A row in the making.
#[derive(Default)]
pub struct Group<'a> {
    pub totals: Totals,
    pub objects: u64,
    pub bytes: u64,
    pub partial_objects: u64,
    pub objects_until_end: u64,
    pub oldest: Option<TimeNs>,
    pub processes: HashSet<ProcessId>,
    pub folded_processes: u64,
    /// Outstanding objects by who started their processes, and by their tasks' cgroups.
    pub chains: HashMap<ChainId, u64>,
    pub cgroups: HashMap<CgroupId, u64>,
    pub stacks: Stacked,
    /// Outstanding objects by command name, to find the one that holds most.
    pub comms: BTreeMap<(Comm, bool), u64>,
    pub caches: HashMap<&'a str, OfCache>,
    pub places: Places<'a>,
    /// The origins that hold something.
    pub origins: Vec<(&'a Origin, &'a CacheInfo)>,
}

/// Groups what is shown. With `aged`, only these objects count as outstanding.
pub fn groups<'a>(
    ledger: &'a Ledger,
    aged: Option<&'a Aged<'a>>,
    by: &Keys,
    caches: &[CacheTotals],
    lookups: Lookups<'a>,
) -> HashMap<RowKey, Group<'a>> {
    let partial = caches.iter().filter(|cache| cache.partial.is_some());
    let partial: HashSet<&str> = partial.map(|cache| cache.name.as_str()).collect();
    let mut groups: HashMap<RowKey, Group<'_>> = HashMap::new();
    for origin in lookups.shown(ledger) {
        let cache = lookups.cache(origin.key.cache);
        let key = by.iter().map(|by| KeyPart::new(by, &origin.key, &cache.name, lookups));
        let group = groups.entry(key.collect()).or_default();
        let before = group.objects;
        group.add(ledger, aged, origin, cache, lookups.processes);
        if partial.contains(cache.name.as_str()) {
            group.partial_objects += group.objects - before;
        }
    }
    groups
}

impl<'a> Group<'a> {
    /// Adds an origin: all of its objects, or only the aged ones.
    fn add(
        &mut self,
        ledger: &'a Ledger,
        aged: Option<&'a Aged<'a>>,
        origin: &'a Origin,
        cache: &'a CacheInfo,
        processes: &Processes,
    ) {
        let (objects, names): (_, Vec<_>) = match aged {
            None => (origin.outstanding(), ledger.names(origin).collect()),
            Some(aged) => (aged.objects(origin), aged.names(origin).collect()),
        };
        self.totals.allocs += origin.allocs;
        self.totals.frees += origin.frees;
        self.objects += objects;
        self.bytes += objects * cache.object_size;
        self.oldest = [self.oldest, ledger.oldest(origin)].into_iter().flatten().min();
        if origin.outstanding() > 0 {
            self.origins.push((origin, cache));
        }
        // How old they were, nobody knows any more.
        if aged.is_none() && !processes.lives(origin.key.task.process()) {
            self.objects_until_end += origin.freed_since_end();
        }
        let of_cache = self.caches.entry(&cache.name).or_default();
        of_cache.objects += objects;
        of_cache.bytes += objects * cache.object_size;
        of_cache.allocs += origin.allocs;
        if objects > 0 {
            self.add_process(origin);
            *self.chains.entry(chain_of(origin.key.task, processes)).or_default() += objects;
            *self.cgroups.entry(origin.key.cgroup).or_default() += objects;
            if origin.key.stack != NO_STACK {
                *self.stacks.entry(origin.key.stack).or_default() += objects;
            }
        }
        *self.comms.entry(command_of(origin.key.task)).or_default() += objects;
        self.places.add((origin.key.cache, origin.key.task.comm), objects, names);
    }

    fn add_process(&mut self, origin: &Origin) {
        match origin.key.task.tgid {
            FOLDED => self.folded_processes += origin.processes,
            _ => {
                self.processes.insert(origin.key.task.process());
            }
        }
    }
}
