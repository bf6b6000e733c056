//! Numbers of slab caches that took the place of another: see [`memtrace_common::succession`].

use std::collections;

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use memtrace_common::{
    generation::{SLOTS, slot},
    names::map,
};

use super::load::LoadError;

/// What the kernel side knows of them.
pub struct Generations {
    numbers: HashMap<MapData, u64, u64>,
    slots: Array<MapData, [u8; SLOTS]>,
}

impl Generations {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let mut take = |name| ebpf.take_map(name).expect("the object has this map");
        let error = |name| move |error| LoadError::Map(name, error);
        Ok(Self {
            numbers: take(map::CACHE_GENERATIONS).try_into().map_err(error(map::CACHE_GENERATIONS))?,
            slots: take(map::GENERATION_SLOTS).try_into().map_err(error(map::GENERATION_SLOTS))?,
        })
    }

    /// Numbers by address.
    pub fn numbers(&self) -> Result<collections::HashMap<u64, u64>, MapError> {
        self.numbers.iter().collect()
    }

    /// The number of the cache that is at this address now.
    pub fn number(&self, address: u64) -> Result<u64, MapError> {
        match self.numbers.get(&address, 0) {
            Err(MapError::KeyNotFound) => Ok(address),
            number => number,
        }
    }

    /// Gives what is allocated from the cache at this address from now on another number.
    pub fn set(&mut self, address: u64, number: u64) -> Result<(), MapError> {
        self.numbers.insert(address, number, 0)?;
        let mut slots = self.slots.get(&0, 0)?;
        slots[slot(address)] = 1;
        self.slots.set(0, slots, 0)
    }
}
