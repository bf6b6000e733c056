//! Which slab cache is which. An address does not tell for good: a module takes its caches along when it goes, and the
//! next one's are made where they were.
//!
//! A cache that took the place of another goes by a number of its own: see [`memtrace_common::generation`]. Who traces all
//! caches sees it being made, since a `struct kmem_cache` comes from a slab cache itself. Otherwise a change in sysfs tells,
//! at the next report.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aya::maps::MapError;
use memtrace_common::generation::{self, next};

use super::setup;
use crate::{
    kernel::{
        caches::{self, KernelCache},
        discover::Kernel,
        generations::Generations,
    },
    procfs::slab,
    stream::{
        event::{Address, Alloc},
        ledger::Ledger,
    },
    view::build::{CacheInfo, Caches},
};

/// All caches that were seen, by their numbers.
pub struct Directory {
    infos: Caches,
    /// Address of the cache of caches; 0 where it is not known.
    cache_of_caches: Address,
    /// Numbers of caches that took the place of another, by address, as far as is known.
    generations: HashMap<Address, Address>,
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
    pub fn new(
        infos: Caches,
        cache_of_caches: Address,
        requested: Vec<String>,
        filtered: HashSet<Address>,
    ) -> Self {
        Self {
            cache_of_caches,
            infos,
            generations: HashMap::default(),
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
        self.generations.get(&address).copied().unwrap_or(address)
    }

    /// Looks for new caches. Every allocation comes by here.
    pub fn see(&mut self, alloc: &Alloc) {
        // Its allocation may come twice.
        if alloc.cache == self.cache_of_caches && !self.new.contains(&alloc.ptr) {
            self.new.push(alloc.ptr);
        }
    }

    /// Learns the names of the caches that were made just now: some are gone at the next report.
    pub fn learn_new(&mut self, kernel: &Kernel, generations: &Generations) -> Result<(), MapError> {
        for address in std::mem::take(&mut self.new) {
            let number = generations.id(address)?;
            let cache = caches::read(&kernel.memory, &kernel.layout, address);
            match cache {
                // Nor was it another's place while it was read.
                Some(cache) if generations.id(address)? == number => self.add(address, number, &cache),
                _ => self.new.push(address),
            }
        }
        Ok(())
    }

    /// Learns what became of the caches since the last call, and tells the kernel side what it did not see.
    pub fn refresh(
        &mut self,
        kernel: &Kernel,
        host: &slab::Host,
        ledger: &Ledger,
        generations: &mut Generations,
        elapsed: Duration,
    ) -> Result<(), MapError> {
        let fingerprint = host.fingerprint();
        if fingerprint.is_none() || fingerprint != self.fingerprint {
            // Before the list, or a cache that is made in between would be given its predecessor's name.
            self.generations = generations.ids()?;
            // Caches that come and go meanwhile may spoil it: then the next report tries again.
            if let Ok(list) = caches::list(&kernel.memory, &kernel.layout) {
                let known = host.described(list.iter().map(|cache| cache.name.as_str())).unwrap_or_default();
                for address in self.update(setup::directory(&list, &known, &self.requested), elapsed) {
                    generations.set(address, self.number(address))?;
                }
                self.fingerprint = fingerprint;
            }
        }
        self.learn_unlisted(kernel, ledger, generations)
    }

    /// Takes in the caches that the kernel has now, by address. Returns the addresses of those that turn out to have taken
    /// the place of another.
    fn update(&mut self, now: Caches, elapsed: Duration) -> Vec<Address> {
        let mut succeeded = Vec::new();
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
                    let number = next(self.number(address));
                    self.generations.insert(address, number);
                    self.infos.insert(number, info);
                    succeeded.push(address);
                }
                None => {
                    self.infos.insert(self.number(address), info);
                }
            }
        }
        succeeded
    }

    /// Caches that had events and were not listed: they came and went between two reports.
    fn learn_unlisted(
        &mut self,
        kernel: &Kernel,
        ledger: &Ledger,
        generations: &Generations,
    ) -> Result<(), MapError> {
        let numbers = ledger.origins().map(|origin| origin.key.cache);
        let unknown: HashSet<Address> = numbers.filter(|number| !self.infos.contains_key(number)).collect();
        for number in unknown {
            let address = generation::address(number);
            let is_there = generations.id(address)? == number;
            match is_there.then(|| caches::read(&kernel.memory, &kernel.layout, address)).flatten() {
                Some(cache) => self.add(address, number, &cache),
                None => {
                    let name = format!("(gone: {address:#x})");
                    self.infos.insert(number, CacheInfo { name, ..CacheInfo::default() });
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, address: Address, number: Address, cache: &KernelCache) {
        if number != address {
            self.generations.insert(address, number);
        }
        self.infos.insert(number, info_of(cache));
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
