//! Sampling by address: whether an object is followed depends on its address alone, so its allocation and its free are
//! both seen or both not, on either side of the ring.
//!
//! Limits are nested: what a larger period keeps, every smaller one keeps as well.

/// Every object is followed.
pub const ALL: u32 = u32::MAX;

/// Golden ratio times 2^64, odd: spreads addresses that differ in few bits over the upper half.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Objects are aligned to this many bits at least: these are always zero.
const ALIGNMENT_BITS: u32 = 3;

/// The limit for one object in `period`: 0 is taken for 1.
pub const fn limit(period: u32) -> u32 {
    ALL / if period == 0 { 1 } else { period }
}

/// Whether the object at this address is followed.
#[inline(always)]
pub const fn keeps(ptr: u64, limit: u32) -> bool {
    ((ptr >> ALIGNMENT_BITS).wrapping_mul(SPREAD) >> 32) as u32 <= limit
}

/// Another such number, for an independent choice.
const SPREAD_STACKS: u64 = 0xd6e8_feb8_6659_fd93;

/// Whether the allocation of the object at this address carries its stack.
#[inline(always)]
pub const fn carries_stack(ptr: u64, limit: u32) -> bool {
    ((ptr >> ALIGNMENT_BITS).wrapping_mul(SPREAD_STACKS) >> 32) as u32 <= limit
}

#[cfg(test)]
mod tests {
    use super::{ALL, carries_stack, keeps, limit};

    #[test]
    fn the_same_share_of_followed_objects_carries_its_stack() {
        let of = |addresses: &mut dyn Iterator<Item = u64>| {
            addresses.fold((0.0, 0.0), |(with_stack, all), ptr| {
                (with_stack + f64::from(carries_stack(ptr, limit(16))), all + 1.0)
            })
        };
        for size in [64, 192, 256, 1024] {
            let (with_stack, all) = of(&mut addresses(size));
            assert!((with_stack / all * 16.0 - 1.0_f64).abs() < 0.1, "{size} B: {with_stack} of {all}");
            let (with_stack, all) = of(&mut addresses(size).filter(|&ptr| keeps(ptr, limit(4))));
            assert!(
                (with_stack / all * 16.0 - 1.0_f64).abs() < 0.15,
                "{size} B, 1 in 4: {with_stack} of {all}"
            );
        }
    }

    /// Addresses as an allocator hands them out: objects of one size in slabs that lie anywhere.
    fn addresses(size: u64) -> impl Iterator<Item = u64> {
        (0..4096).flat_map(move |slab: u64| {
            let start = 0xffff_8881_0000_0000 + slab.wrapping_mul(7919) % 65536 * 0x8000;
            (0..0x8000 / size).map(move |index| start + index * size)
        })
    }

    #[test]
    fn the_share_that_is_kept_is_the_one_asked_for() {
        for size in [8, 64, 192, 232, 1024, 4096] {
            for period in [1, 2, 10, 64, 1000] {
                let (kept, all) = addresses(size).fold((0_u64, 0_u64), |(kept, all), ptr| {
                    (kept + u64::from(keeps(ptr, limit(period))), all + 1)
                });
                let expected = all as f64 / f64::from(period);
                let error = (kept as f64 - expected).abs() / expected;
                assert!(error < 0.1 || expected < 500.0, "{size} B, 1 in {period}: {kept}, not {expected}");
            }
        }
    }

    #[test]
    fn limits_are_nested() {
        assert_eq!((limit(0), limit(1)), (ALL, ALL));
        for ptr in addresses(192).take(10_000) {
            assert!(!keeps(ptr, limit(100)) || keeps(ptr, limit(10)), "{ptr:#x}");
        }
    }
}
