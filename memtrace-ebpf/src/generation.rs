//! Which cache is at an address: see [`memtrace_common::generation`].

use aya_ebpf::bindings::BPF_ANY;
use memtrace_common::generation::{CacheId, next, slot};

use crate::maps;

/// The `struct kmem_cache` at this address was just allocated: from now on it is another cache. The address is in use, so no other
/// CPU runs this for the same one.
#[inline(always)]
pub fn begin(address: u64) -> Option<()> {
    // SAFETY: the value is a plain integer.
    let before = unsafe { maps::CACHE_GENERATIONS.get(address) }.copied().unwrap_or(address);
    maps::CACHE_GENERATIONS.insert(address, next(before), u64::from(BPF_ANY)).ok()?;
    let slots = maps::GENERATION_SLOTS.get_ptr_mut(0)?;
    // SAFETY: the pointer is to the live map value, and a slot is within it. Volatile, because other CPUs read it.
    unsafe { slots.cast::<u8>().add(slot(address)).write_volatile(1) };
    Some(())
}

/// The cache that is at this address now.
#[inline(always)]
pub fn cache_id(address: u64) -> CacheId {
    let Some(slots) = maps::GENERATION_SLOTS.get_ptr(0) else { return address };
    // SAFETY: as above.
    if unsafe { slots.cast::<u8>().add(slot(address)).read_volatile() } == 0 {
        return address;
    }
    // SAFETY: the value is a plain integer.
    unsafe { maps::CACHE_GENERATIONS.get(address) }.copied().unwrap_or(address)
}
