//! From an object's address to its slab's page, in numbers only: the eBPF side reads the kernel's memory, userspace
//! finds out where the pages are, and tests see that the two agree.
//!
//! Addresses wrap: the base is where the page of address 0 would be, which is nowhere.

/// Address of the `struct page` of an address.
#[inline(always)]
pub const fn address_of(address: u64, base: u64, page_shift: u32, page_size: u32) -> u64 {
    base.wrapping_add((address >> page_shift).wrapping_mul(page_size as u64))
}

/// The base, from the page of a slab and the address of any object in it. A slab is 2^order pages, aligned to their
/// size, and goes by the first one's.
pub const fn base(slab: u64, object: u64, order: u32, page_shift: u32, page_size: u32) -> u64 {
    let first = (object >> page_shift) >> order << order;
    slab.wrapping_sub(first.wrapping_mul(page_size as u64))
}

/// In a tail page, from here up `page.compound_head` (then called `compound_info`) is a mask that leads from the tail
/// to the head, not the head's address: newer kernels with CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP. No `struct page` lies
/// this high, and no mask below: that would be a compound page of over 256 GiB.
const FIRST_HEAD_MASK: u64 = 0xffff_ffff_0000_0000;

/// Whether a page whose `compound_head` this is lies in a compound page, but not first.
#[inline(always)]
pub const fn is_tail(compound_head: u64) -> bool {
    compound_head & 1 != 0
}

/// The first page of the compound page that a page is in; itself where it is in none.
#[inline(always)]
pub const fn head(page: u64, compound_head: u64) -> u64 {
    if !is_tail(compound_head) {
        return page;
    }
    let head = compound_head - 1;
    if head >= FIRST_HEAD_MASK { page & head } else { head }
}
