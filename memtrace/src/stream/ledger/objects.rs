//! The outstanding objects, by address.
//!
//! An object is an entry of 16 bytes in a hash table, and nothing else: no slot, no link. The table is cut into many
//! small ones by the first bits of the hash, so that none takes long to grow, and none needs its old memory beside its
//! new. The hash is one that can be undone: which part an entry is in and the rest of the hash, its key, tell the
//! address.
//!
//! An event finds its object with one access to memory that is not in the CPU's cache, and these dominate: some hundred
//! nanoseconds each when they wait for each other. So events come in batches, see [`super::batch`].

use super::{
    entry::{KEY_BITS, Object},
    shard::Shard,
};
use crate::stream::event::Address;

pub const SHARDS: usize = 1 << (HASH_BITS - KEY_BITS);

/// Objects are aligned to 8 bytes at least: the lowest bits of their addresses tell nothing.
const ALIGNMENT_BITS: u32 = 3;
const HASH_BITS: u32 = u64::BITS - ALIGNMENT_BITS;
const HASH_MASK: u64 = u64::MAX >> ALIGNMENT_BITS;

/// Where an object belongs by its address.
#[derive(Clone, Copy, Default)]
pub struct HashPlace {
    shard: u32,
    key: u64,
}

impl HashPlace {
    pub fn new(ptr: Address) -> Self {
        let hash = mix(ptr);
        Self { shard: (hash >> KEY_BITS) as u32, key: hash & ((1 << KEY_BITS) - 1) }
    }

    fn address(self) -> Address {
        unmix(u64::from(self.shard) << KEY_BITS | self.key)
    }
}

/// Where an object is, or would be; until the table changes.
#[derive(Clone, Copy)]
pub struct Slot {
    place: HashPlace,
    at: usize,
}

/// All outstanding objects.
#[derive(Clone)]
pub struct Objects {
    shards: Vec<Shard>,
    len: usize,
}

impl Objects {
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn slot(&self, place: HashPlace) -> Slot {
        Slot { place, at: self.shard(place).search(place.key) }
    }

    pub fn get(&self, slot: Slot) -> Option<Object> {
        self.shard(slot.place).get(slot.at, slot.place.key)
    }

    /// Adds an object where none is.
    pub fn insert(&mut self, slot: Slot, object: Object) {
        self.shard_mut(slot.place).insert(slot.at, slot.place.key, object);
        self.len += 1;
    }

    /// Puts an object in place of the one that is there.
    pub fn replace(&mut self, slot: Slot, object: Object) {
        self.shard_mut(slot.place).replace(slot.at, slot.place.key, object);
    }

    /// Removes the object that is there.
    pub fn remove(&mut self, slot: Slot) {
        self.shard_mut(slot.place).remove(slot.at);
        self.len -= 1;
    }

    /// Removes those of one shard that are not to be kept.
    pub fn retain(&mut self, index: usize, mut keep: impl FnMut(Address, Object) -> bool) {
        let shard = &mut self.shards[index];
        let before = shard.len();
        shard.retain(|key, object| keep(HashPlace { shard: index as u32, key }.address(), object));
        self.len -= before - shard.len();
    }

    /// In no order that has to do with their ages or origins.
    pub fn iter(&self) -> impl Iterator<Item = (Address, Object)> {
        self.iter_from(0)
    }

    /// All, but starting somewhere else for each `start`.
    pub fn iter_from(&self, start: usize) -> impl Iterator<Item = (Address, Object)> {
        (0..SHARDS)
            .map(move |index| start.wrapping_add(index) % SHARDS)
            .flat_map(|shard| self.of_shard(shard))
    }

    /// Those of one shard.
    pub fn of_shard(&self, shard: usize) -> impl Iterator<Item = (Address, Object)> {
        let address = move |key| HashPlace { shard: shard as u32, key }.address();
        self.shards[shard].iter().map(move |(key, object)| (address(key), object))
    }

    /// Reads what will be read to find an object, so that it is in the CPU's cache then.
    pub fn touch(&self, place: HashPlace) -> u64 {
        self.shard(place).touch(place.key)
    }

    fn shard(&self, place: HashPlace) -> &Shard {
        &self.shards[place.shard as usize]
    }

    fn shard_mut(&mut self, place: HashPlace) -> &mut Shard {
        &mut self.shards[place.shard as usize]
    }
}

/// Odd, so that multiplication by it can be undone; with no relation to what samples by address
/// (`memtrace_common::sample`), or the objects of a sample would all fall into few places.
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;
const UNSPREAD: u64 = inverse(SPREAD);

/// Addresses spread evenly over all hashes.
fn mix(ptr: Address) -> u64 {
    let number = ptr >> ALIGNMENT_BITS;
    let folded = number ^ number >> 32;
    let spread = folded.wrapping_mul(SPREAD) & HASH_MASK;
    (spread ^ spread >> 32).wrapping_mul(SPREAD) & HASH_MASK
}

fn unmix(hash: u64) -> Address {
    let spread = hash.wrapping_mul(UNSPREAD) & HASH_MASK;
    let folded = (spread ^ spread >> 32).wrapping_mul(UNSPREAD) & HASH_MASK;
    (folded ^ folded >> 32) << ALIGNMENT_BITS
}

/// The number that undoes a multiplication by this odd one, modulo 2^64: Newton's iteration doubles the bits that are
/// right, and an odd number is its own inverse in the lowest three.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut right = 3;
    while right < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        right *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use memtrace_common::sample;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_tells_its_address(number in any::<u64>()) {
            let ptr = number & !7;
            prop_assert_eq!(HashPlace::new(ptr).address(), ptr);
        }
    }

    /// Objects of one size in slabs that lie anywhere, all of them or those in a sample: they are spread over the shards,
    /// and in each, so that a tenth holds a tenth.
    #[test]
    fn addresses_are_spread() {
        for size in [8, 64, 192, 232, 1024, 4096, 0x8000] {
            for period in [1, 16, 1000] {
                let slab =
                    |number: u64| 0xffff_8881_0000_0000 + number.wrapping_mul(7919) % (1 << 20) * 0x8000;
                let objects = (0..1 << 20)
                    .flat_map(|number| (0..0x8000 / size).map(move |at| slab(number) + at * size));
                let kept = objects.filter(|&ptr| sample::keeps(ptr, sample::limit(period)));
                let (mut shards, mut tenths) = ([0_u32; SHARDS], [0_u32; 10]);
                const OBJECTS: u32 = 20_000;
                for place in kept.take(OBJECTS as usize).map(HashPlace::new) {
                    shards[place.shard as usize] += 1;
                    tenths[((u128::from(place.key) * 10) >> KEY_BITS) as usize] += 1;
                }
                for counts in [&shards[..], &tenths[..]] {
                    let mean = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
                    let most = f64::from(*counts.iter().max().unwrap());
                    // Five standard deviations.
                    let is_even = most < mean + 5.0 * mean.sqrt() + 1.0;
                    assert!(is_even, "{size} B, 1 in {period}: {most}, {mean} on average");
                }
            }
        }
    }
}
