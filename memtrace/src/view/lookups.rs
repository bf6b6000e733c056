//! Where a report looks up names and facts that the ledger does not have.

use std::collections::HashMap;

use crate::{
    attribution::{cgroup::Cgroups, process::Processes},
    kernel::gfp::GfpNames,
    knowledge::incidents::Incidents,
    stream::{
        calls::{CallSites, StackNames},
        event::Address,
        ledger::{Ledger, Origin, OriginKey},
    },
};

/// A slab cache, apart from its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheInfo {
    pub name: String,
    pub aliases: Vec<String>,
    /// Bytes that one object takes.
    pub object_size: u64,
    pub reclaimable: Option<bool>,
    /// How many of the objects that slabinfo counts may be free. None where that is not known.
    pub slack: Option<u64>,
    /// Shown even before its first event.
    pub is_requested: bool,
}

impl CacheInfo {
    /// Its own, and those of caches that are merged into it.
    pub fn names(&self) -> impl Iterator<Item = &String> + Clone {
        std::iter::once(&self.name).chain(&self.aliases)
    }
}

static UNKNOWN_CACHE: CacheInfo = CacheInfo {
    name: String::new(),
    aliases: Vec::new(),
    object_size: 0,
    reclaimable: None,
    slack: None,
    is_requested: false,
};

/// Slab caches by address. Several may have one name: per-cgroup caches before v5.9.
pub type Caches = HashMap<Address, CacheInfo>;

/// Where a report looks up what the ledger's origins refer to, and which origins it shows.
#[derive(Clone, Copy)]
pub struct Lookups<'a> {
    pub host: &'a str,
    pub kernel: &'a str,
    /// What the report leaves out, as options that say what it has; empty where it has everything.
    pub filter: &'a str,
    pub caches: &'a Caches,
    pub processes: &'a Processes,
    pub cgroups: &'a Cgroups,
    /// None where they are not needed or not available.
    pub call_sites: Option<&'a dyn CallSites>,
    /// None where stacks are not recorded.
    pub stacks: Option<&'a dyn StackNames>,
    /// None where they are not needed or not available.
    pub gfp_names: Option<&'a GfpNames>,
    /// To compare a leak with.
    pub incidents: &'a Incidents,
    pub is_shown: &'a dyn Fn(&OriginKey) -> bool,
}

impl<'a> Lookups<'a> {
    /// What is known of a cache; nothing, of an unknown one.
    pub fn cache(self, number: Address) -> &'a CacheInfo {
        self.caches.get(&number).unwrap_or(&UNKNOWN_CACHE)
    }

    /// The origins that the report shows.
    pub fn shown(self, ledger: &'a Ledger) -> impl Iterator<Item = &'a Origin> {
        ledger.origins().filter(move |origin| (self.is_shown)(&origin.key))
    }
}
