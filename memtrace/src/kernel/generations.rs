//! Ids of slab caches whose address was another cache's before: see [`memtrace_common::generation`].

use std::collections;

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use memtrace_common::{
    generation::{CacheId, SLOTS, slot},
    names::map,
};

use super::error::LoadError;

/// The ids that the kernel side knows.
pub struct Generations {
    ids: HashMap<MapData, u64, CacheId>,
    slots: Array<MapData, [u8; SLOTS]>,
}

impl Generations {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let mut take = |name| ebpf.take_map(name).expect("the object has this map");
        let error = |name| move |error| LoadError::Map(name, error);
        Ok(Self {
            ids: take(map::CACHE_GENERATIONS).try_into().map_err(error(map::CACHE_GENERATIONS))?,
            slots: take(map::GENERATION_SLOTS).try_into().map_err(error(map::GENERATION_SLOTS))?,
        })
    }

    /// By address.
    pub fn ids(&self) -> Result<collections::HashMap<u64, CacheId>, MapError> {
        self.ids.iter().collect()
    }

    /// The id of the cache that is at this address now.
    pub fn id(&self, address: u64) -> Result<CacheId, MapError> {
        match self.ids.get(&address, 0) {
            Err(MapError::KeyNotFound) => Ok(address),
            id => id,
        }
    }

    /// Allocations from the cache at this address carry this id from now on.
    pub fn set(&mut self, address: u64, id: CacheId) -> Result<(), MapError> {
        self.ids.insert(address, id, 0)?;
        let mut slots = self.slots.get(&0, 0)?;
        slots[slot(address)] = 1;
        self.slots.set(0, slots, 0)
    }
}
