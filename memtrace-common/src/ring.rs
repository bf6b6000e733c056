//! Which ring an event goes to: the one of its object's page.
//!
//! So all events of one object are in one ring, in the order in which they were reserved, whatever CPUs they come from,
//! and nothing has to be merged. The objects of a slab are mostly handed out on one CPU, so CPUs seldom meet at a ring; and
//! a CPU that goes from slab to slab fills all rings evenly, so that a single busy one has the room of all.

/// Smaller than or equal to every kernel's pages.
pub const PAGE_SHIFT: u32 = 12;

/// As in [`crate::sample`], but of the page: what one samples must not go to one ring.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Index of the ring for events of the object at this address; `mask` is the number of rings less one, which is a power
/// of two.
#[inline(always)]
pub const fn index(ptr: u64, mask: u32) -> u32 {
    ((ptr >> PAGE_SHIFT).wrapping_mul(SPREAD) >> 32) as u32 & mask
}

#[cfg(test)]
mod tests {
    use super::index;

    #[test]
    fn a_page_has_one_ring_and_pages_spread_over_all() {
        let pages = 1 << 16;
        let mut per_ring = [0_u32; 8];
        for page in 0..pages {
            let start = 0xffff_8881_0000_0000 + page * 4096;
            per_ring[index(start, 7) as usize] += 1;
            assert_eq!(index(start, 7), index(start + 4032, 7));
        }
        for pages_of_ring in per_ring {
            assert!(pages_of_ring.abs_diff(pages as u32 / 8) < 300, "{per_ring:?}");
        }
    }
}
