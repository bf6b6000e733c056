//! The kernel's list of slab caches, with their addresses.
//!
//! The list is found without symbols, which production kernels hide: our task leads to its PID namespace, that to the
//! cache its `struct pid`s come from, and every cache links to the next. Works the same from 5.10 to 7.x, also where
//! `iter/kmem_cache` is missing (before v6.13) and CONFIG_KALLSYMS_ALL is off.

use std::collections::HashSet;

use super::{
    inspect::part::Part,
    layout::{CacheLayout, Layout},
    memory::{Memory, MemoryError, Readable as _},
    per_cpu_free::PerCpuFree,
};

/// More caches than any kernel has: a longer walk has lost its way.
const MAX_CACHES: usize = 100_000;

/// One `struct kmem_cache`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelCache {
    pub address: u64,
    /// As in /proc/slabinfo; for a merged cache the name it was first created under.
    pub name: String,
    /// Memory that one object takes, in bytes, padding and metadata included.
    pub size: u64,
    /// Of that, what the owner asked for.
    pub object_size: u64,
    /// Pages of one slab, as a power of two.
    pub order: u32,
    /// Objects of one slab.
    pub objects: u32,
    pub per_cpu_free: PerCpuFree,
}

/// Lists all slab caches.
///
/// The walk takes no lock. A cache that is destroyed meanwhile can end it early; then it is tried again.
pub fn list(memory: &Memory, layout: &Layout) -> Result<Vec<KernelCache>, MemoryError> {
    const TRIES: usize = 5;
    let mut last = None;
    for _ in 0..TRIES {
        match walk(memory, layout) {
            Ok(caches) => return Ok(caches),
            Err(error @ MemoryError::Fault(_)) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.expect("tried at least once"))
}

/// Reads the cache at an address, as it came with an event; None where there is none (any more).
pub fn read(memory: &Memory, layout: &Layout, address: u64) -> Option<KernelCache> {
    let cache = read_unchecked(memory, &layout.cache, address)?;
    cache.is_plausible().then_some(cache)
}

fn walk(memory: &Memory, layout: &Layout) -> Result<Vec<KernelCache>, MemoryError> {
    let list = u64::from(layout.cache.list);
    let first = first_cache(memory, layout)?;
    let mut caches = Vec::new();
    let mut seen = HashSet::new();
    let mut address = first;
    while seen.insert(address) && seen.len() < MAX_CACHES {
        // The list's head is in the circle too, and is no cache.
        caches.extend(read(memory, layout, address));
        address = memory.u64(address + list)?.wrapping_sub(list);
    }
    // Back where it began: the circle is whole.
    if address == first { Ok(caches) } else { Err(MemoryError::Fault(address)) }
}

fn first_cache(memory: &Memory, layout: &Layout) -> Result<u64, MemoryError> {
    let task = memory.current_task()?;
    let namespaces = memory.u64(task + u64::from(layout.task.nsproxy))?;
    let pid_namespace = memory.u64(namespaces + u64::from(layout.task.nsproxy_pid_ns))?;
    memory.u64(pid_namespace + u64::from(layout.task.pid_ns_cache))
}

fn read_unchecked(memory: &Memory, layout: &CacheLayout, address: u64) -> Option<KernelCache> {
    // All at once: each reading takes two system calls.
    let part = Part::read(memory, address, &layout.span())?;
    let name = memory.string(part.u64(Some(layout.name))?).ok()?;
    let order_objects = part.u32(Some(layout.order_objects))?;
    let objects = order_objects & 0xffff;
    let partial_slabs = || part.u32(layout.cpu_partial).map(PerCpuFree::slabs_within);
    Some(KernelCache {
        address,
        name: String::from_utf8(name).unwrap_or_default(),
        size: part.u32(Some(layout.size))?.into(),
        object_size: part.u32(Some(layout.object_size))?.into(),
        order: order_objects >> 16,
        objects,
        per_cpu_free: PerCpuFree {
            objects_per_slab: objects,
            partial_slabs: part.u32(layout.cpu_partial_slabs).or_else(partial_slabs).unwrap_or(0),
            sheaf_capacity: part.u32(layout.sheaf_capacity).unwrap_or(0),
        },
    })
}

impl KernelCache {
    /// Whether what was read there can be a cache: the list's head is surrounded by anything.
    fn is_plausible(&self) -> bool {
        const MAX_OBJECT: u64 = 64 << 20;
        const MAX_ORDER: u32 = 20;
        let named = !self.name.is_empty() && self.name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        let sized = self.object_size > 0 && self.object_size <= self.size && self.size <= MAX_OBJECT;
        named && sized && self.order <= MAX_ORDER
    }
}
