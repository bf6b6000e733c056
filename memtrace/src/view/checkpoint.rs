//! How things stood at one moment, besides what the ledger knows: what a report is made of, live or from a recording.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use super::{OwnCost, Sampling, Settled, Trust, reconcile::Growth};
use crate::{
    procfs::slab::Meminfo,
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
    pub meminfo: Option<Meminfo>,
    pub own_cost: OwnCost,
    /// Lost events by the cache's number.
    pub losses: HashMap<Address, Losses>,
    /// By the cache's name, as of the last reading.
    pub slabinfo: HashMap<String, Slabinfo>,
    /// By the cache's name, as of the last reading of slabinfo; empty where it is not compared.
    pub growth: HashMap<String, Growth>,
    /// But for the agreement with slabinfo, which is the view's to say.
    pub trust: Trust,
    pub notes: Vec<String>,
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
        }
    }
}

/// What /proc/slabinfo says of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slabinfo {
    pub objects: u64,
    pub objects_per_s: Option<f64>,
    /// By how much the kernel's estimate may be wrong, beside [`super::build::CacheInfo::slack`].
    pub inexact: u64,
}

/// Events of a cache that did not arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    pub allocs: u64,
    pub frees: u64,
}
