//! The state of a session at one time, besides the ledger: what a report is made of, live or from a recording.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    census::{Census, UnseenAllocations},
    reconcile::Growth,
    sampling::Sampling,
};
use crate::{
    procfs::meminfo::SlabMemory,
    stream::event::{Address, TimeNs},
};

#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The session has ended: probes are detached and the rings are drained.
    pub is_final: bool,
    pub time: SystemTime,
    /// On the clock of the events.
    pub now: TimeNs,
    /// Since the start.
    pub elapsed: Duration,
    pub settled: Option<Settled>,
    pub sampling: Sampling,
    pub meminfo: Option<SlabMemory>,
    pub own_cost: OwnCost,
    /// Lost events by the cache's number.
    pub losses: HashMap<Address, Losses>,
    /// By the cache's name, as of the last reading.
    pub slabinfo: HashMap<String, Slabinfo>,
    /// By the cache's name, as of the last reading of slabinfo; empty where it is not compared.
    pub growth: HashMap<String, Growth>,
    /// Without the agreement with slabinfo, which the view works out.
    pub trust: Trust,
    pub notes: Vec<String>,
    /// What the slab held at the start. None where that is not known, or not yet.
    pub census: Option<Arc<Census>>,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            is_final: false,
            time: SystemTime::UNIX_EPOCH,
            now: 0,
            elapsed: Duration::ZERO,
            settled: None,
            sampling: Sampling::NONE,
            meminfo: None,
            own_cost: OwnCost::default(),
            losses: HashMap::new(),
            slabinfo: HashMap::new(),
            growth: HashMap::new(),
            trust: Trust::default(),
            notes: Vec::new(),
            census: None,
        }
    }
}

impl Checkpoint {
    /// When an object was allocated that has this age now.
    pub fn time_of_age(&self, age: Duration) -> TimeNs {
        self.now.saturating_sub(age.as_nanos() as u64)
    }
}

/// What /proc/slabinfo says of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slabinfo {
    pub objects: u64,
    pub objects_per_s: Option<f64>,
    /// How far off the kernel's estimate may be, besides [`super::lookups::CacheInfo::slack`].
    pub inexact: u64,
}

/// Events of a cache that did not arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    pub allocs: u64,
    pub frees: u64,
}

/// At the end, allocations are not traced any more and frees are followed for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// How long.
    pub time: Duration,
    /// Objects that were freed in that time.
    pub freed: u64,
}

/// What memtrace itself takes: at present, in the final snapshot on average. None where it is not known (yet).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OwnCost {
    /// What the probes take of an allocation or a free on the host, in nanoseconds, filtered out or not.
    pub probe_ns_per_event: Option<f64>,
    /// Shares of one CPU: 1.0 is all of it.
    pub probes_cpu: Option<f64>,
    pub userspace_cpu: Option<f64>,
    pub resident_bytes: Option<u64>,
    /// Of maps and programs.
    pub kernel_bytes: Option<u64>,
    /// What both together may take at most.
    pub max_memory: Option<u64>,
    /// A share of one CPU; None: as much as it takes.
    pub max_cpu: Option<f64>,
}

/// How far the figures can be trusted. `emitted = applied + lost_allocs + lost_frees + lost_names`, exactly, once drained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trust {
    /// Events that passed the kernel-side filters.
    pub emitted: u64,
    /// Events that reached userspace: the ledger, or a filter that left them out.
    pub applied: u64,
    /// Events that found the ring full.
    pub lost_allocs: u64,
    pub lost_frees: u64,
    pub lost_names: u64,
    /// Frees of objects that were allocated before attach or that the filters left out.
    pub unknown_frees: u64,
    /// Allocations at an address that was outstanding: the kernel freed that object without telling.
    pub reused_pointers: u64,
    /// What asking the kernel's memory about outstanding objects came to. None where it was not asked.
    pub verified: Option<Verified>,
    /// Objects that are there and have no event, by a sample of the kernel's memory. None where nobody looked.
    pub unseen_allocations: Option<UnseenAllocations>,
    /// Events that nobody may have seen, at most: the kernel's recursion guard skipped their probe, and perhaps also its
    /// backup.
    pub recursion_misses: u64,
    /// Allocations that the ledger refused because it is at its bound.
    pub refused: u64,
    /// Objects whose slab cache could not be found.
    pub unresolved: u64,
    /// How well the growth of caches by slabinfo is explained by what was traced, in the worst case: 0 to 1. None where
    /// nothing could be compared, or too little grew or shrank to tell.
    pub slabinfo_agreement: Option<f64>,
}

/// Outstanding objects that the kernel's memory was asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Of those that are followed.
    pub objects: u64,
    /// As many were outstanding.
    pub outstanding: u64,
    /// Objects that turned out to be free, since the start: nobody saw their frees, and they are not outstanding any more.
    pub refuted: u64,
    /// All that are outstanding were asked about, but for the latest.
    pub is_whole: bool,
}

impl Trust {
    /// No object that the kernel freed unseen is left in the figures.
    pub fn is_verified(&self) -> bool {
        self.verified.is_some_and(|verified| verified.is_whole)
    }

    /// Frees that nobody saw, as far as they came to light: they are not outstanding any more.
    pub fn unseen_frees(&self) -> u64 {
        self.reused_pointers.saturating_add(self.verified.map_or(0, |verified| verified.refuted))
    }

    pub fn lost(&self) -> u64 {
        self.lost_allocs.saturating_add(self.lost_frees).saturating_add(self.lost_names)
    }

    /// The probe runs that count: they are of any cache, so that where nothing was traced they say nothing.
    pub fn missed(&self) -> u64 {
        if self.emitted > 0 { self.recursion_misses } else { 0 }
    }

    /// Events of which it is known what became of them.
    pub fn accounted(&self) -> u64 {
        self.applied.saturating_add(self.lost())
    }
}
