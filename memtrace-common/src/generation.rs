//! Slab caches that took the place of another: a module takes its caches along when it goes, and the next one's are made
//! at the same addresses. A cache's *number* is its address, plus one for each that is known to have been there before.
//!
//! The kernel side numbers the caches that it sees being made, since an event that is read before another may have
//! happened after it: two objects may be in different rings. What it does not see, userspace finds in sysfs, and tells it.

/// A `struct kmem_cache` is aligned to a cache line: these bits of its address are zero.
pub const GENERATION_MASK: u64 = 63;

/// Addresses at which there may be successors. Caches that are made at more go by their address.
pub const MAX_ADDRESSES: u32 = 512;

/// Slots that say at which addresses there may be a successor: nearly all others need no look-up then.
pub const SLOTS: usize = 64;

/// The slot of the cache at this address.
pub const fn slot(address: u64) -> usize {
    (address >> 6 ^ address >> 12) as usize % SLOTS
}

/// The number of the cache that is made next at this address.
pub const fn next(number: u64) -> u64 {
    // Behind so many predecessors it is taken for the last one.
    if number & GENERATION_MASK == GENERATION_MASK { number } else { number + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_the_address() {
        let address = 0xffff_8881_0000_0100;
        let last = (0..100).fold(address, |number, _| next(number));
        assert_eq!((next(address), last), (address + 1, address | GENERATION_MASK));
    }

    #[test]
    fn slots_are_there() {
        assert!((0..100_000).all(|address| slot(address) < SLOTS));
    }
}
