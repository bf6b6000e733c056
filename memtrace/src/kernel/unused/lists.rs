//! How many objects are on the lists of one `struct list_lru`.

use std::collections::BTreeMap;

use super::fields::{ByCgroup, ListFields};
use crate::kernel::memory::{MemoryError, Readable};

/// The number of the root's own, and of what is not accounted.
pub const ROOT: i32 = -1;

/// An entry of a tree that is an inner node: its address, and this.
const IS_NODE: u64 = 2;
/// Numbers of 32 bits, six for each level.
const DEEPEST: u32 = 6;
/// The lowest addresses are none.
const LEAST_ADDRESS: u64 = 4096;

pub struct Lists<'a, M> {
    pub memory: &'a M,
    pub fields: &'a ListFields,
    pub nodes: &'a [u32],
    /// Of cgroups, where lists are in arrays by them.
    pub ids: Vec<i32>,
}

impl<M: Readable> Lists<'_, M> {
    /// By the cgroup's number, those that have some.
    pub fn counts(&self, list: u64) -> Result<BTreeMap<i32, u64>, MemoryError> {
        let mut counts = BTreeMap::new();
        let entries = self.memory.u64(list.wrapping_add(self.fields.nodes.into()))?;
        let mut others = 0;
        for &node in self.nodes {
            let entry = self.entry(entries, node);
            let [all, root] = [self.count(entry, self.fields.all)?, self.count(entry, self.fields.root)?];
            add(&mut counts, ROOT, root);
            let rest = all.saturating_sub(root);
            others += rest;
            if let (1.., ByCgroup::Arrays { array, lists, count }) = (rest, &self.fields.by_cgroup) {
                self.of_array(entry, [*array, *lists, *count], rest, &mut counts)?;
            }
        }
        if let (1.., ByCgroup::Tree { head, .. }) = (others, &self.fields.by_cgroup) {
            let head = self.memory.u64(list.wrapping_add((*head).into()))?;
            self.of_tree(head, 0, DEEPEST, &mut counts)?;
        }
        Ok(counts)
    }

    fn entry(&self, entries: u64, node: u32) -> u64 {
        entries.wrapping_add(u64::from(node) * u64::from(self.fields.node_size))
    }

    /// The kernel marks a list that it has given away by a number far below 0.
    fn count(&self, at: u64, offset: u32) -> Result<u64, MemoryError> {
        let count = self.memory.u64(at.wrapping_add(offset.into()))?.cast_signed();
        Ok(count.max(0).cast_unsigned())
    }

    /// Until all are found that there are.
    fn of_array(
        &self,
        entry: u64,
        [array, lists, count]: [u32; 3],
        mut rest: u64,
        counts: &mut BTreeMap<i32, u64>,
    ) -> Result<(), MemoryError> {
        let array = self.memory.u64(entry.wrapping_add(array.into()))?;
        if array == 0 {
            return Ok(());
        }
        for &id in &self.ids {
            let slot = array.wrapping_add(u64::from(lists) + u64::from(id.unsigned_abs()) * 8);
            // The array is as long as the kernel needed when there were fewer cgroups.
            let Ok(list @ 1..) = self.memory.u64(slot) else { continue };
            let Ok(items @ 1..) = self.count(list, count) else { continue };
            add(counts, id, items.min(rest));
            rest = rest.saturating_sub(items);
            if rest == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The tree below an entry, whose first number this is. A tree that changes meanwhile may lead anywhere, but not deeper than this.
    fn of_tree(
        &self,
        entry: u64,
        first: u64,
        depth: u32,
        counts: &mut BTreeMap<i32, u64>,
    ) -> Result<(), MemoryError> {
        let ByCgroup::Tree { shift, slots, slot_count, .. } = self.fields.by_cgroup else { return Ok(()) };
        if entry & 3 == 0 {
            return self.of_leaf(entry, first, counts);
        }
        if entry & 3 != IS_NODE || entry < LEAST_ADDRESS || depth == 0 {
            return Ok(());
        }
        let node = entry - IS_NODE;
        let mut bits = [0];
        self.memory.read(node.wrapping_add(shift.into()), &mut bits)?;
        let mut entries = vec![0; slot_count as usize * size_of::<u64>()];
        self.memory.read(node.wrapping_add(slots.into()), &mut entries)?;
        for (slot, entry) in (0_u64..).zip(entries.as_chunks().0) {
            let below = slot.checked_shl(bits[0].into()).unwrap_or(u64::MAX);
            self.of_tree(u64::from_ne_bytes(*entry), first.saturating_add(below), depth - 1, counts)?;
        }
        Ok(())
    }

    fn of_leaf(&self, leaf: u64, number: u64, counts: &mut BTreeMap<i32, u64>) -> Result<(), MemoryError> {
        let ByCgroup::Tree { lists, list_size, count, .. } = self.fields.by_cgroup else { return Ok(()) };
        let (Ok(id), LEAST_ADDRESS..) = (i32::try_from(number), leaf) else { return Ok(()) };
        for &node in self.nodes {
            let list = leaf.wrapping_add(u64::from(lists) + u64::from(node) * u64::from(list_size));
            add(counts, id, self.count(list, count)?);
        }
        Ok(())
    }
}

fn add(counts: &mut BTreeMap<i32, u64>, id: i32, items: u64) {
    if items > 0 {
        *counts.entry(id).or_default() += items;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: u64 = 0xffff_8880_0000_0000;

    /// Words of the kernel's memory, one behind the other.
    struct Picture(Vec<u64>);

    impl Readable for Picture {
        fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryError> {
            let memory: Vec<u8> = self.0.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let at = address.checked_sub(FIRST).map(|at| at as usize);
            let there = at.and_then(|at| memory.get(at..at + bytes.len()));
            bytes.copy_from_slice(there.ok_or(MemoryError::Fault(address))?);
            Ok(())
        }
    }

    fn at(word: usize) -> u64 {
        FIRST + word as u64 * 8
    }

    /// A list: entries, head of the tree. An entry: all, the root's, the array. A node of the tree: shift, four slots. A leaf: two lists.
    fn fields(by_cgroup: ByCgroup) -> ListFields {
        ListFields { nodes: 0, node_size: 24, all: 0, root: 8, by_cgroup }
    }

    const TREE: ByCgroup =
        ByCgroup::Tree { head: 8, shift: 0, slots: 8, slot_count: 4, lists: 0, list_size: 8, count: 0 };

    fn counts(picture: Vec<u64>, by_cgroup: ByCgroup, ids: Vec<i32>) -> Vec<(i32, u64)> {
        let (memory, fields) = (Picture(picture), fields(by_cgroup));
        let lists = Lists { memory: &memory, fields: &fields, nodes: &[0, 1], ids };
        lists.counts(FIRST).unwrap_or_default().into_iter().collect()
    }

    #[test]
    fn a_tree_of_two_levels() {
        let dead = (i64::MIN + 1).cast_unsigned();
        #[rustfmt::skip]
        let picture = vec![
            at(2), at(8) | IS_NODE,
            100, 10, 0, /* the other node */ 50, 5, 0,
            // Numbers 0 to 3 and 4 to 7.
            2, at(13) | IS_NODE, at(18) | IS_NODE, 0, 0,
            0, at(23), 0, /* no address */ 6, 0,
            0, 0, 0, at(25), 0,
            90, dead,
            0, 45,
        ];
        assert_eq!(counts(picture, TREE, vec![]), [(ROOT, 15), (0, 90), (6, 45)]);
    }

    #[test]
    fn nothing_but_the_root_s_own() {
        assert_eq!(counts(vec![at(2), 0, 7, 7, 0, 0, 0, 0], TREE, vec![]), [(ROOT, 7)]);
        assert_eq!(counts(vec![at(2), at(8), 9, 7, 0, 0, 0, 0, 2, 0], TREE, vec![]), [(ROOT, 7), (0, 2)]);
        assert_eq!(counts(vec![at(2), 0, 9, 7, 0, 0, 0, 0], ByCgroup::No, vec![]), [(ROOT, 7)]);
    }

    #[test]
    fn arrays_for_each_node() {
        let arrays = ByCgroup::Arrays { array: 16, lists: 0, count: 0 };
        #[rustfmt::skip]
        let picture = vec![
            at(2), 0,
            20, 5, at(8), /* the other node */ 3, 0, at(10),
            at(12), 0,
            0, at(13),
            15,
            3,
        ];
        // Beyond the array's end there may be anything.
        assert_eq!(counts(picture, arrays, vec![0, 1, 70_000]), [(ROOT, 5), (0, 15), (1, 3)]);
    }

    proptest! {
        /// Whatever is there: it ends, and without a fault.
        #[test]
        fn any_memory(words in prop::collection::vec(prop_oneof![
            any::<u64>(), (0..40_u64).prop_map(|word| FIRST + word * 8), (0..40_u64).prop_map(|word| (FIRST + word * 8) | IS_NODE), 0..9_u64,
        ], 0..40)) {
            counts(words.clone(), TREE, vec![]);
            counts(words, ByCgroup::Arrays { array: 16, lists: 0, count: 0 }, vec![0, 1, 9]);
        }
    }
}
