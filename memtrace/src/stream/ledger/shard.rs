//! A part of the table of objects: a sorted array with gaps.
//!
//! Keys are spread evenly, so where a key belongs follows from the key itself: at this share of the array. From there
//! it is a few entries to the right at most, because entries are in order and a third of them is vacant. This is linear
//! probing with ordered runs: an unsuccessful search ends as early as a successful one, removal leaves no tombstones,
//! and the array is made larger or smaller in place in one pass.

use super::entry::{Entry, KEY_BITS, Object};

/// Entries behind the last home, for the last run. A longer one gets more.
const OVERHANG: usize = 8;

/// The least and the greatest number of homes to so many entries, in tenths. Fuller, runs get long: from 7 to 8 tenths
/// the time of an event grows by half.
const FULL: usize = 7;
const SPARSE: usize = 3;

#[derive(Clone, Default)]
pub struct Shard {
    /// [`Entry::VACANT`] where there is none.
    entries: Vec<Entry>,
    /// The first so many entries are homes of some keys.
    homes: usize,
    objects: usize,
}

impl Shard {
    pub fn len(&self) -> usize {
        self.objects
    }

    /// Where this key is, or would be.
    pub fn search(&self, key: u64) -> usize {
        let first = Entry::first(key);
        let home = home(key, self.homes);
        let run = self.entries.get(home..).unwrap_or_default();
        home + run.iter().position(|&entry| entry >= first).unwrap_or(run.len())
    }

    pub fn get(&self, at: usize, key: u64) -> Option<Object> {
        let entry = *self.entries.get(at)?;
        (entry.key() == key && !entry.is_vacant()).then(|| entry.object())
    }

    /// Puts another object of the same key in its place.
    pub fn replace(&mut self, at: usize, key: u64, object: Object) {
        self.entries[at] = Entry::new(key, object);
    }

    /// Adds an object where [`Self::search`] found none. May take more memory.
    pub fn insert(&mut self, mut at: usize, key: u64, object: Object) {
        if self.objects * 10 >= self.homes * FULL {
            self.spread(self.homes * 6 / 5 + OVERHANG);
            at = self.search(key);
        }
        self.objects += 1;
        let mut moved = Entry::new(key, object);
        for entry in &mut self.entries[at..] {
            std::mem::swap(entry, &mut moved);
            if moved.is_vacant() {
                return;
            }
        }
        self.entries.reserve_exact(OVERHANG);
        self.entries.push(moved);
    }

    /// Removes the object that is there. May give memory back.
    pub fn remove(&mut self, at: usize) {
        self.objects -= 1;
        let mut last = at;
        // What is not at home moves one nearer.
        while let Some(&next) = self.entries.get(last + 1)
            && !next.is_vacant()
            && home(next.key(), self.homes) <= last
        {
            self.entries[last] = next;
            last += 1;
        }
        self.entries[last] = Entry::VACANT;
        if self.objects * 10 < self.homes * SPARSE && self.homes > 4 * OVERHANG {
            self.spread(self.homes_needed());
        }
    }

    /// Removes the objects that are not to be kept. Gives memory back.
    pub fn retain(&mut self, mut keep: impl FnMut(u64, Object) -> bool) {
        for entry in &mut self.entries {
            if !entry.is_vacant() && !keep(entry.key(), entry.object()) {
                *entry = Entry::VACANT;
                self.objects -= 1;
            }
        }
        // Those that stay are not in runs without gaps any more.
        self.spread(self.homes.min(self.homes_needed()));
    }

    /// Keys and objects, by key.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Object)> {
        let entries = self.entries.iter().filter(|entry| !entry.is_vacant());
        entries.map(|entry| (entry.key(), entry.object()))
    }

    /// Reads what a search for this key reads, so that it is in the CPU's cache then.
    pub fn touch(&self, key: u64) -> u64 {
        let home = home(key, self.homes);
        let read = |at: usize| self.entries.get(at).map_or(0, |entry| entry.key());
        // Four entries to a cache line: the run mostly ends in the next.
        read(home) ^ read(home + 4)
    }

    /// Homes so that the array is neither full nor sparse.
    fn homes_needed(&self) -> usize {
        self.objects * 20 / (FULL + SPARSE)
    }

    /// Spreads the entries over so many homes, in place.
    fn spread(&mut self, homes: usize) {
        self.homes = homes;
        let entries = &mut self.entries;
        let (before, len) = (entries.len(), homes + OVERHANG);
        let room = before.max(len);
        entries.reserve_exact(room - before);
        entries.resize(room, Entry::VACANT);
        // To the end. Whether there is an entry cannot be foreseen, so it makes no branch.
        let (mut waiting, mut end) = (room, 0);
        for from in (0..before).rev() {
            let entry = std::mem::replace(&mut entries[from], Entry::VACANT);
            entries[waiting - 1] = entry;
            waiting -= usize::from(!entry.is_vacant());
            let last = home(entry.key(), homes) + room - waiting;
            end = end.max(if entry.is_vacant() { 0 } else { last });
        }
        if end > room {
            entries.resize(end, Entry::VACANT);
            entries[waiting..].rotate_right(end - room);
            waiting += end - room;
        }
        // And from there home: none arrives behind one that still waits.
        let mut next = 0;
        for from in waiting..entries.len() {
            let entry = std::mem::replace(&mut entries[from], Entry::VACANT);
            let at = home(entry.key(), homes).max(next);
            entries[at] = entry;
            next = at + 1;
        }
        entries.truncate(len.max(end));
        entries.shrink_to(len);
    }
}

fn home(key: u64, homes: usize) -> usize {
    ((u128::from(key) * homes as u128) >> KEY_BITS) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Put(u64),
        Remove(u64),
        /// Keeps the keys that are not multiples of this.
        Thin(u64),
    }

    /// Keys that are spread, or all have their home at the start or at the end.
    fn key() -> impl Strategy<Value = u64> {
        const LAST: u64 = (1 << KEY_BITS) - 1;
        prop_oneof![
            0..100_u64,
            (0..100_u64).prop_map(|from| LAST - from),
            (0..100_u64).prop_map(|n| LAST / 100 * n)
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            20 => key().prop_map(Step::Put),
            12 => key().prop_map(Step::Remove),
            1 => (1..4_u64).prop_map(Step::Thin),
        ]
    }

    fn object(time: u64) -> Object {
        Object { time, origin: 1, group: 2 }
    }

    proptest! {
        #[test]
        fn a_shard_is_a_sorted_map(steps in vec(step(), 0..600), asked in vec(key(), 20)) {
            let (mut shard, mut map) = (Shard::default(), BTreeMap::new());
            for (time, step) in (0..).zip(steps) {
                match step {
                    Step::Put(key) => {
                        let at = shard.search(key);
                        match shard.get(at, key) {
                            Some(_) => shard.replace(at, key, object(time)),
                            None => shard.insert(at, key, object(time)),
                        }
                        map.insert(key, object(time));
                    }
                    Step::Remove(key) => {
                        let at = shard.search(key);
                        prop_assert_eq!(shard.get(at, key), map.remove(&key));
                        if shard.get(at, key).is_some() {
                            shard.remove(at);
                        }
                    }
                    Step::Thin(divisor) => {
                        let keeps = |key: u64| !key.is_multiple_of(divisor);
                        shard.retain(|key, object| {
                            assert_eq!(Some(&object), map.get(&key));
                            keeps(key)
                        });
                        map.retain(|key, _| keeps(*key));
                    }
                }
                prop_assert_eq!(shard.len(), map.len());
            }
            prop_assert!(shard.iter().eq(map.iter().map(|(key, object)| (*key, *object))));
            for key in map.keys().chain(&asked) {
                prop_assert_eq!(shard.get(shard.search(*key), *key), map.get(key).copied());
            }
        }

        /// However it got to this size, there are at most four entries for an object, but for the smallest.
        #[test]
        fn memory_is_given_back(objects in 1..2_000_u64, left in 0..100_u64) {
            let mut shard = Shard::default();
            let key = |object: u64| object.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - KEY_BITS);
            for object_id in 0..objects {
                shard.insert(shard.search(key(object_id)), key(object_id), object(1));
            }
            let entries = shard.entries.capacity();
            prop_assert!(entries as u64 <= objects * 9 / 5 + 3 * OVERHANG as u64, "{entries} for {objects}");
            for object_id in left..objects {
                shard.remove(shard.search(key(object_id)));
            }
            let left = left.min(objects);
            let entries = shard.entries.capacity();
            prop_assert!(entries as u64 <= 4 * left + 6 * OVERHANG as u64, "{entries} for {left}");
        }
    }
}
