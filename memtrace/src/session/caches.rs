//! Which slab cache is which. An address does not identify a cache for good: when a module is unloaded its caches go, and the
//! caches of the next module may be made at the same addresses.
//!
//! A cache at the address of a destroyed one has a number of its own, address and generation: see
//! [`memtrace_common::generation`]. A session on all caches sees a cache being made, since a `struct kmem_cache` is itself a slab
//! object. Otherwise a change in sysfs shows it, at the next report.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aya::maps::MapError;
use memtrace_common::generation::{self, next};

use super::host;
use crate::{
    kernel::{
        caches::{self, KernelCache},
        discover::Kernel,
        generations::Generations,
    },
    procfs::{
        Files,
        slab::{self, SlabCaches},
    },
    stream::{
        event::{Address, Alloc},
        ledger::Ledger,
    },
    view::lookups::{CacheInfo, Caches},
};

/// All caches that were seen, by their numbers.
pub struct CacheDirectory {
    infos: Caches,
    /// Address of the cache of caches; 0 where it is not known.
    cache_of_caches: Address,
    /// Numbers of caches at reused addresses, by address, as far as is known.
    generations: HashMap<Address, Address>,
    /// Addresses of caches that were just made: they may have no names yet.
    new: Vec<Address>,
    /// Names that the user asked for.
    requested: Vec<String>,
    /// Addresses of the caches that pass the filter; empty where all are traced.
    filtered: HashSet<Address>,
    /// Of those, the names of the ones that were destroyed, and how long after the start.
    destroyed: Vec<(String, Duration)>,
    /// /sys/kernel/slab when it was read last.
    fingerprint: Option<u64>,
    /// As of the last call of [`Self::take_changes`].
    taken: Caches,
}

impl CacheDirectory {
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
            fingerprint: Files::live().slab_fingerprint(),
            taken: Caches::default(),
        }
    }

    pub fn infos(&self) -> &Caches {
        &self.infos
    }

    /// Caches that are new or have changed since the last call, with their numbers.
    pub fn take_changes(&mut self) -> Vec<(Address, CacheInfo)> {
        let is_new = |(number, info): &(&Address, &CacheInfo)| self.taken.get(number) != Some(info);
        let changed: Vec<(Address, CacheInfo)> =
            self.infos.iter().filter(is_new).map(|(&number, info)| (number, info.clone())).collect();
        self.taken.extend(changed.iter().cloned());
        changed
    }

    /// Requested caches that were destroyed, with how long after the start.
    pub fn destroyed(&self) -> &[(String, Duration)] {
        &self.destroyed
    }

    /// The number of the cache that is at an address now.
    pub fn number(&self, address: Address) -> Address {
        self.generations.get(&address).copied().unwrap_or(address)
    }

    /// Notices new caches. Every allocation passes here.
    pub fn notice(&mut self, alloc: &Alloc) {
        // An allocation may be sent twice.
        if alloc.cache == self.cache_of_caches && !self.new.contains(&alloc.ptr) {
            self.new.push(alloc.ptr);
        }
    }

    /// Reads the names of the caches that were just made: some are gone by the next report.
    pub fn learn_new(&mut self, kernel: &Kernel, generations: &Generations) -> Result<(), MapError> {
        for address in std::mem::take(&mut self.new) {
            let number = generations.id(address)?;
            let cache = caches::read(&kernel.memory, &kernel.layout, address);
            match cache {
                // The address may have been reused while we read it: check the generation.
                Some(cache) if generations.id(address)? == number => self.add(address, number, &cache),
                _ => self.new.push(address),
            }
        }
        Ok(())
    }

    /// Learns which caches came and went since the last call, and tells the probes the generations that they did not see.
    pub fn refresh(
        &mut self,
        kernel: &Kernel,
        files: &Files,
        ledger: &Ledger,
        generations: &mut Generations,
        elapsed: Duration,
    ) -> Result<(), MapError> {
        let fingerprint = files.slab_fingerprint();
        if fingerprint.is_none() || fingerprint != self.fingerprint {
            // Before the list, or a cache that is made in between would get the name of the one before it.
            self.generations = generations.ids()?;
            // Caches that come and go meanwhile may break the list: then the next report tries again.
            if let Ok(list) = caches::list(&kernel.memory, &kernel.layout) {
                let known =
                    files.described_caches(list.iter().map(|cache| cache.name.as_str())).unwrap_or_default();
                for address in self.update(described(&list, &known, &self.requested), elapsed) {
                    generations.set(address, self.number(address))?;
                }
                self.fingerprint = fingerprint;
            }
        }
        self.learn_unlisted(kernel, ledger, generations)
    }

    /// Merges in the caches that the kernel has now, by address. Returns the addresses that turn out to have been reused.
    fn update(&mut self, now: Caches, elapsed: Duration) -> Vec<Address> {
        let mut reused = Vec::new();
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
                Some(known) if known.name == info.name => merge(known, info),
                Some(_) => {
                    let number = next(self.number(address));
                    self.generations.insert(address, number);
                    self.infos.insert(number, info);
                    reused.push(address);
                }
                None => {
                    self.infos.insert(self.number(address), info);
                }
            }
        }
        reused
    }

    /// Adds caches that had events and were never listed: they came and went between two reports.
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
        self.infos.insert(number, from_kernel(cache, Machine::read()));
    }
}

/// What sysfs and the kernel's own list say of each of these caches, by address.
pub fn described(kernel: &[KernelCache], known: &SlabCaches, requested: &[String]) -> Caches {
    let by_kernel_name: HashMap<&str, &slab::SlabCache> =
        known.caches.iter().flat_map(|cache| cache.kernel_names().map(move |name| (name, cache))).collect();
    let machine = Machine::read();
    let info = |cache: &KernelCache| {
        let name = slab::root_name(&cache.name);
        let known = by_kernel_name.get(cache.name.as_str()).or_else(|| by_kernel_name.get(name));
        CacheInfo {
            aliases: known.map(|known| known.aliases.clone()).unwrap_or_default(),
            reclaimable: known.and_then(|known| known.reclaimable),
            is_requested: requested.iter().any(|requested| requested == name),
            ..from_kernel(cache, machine)
        }
    };
    kernel.iter().map(|cache| (cache.address, info(cache))).collect()
}

/// Who has lists of free objects.
#[derive(Clone, Copy)]
struct Machine {
    cpus: u64,
    nodes: u64,
}

impl Machine {
    fn read() -> Self {
        Self { cpus: host::cpus() as u64, nodes: host::nodes() as u64 }
    }
}

fn from_kernel(cache: &KernelCache, machine: Machine) -> CacheInfo {
    CacheInfo {
        name: slab::root_name(&cache.name).to_owned(),
        object_size: cache.size,
        slack: Some(cache.per_cpu_free.most(machine.cpus, machine.nodes)),
        ..CacheInfo::default()
    }
}

/// Aliases are only added: objects of a destroyed one may be left.
fn merge(known: &mut CacheInfo, now: CacheInfo) {
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
