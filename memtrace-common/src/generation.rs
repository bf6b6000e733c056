//! Generations of slab caches. When a module is unloaded its caches go, and the next module's caches are often made at the same
//! addresses: an address alone does not say which cache an object is from.
//!
//! The kernel side counts generations as it sees caches being made: it must be there, since events of two rings are not read in
//! their order. What it does not see, userspace finds in sysfs and writes into the kernel's map.

/// A slab cache: the address of its `struct kmem_cache`, plus its generation, which is the number of caches known to have been at
/// that address before.
pub type CacheId = u64;

/// The bits of a [`CacheId`] that are the generation. A `struct kmem_cache` is aligned to a cache line: its address has none of
/// these.
pub const GENERATION_MASK: u64 = 63;

/// Addresses that are tracked. Caches at any others have generation 0 for ever.
pub const MAX_ADDRESSES: u32 = 512;

/// Slots that say at which addresses a cache may have a generation: nearly all others then need no look-up.
pub const SLOTS: usize = 64;

/// The slot of the cache at this address.
pub const fn slot(address: u64) -> usize {
    (address >> 6 ^ address >> 12) as usize % SLOTS
}

pub const fn address(id: CacheId) -> u64 {
    id & !GENERATION_MASK
}

/// The cache that is made next at the same address.
pub const fn next(id: CacheId) -> CacheId {
    // The last generation that fits is not counted further.
    if id & GENERATION_MASK == GENERATION_MASK { id } else { id + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_stay_within_the_address() {
        let first = 0xffff_8881_0000_0100;
        let last = (0..100).fold(first, |id, _| next(id));
        assert_eq!((next(first), last), (first + 1, first | GENERATION_MASK));
        assert_eq!((address(first), address(last)), (first, first));
    }

    #[test]
    fn slots_are_there() {
        assert!((0..100_000).all(|address| slot(address) < SLOTS));
    }
}
