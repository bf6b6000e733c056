//! Which slab cache is which. An address does not tell for good: a module takes its caches along when it goes, and the
//! next one's are made where they were.
//!
//! A cache that took the place of another goes by a number of its own in the ledger: its address, plus one for each that
//! was there before. Who traces all caches sees it being made, since a `struct kmem_cache` comes from a slab cache itself.
//! Otherwise a change in sysfs tells, at the next report.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use foldhash::fast::FixedState;

use super::setup;
use crate::{
    event::{Address, Alloc},
    kernel::{
        caches::{self, KernelCache},
        discover::Kernel,
    },
    ledger::Ledger,
    slab,
    view::build::{CacheInfo, Caches},
};

/// What the kernel calls the cache of caches.
const CACHE_OF_CACHES: &str = "kmem_cache";

/// A `struct kmem_cache` is aligned to a cache line: these bits of its address are zero.
const PREDECESSORS: Address = 63;

/// All caches that were seen, by their numbers in the ledger.
pub struct Directory {
    infos: Caches,
    /// Address of the cache of caches; 0 where it is not known.
    cache_of_caches: Address,
    /// Numbers of caches that took the place of another, by address.
    successors: HashMap<Address, Address, FixedState>,
    /// Addresses of caches that were made just now: they may have no names yet.
    new: Vec<Address>,
    /// Names that were asked for.
    requested: Vec<String>,
    /// Addresses of the caches that the filter lets pass; empty where all are traced.
    filtered: HashSet<Address>,
    /// Of those, the names of the ones that were destroyed, and how long after the start.
    destroyed: Vec<(String, Duration)>,
    /// /sys/kernel/slab when it was read last.
    fingerprint: Option<u64>,
}

impl Directory {
    pub fn new(infos: Caches, requested: Vec<String>, filtered: HashSet<Address>) -> Self {
        let cache_of_caches = infos.iter().find(|(_, info)| info.name == CACHE_OF_CACHES);
        Self {
            cache_of_caches: cache_of_caches.map_or(0, |(&address, _)| address),
            infos,
            successors: HashMap::default(),
            new: Vec::new(),
            requested,
            filtered,
            destroyed: Vec::new(),
            fingerprint: slab::Host::live().fingerprint(),
        }
    }

    pub fn infos(&self) -> &Caches {
        &self.infos
    }

    /// Caches that were asked for and are gone, with how long after the start.
    pub fn destroyed(&self) -> &[(String, Duration)] {
        &self.destroyed
    }

    /// The number of the cache that is at an address now.
    pub fn number(&self, address: Address) -> Address {
        self.successors.get(&address).copied().unwrap_or(address)
    }

    /// The allocation as the ledger is to know it. Every one comes through here.
    pub fn identify(&mut self, mut alloc: Alloc) -> Alloc {
        if alloc.cache == self.cache_of_caches {
            self.made(alloc.ptr);
        }
        if !self.successors.is_empty() {
            alloc.cache = self.number(alloc.cache);
        }
        alloc
    }

    /// Learns the names of the caches that were made just now: some are gone at the next report.
    pub fn learn_new(&mut self, kernel: &Kernel) {
        if self.new.is_empty() {
            return;
        }
        for address in std::mem::take(&mut self.new) {
            match caches::read(&kernel.memory, &kernel.layout, address) {
                Some(cache) => {
                    self.infos.insert(self.number(address), info_of(&cache));
                }
                None => self.new.push(address),
            }
        }
    }

    /// Learns what became of the caches since the last call.
    pub fn refresh(&mut self, kernel: &Kernel, host: &slab::Host, ledger: &Ledger, elapsed: Duration) {
        let fingerprint = host.fingerprint();
        if fingerprint.is_none() || fingerprint != self.fingerprint {
            // Caches that come and go meanwhile may spoil it: then the next report tries again.
            if let Ok(list) = caches::list(&kernel.memory, &kernel.layout) {
                let known = host.described(list.iter().map(|cache| cache.name.as_str())).unwrap_or_default();
                self.update(setup::directory(&list, &known, &self.requested), elapsed);
                self.fingerprint = fingerprint;
            }
        }
        self.learn_unlisted(kernel, ledger);
    }

    /// Takes in the caches that the kernel has now, by address.
    fn update(&mut self, now: Caches, elapsed: Duration) {
        let Self { infos, filtered, destroyed, .. } = self;
        filtered.retain(|address| {
            let Some(before) = infos.get(address) else { return true };
            let is_there = now.get(address).is_some_and(|info| info.name == before.name);
            if !is_there {
                destroyed.push((before.name.clone(), elapsed));
            }
            is_there
        });
        for (address, info) in now {
            match self.infos.get_mut(&self.number(address)) {
                Some(known) if known.name == info.name => take_in(known, info),
                Some(_) => {
                    let number = self.succeed(address);
                    self.infos.insert(number, info);
                }
                None => {
                    self.infos.insert(self.number(address), info);
                }
            }
        }
    }

    /// Caches that had events and were not listed: they came and went between two reports.
    fn learn_unlisted(&mut self, kernel: &Kernel, ledger: &Ledger) {
        let numbers = ledger.origins().map(|origin| origin.key.cache);
        let unknown: HashSet<Address> = numbers.filter(|number| !self.infos.contains_key(number)).collect();
        for number in unknown {
            let address = number & !PREDECESSORS;
            let cache = caches::read(&kernel.memory, &kernel.layout, address);
            let gone = || CacheInfo { name: format!("(gone: {address:#x})"), ..CacheInfo::default() };
            self.infos.insert(number, cache.as_ref().map_or_else(gone, info_of));
        }
    }

    /// A `struct kmem_cache` was handed out.
    fn made(&mut self, address: Address) {
        // Its allocation may come twice.
        if self.new.contains(&address) {
            return;
        }
        if self.infos.contains_key(&self.number(address)) {
            self.succeed(address);
        }
        self.new.push(address);
    }

    /// Gives the cache that is at an address now a number of its own.
    fn succeed(&mut self, address: Address) -> Address {
        let before = self.number(address);
        // Behind so many predecessors it is taken for the last one.
        let number = if before & PREDECESSORS == PREDECESSORS { before } else { before + 1 };
        self.successors.insert(address, number);
        number
    }
}

fn info_of(cache: &KernelCache) -> CacheInfo {
    let name = slab::root_name(&cache.name).to_owned();
    CacheInfo { name, object_size: cache.size, ..CacheInfo::default() }
}

/// Aliases are only added: objects of one that is gone may be left.
fn take_in(known: &mut CacheInfo, now: CacheInfo) {
    let aliases: Vec<String> =
        now.aliases.into_iter().filter(|alias| !known.aliases.contains(alias)).collect();
    known.aliases.extend(aliases);
    known.aliases.sort_unstable();
    known.reclaimable = now.reclaimable.or(known.reclaimable);
    known.slack = now.slack.or(known.slack);
    known.is_requested |= now.is_requested;
}

#[cfg(test)]
mod tests;
