//! The outstanding objects: found by address, listed by origin from the oldest to the newest.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher as _;

use super::{GroupId, OriginId};
use crate::event::{Address, TimeNs};

/// Index of an object's slot.
pub type ObjectId = u32;

/// No object: the end of a list.
pub const NO_OBJECT: ObjectId = ObjectId::MAX;

/// One outstanding object: 32 bytes, plus its share of the table.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    pub ptr: Address,
    pub time: TimeNs,
    pub origin: OriginId,
    /// What it is called, or `NO_GROUP`.
    pub group: GroupId,
    /// Neighbours of the same origin.
    older: ObjectId,
    newer: ObjectId,
}

const _: () = assert!(size_of::<Object>() == 32);

/// The objects of one origin, linked in the order of their allocation.
#[derive(Clone, Copy, Debug)]
pub struct List {
    oldest: ObjectId,
    newest: ObjectId,
}

impl List {
    pub const EMPTY: Self = Self { oldest: NO_OBJECT, newest: NO_OBJECT };
}

/// All outstanding objects.
#[derive(Default)]
pub struct Objects {
    slots: Vec<Object>,
    /// Slots to use again.
    vacant: Vec<ObjectId>,
    by_address: HashTable<ObjectId>,
    hasher: FixedState,
}

impl Objects {
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    pub fn get(&self, id: ObjectId) -> &Object {
        &self.slots[id as usize]
    }

    pub fn set_group(&mut self, id: ObjectId, group: GroupId) {
        self.slots[id as usize].group = group;
    }

    pub fn find(&self, ptr: Address) -> Option<ObjectId> {
        let slots = &self.slots;
        self.by_address.find(self.hasher.hash_one(ptr), |&id| slots[id as usize].ptr == ptr).copied()
    }

    /// Adds an object as its origin's newest. No object may be outstanding at this address.
    pub fn insert(&mut self, ptr: Address, time: TimeNs, origin: OriginId, group: GroupId, list: &mut List) {
        let id = self.take_slot(Object { ptr, time, origin, group, older: list.newest, newer: NO_OBJECT });
        match list.newest {
            NO_OBJECT => list.oldest = id,
            newest => self.slots[newest as usize].newer = id,
        }
        list.newest = id;
        let Self { slots, by_address, hasher, .. } = self;
        by_address.insert_unique(hasher.hash_one(ptr), id, |&id| hasher.hash_one(slots[id as usize].ptr));
    }

    /// Takes an object out of the table; its caller unlinks it from its origin's list with [`Self::unlink`].
    pub fn remove(&mut self, ptr: Address) -> Option<ObjectId> {
        let slots = &self.slots;
        let entry =
            self.by_address.find_entry(self.hasher.hash_one(ptr), |&id| slots[id as usize].ptr == ptr);
        entry.ok().map(|entry| entry.remove().0)
    }

    /// Takes a removed object out of its origin's list; its slot may be used again.
    pub fn unlink(&mut self, id: ObjectId, list: &mut List) {
        let Object { older, newer, .. } = self.slots[id as usize];
        match older {
            NO_OBJECT => list.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
        match newer {
            NO_OBJECT => list.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        self.vacant.push(id);
    }

    /// The objects of a list, oldest first.
    pub fn iter(&self, list: &List) -> impl Iterator<Item = &Object> {
        let mut next = list.oldest;
        std::iter::from_fn(move || {
            let object = (next != NO_OBJECT).then(|| self.get(next))?;
            next = object.newer;
            Some(object)
        })
    }

    fn take_slot(&mut self, object: Object) -> ObjectId {
        if let Some(id) = self.vacant.pop() {
            self.slots[id as usize] = object;
            return id;
        }
        self.slots.push(object);
        (self.slots.len() - 1) as ObjectId
    }
}
