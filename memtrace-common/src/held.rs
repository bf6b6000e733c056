//! Which objects tasks hold that a filter passes: noted in the kernel, so that the frees of all others need no event.
//!
//! A table of addresses, each at a place that follows from it. A place that two objects want is shared from then on, and says of
//! neither that it is not held: then the free is sent, and userspace knows. Nobody clears it again.

/// Of the table: 4 MiB.
pub const PLACES: u32 = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 19;

/// In a place that two objects wanted. No object is there, as all are aligned.
pub const SHARED: u64 = 1;

/// Odd, and another number than those of [`crate::sample`]: what a sample keeps must not want few places.
const SPREAD: u64 = 0xa24b_aed4_963e_e407;

/// The place of the object at this address.
#[inline(always)]
pub const fn place(ptr: u64) -> u32 {
    ((ptr >> 3).wrapping_mul(SPREAD) >> (u64::BITS - PLACE_BITS)) as u32
}

/// What a place holds, once the object is held, that held `before`.
#[inline(always)]
pub const fn with(before: u64, ptr: u64) -> u64 {
    if before == 0 || before == ptr { ptr } else { SHARED }
}

/// Whether the object may be held, by what is in its place.
#[inline(always)]
pub const fn may_be_held(there: u64, ptr: u64) -> bool {
    there == ptr || there == SHARED
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;

    use super::*;

    /// Few enough places that many are shared.
    #[test]
    fn whatever_is_held_is_said_to_be() {
        let (mut table, mut held) = ([0_u64; 64], HashSet::new());
        let (mut random, mut sent) = (1_u64, 0);
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let ptr = 0xffff_8881_0000_0000 + (random >> 40) % 100 * 192;
            let there = &mut table[place(ptr) as usize % 64];
            let is_held = held.remove(&ptr);
            if random >> 63 == 0 {
                assert!(!is_held || may_be_held(*there, ptr));
                sent += u32::from(may_be_held(*there, ptr));
                *there = if *there == ptr { 0 } else { *there };
            } else {
                *there = with(*there, ptr);
                held.insert(ptr);
            }
        }
        assert!(sent > 1_000);
    }

    #[test]
    fn neighbours_have_places_of_their_own() {
        let places: HashSet<_> =
            (0..10_000_u64).map(|object| place(0xffff_8881_0000_0000 + object * 192)).collect();
        assert!(places.len() > 9_800, "{}", places.len());
    }
}
