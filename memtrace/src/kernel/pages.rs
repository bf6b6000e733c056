//! Where the kernel keeps its pages: an object's page says which slab cache it is from.
//!
//! `kmalloc`, `kfree` and the older forms of the other tracepoints do not name the cache, and the requested size does
//! not tell it either: accounted, reclaimable and randomised kmalloc and kmem_buckets (`msg_msg-64`) all have caches
//! of one size. The page always knows. Pages are one array, so `page(address) = base + (address >> PAGE_SHIFT) *
//! sizeof(struct page)`, and `base`, which the kernel randomises at boot and hides, follows from any one slab: its page
//! is at a known address, and its first free object lies in it. That holds where the kernel's memory map is virtually
//! contiguous (SPARSEMEM_VMEMMAP: x86_64, arm64); where it does not, several slabs disagree, and there is no base.

use std::collections::HashMap;

use memtrace_common::{config::Pages, page};

use super::{
    caches::KernelCache,
    layout::Layout,
    memory::{Memory, Readable as _},
};

/// Slabs that must agree.
const WITNESSES: usize = 4;
/// Slabs that are read, at most.
const MAX_SLABS: usize = 64;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PagesError {
    #[error("no readable slab shows where the kernel keeps its pages")]
    NoWitness,
    #[error("this kernel's pages are not one array (no CONFIG_SPARSEMEM_VMEMMAP)")]
    NotContiguous,
}

/// Finds the array of pages.
pub fn locate(memory: &Memory, layout: &Layout, caches: &[KernelCache]) -> Result<Pages, PagesError> {
    let page_shift = rustix::param::page_size().trailing_zeros();
    let witnesses = caches.iter().filter_map(|cache| base_from(memory, layout, cache, page_shift));
    agreed(witnesses.take(MAX_SLABS)).map(|base| pages(base, page_shift, layout))
}

/// What the first [`WITNESSES`] that agree say; no more are read.
fn agreed(bases: impl Iterator<Item = u64>) -> Result<u64, PagesError> {
    let mut votes: HashMap<u64, usize> = HashMap::new();
    for base in bases {
        let votes = votes.entry(base).or_default();
        *votes += 1;
        if *votes >= WITNESSES {
            return Ok(base);
        }
    }
    let mut bases = votes.into_keys();
    match (bases.next(), bases.next()) {
        (None, _) => Err(PagesError::NoWitness),
        // A small machine may have few partial slabs; those that there are agree.
        (Some(base), None) => Ok(base),
        (Some(_), Some(_)) => Err(PagesError::NotContiguous),
    }
}

fn pages(base: u64, page_shift: u32, layout: &Layout) -> Pages {
    Pages {
        base,
        page_shift,
        page_size: layout.slab.page_size,
        // KMALLOC_MAX_CACHE_SIZE of SLUB, the only slab allocator since v6.8.
        largest_slab_kmalloc: 2 << page_shift,
        reserved: 0,
    }
}

/// The base as the first partial slab of a cache shows it; None where the cache has none, or it changed while we read.
fn base_from(memory: &Memory, layout: &Layout, cache: &KernelCache, page_shift: u32) -> Option<u64> {
    let node = memory.u64(cache.address + u64::from(layout.cache.nodes)).ok()?;
    let partial = node.wrapping_add(u64::from(layout.cache.node_partial));
    let entry = memory.u64(partial).ok()?;
    if entry == partial {
        return None;
    }
    let slab = entry.wrapping_sub(u64::from(layout.slab.list));
    let owner = memory.u64(slab.wrapping_add(layout.offsets.slab_cache.into())).ok()?;
    let free_object = memory.u64(slab.wrapping_add(layout.slab.freelist.into())).ok()?;
    if owner != cache.address || free_object == 0 {
        return None;
    }
    Some(page::base(slab, free_object, cache.order, page_shift, layout.slab.page_size))
}

#[cfg(test)]
mod tests {
    use memtrace_common::page;
    use proptest::prelude::*;

    use super::*;

    const PAGE_SHIFT: u32 = 12;
    /// `sizeof(struct page)` of most kernels.
    const PAGE_SIZE: u32 = 64;

    /// Where the kernel may have put its array of pages: aligned, in the upper half and not at its end.
    fn bases() -> impl Strategy<Value = u64> {
        (0xffff_8000_0000_0000..0xffff_fb00_0000_0000_u64).prop_map(|base| base & !((1 << 30) - 1))
    }

    /// A slab's first address and its order, in the kernel's map of physical memory.
    fn slabs() -> impl Strategy<Value = (u64, u32)> {
        (0..1u64 << 34, 0..=5u32).prop_map(|(frame, order)| {
            let frame = frame >> order << order;
            (0xffff_8880_0000_0000 + (frame << PAGE_SHIFT), order)
        })
    }

    proptest! {
        /// The base that one slab shows leads from any object of any slab to its slab.
        #[test]
        fn objects_lead_to_their_slab(
            array in bases(),
            (witness, witness_order) in slabs(),
            (slab, order) in slabs(),
            witness_at in any::<u64>(),
            at in any::<u64>(),
        ) {
            // Where the kernel has the page of an address.
            let kernel = |address: u64| array.wrapping_add(((address - 0xffff_8880_0000_0000) >> PAGE_SHIFT) * 64);
            let object = witness + witness_at % (1 << (PAGE_SHIFT + witness_order));
            let base = page::base(kernel(witness), object, witness_order, PAGE_SHIFT, PAGE_SIZE);

            let object = slab + at % (1 << (PAGE_SHIFT + order));
            let found = page::address_of(object, base, PAGE_SHIFT, PAGE_SIZE);
            let first = kernel(slab);
            prop_assert_eq!(found, kernel(object));
            let is_first = found == first;
            // As most kernels mark a tail page: with the first one's address; newer ones with a mask.
            let mask = !((u64::from(PAGE_SIZE) << order) - 1);
            for mark in [first, mask] {
                let compound_head = if is_first { 0 } else { mark | 1 };
                prop_assert_eq!(page::is_tail(compound_head), !is_first);
                prop_assert_eq!(page::head(found, compound_head), first);
            }
        }

        /// In a first page, the field may hold anything else that is even: a cache, a list.
        #[test]
        fn what_is_no_tail_is_its_own_head(page in any::<u64>(), field in any::<u64>()) {
            prop_assert_eq!(page::head(page, field & !1), page);
        }
    }

    #[test]
    fn enough_witnesses_must_agree() {
        for (bases, expected) in [
            (&[][..], Err(PagesError::NoWitness)),
            (&[7], Ok(7)),
            (&[7, 7, 7], Ok(7)),
            (&[7, 8], Err(PagesError::NotContiguous)),
            (&[7, 8, 7, 9, 7], Err(PagesError::NotContiguous)),
            (&[8, 7, 7, 9, 7, 7], Ok(7)),
        ] {
            assert_eq!(agreed(bases.iter().copied()), expected, "{bases:?}");
        }
    }

    #[test]
    fn no_more_than_needed_are_asked() {
        let mut asked = 0;
        assert_eq!(agreed(std::iter::repeat(7).inspect(|_| asked += 1)), Ok(7));
        assert_eq!(asked, WITNESSES);
    }
}
