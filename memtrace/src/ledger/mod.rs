//! The ledger: what is outstanding, and who allocated it.
//!
//! Pure: it knows events and nothing else, no clock, no I/O. It cannot fail: what does not fit together is counted as
//! an anomaly. Totals are kept per origin, so that a report reads thousands of them and never the millions of objects.
//! Memory is bounded: by the number of objects given to [`Ledger::new`], and by fixed bounds on origins and names. At
//! a bound an event costs what it always does: nothing is searched for what could make room.

mod names;
mod objects;
mod origins;
pub mod pattern;

use hashbrown::HashMap;
use memtrace_common::sample;

pub use self::origins::{FOLDED, OTHERS, Origin, OriginKey};
use self::{
    names::{Groups, NO_GROUP},
    objects::{ObjectId, Objects},
    origins::Origins,
};
use crate::event::{Address, Alloc, CacheTag, Event, Free, Name, TimeNs, cache_tag};

type OriginId = u32;
type GroupId = u32;

/// Bytes that one outstanding object takes, its share of the table included; for choosing a bound.
pub const BYTES_PER_OBJECT: u64 = 48;

/// What the ledger was told, and what did not fit together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events applied.
    pub allocs: u64,
    pub frees: u64,
    pub names: u64,
    /// Frees of objects that were not outstanding, where their cache is known.
    pub unknown_frees: u64,
    /// Allocations at an address that was outstanding: a free that nobody saw. The older object is taken for freed.
    pub reused_pointers: u64,
    /// Allocations that were refused because the ledger is full.
    pub refused: u64,
}

impl Tally {
    pub fn total(&self) -> u64 {
        self.allocs + self.frees + self.names
    }
}

/// Some objects of an origin that are called alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedObjects<'a> {
    pub parent: &'a [u8],
    pub pattern: &'a [u8],
    pub example: &'a [u8],
    pub objects: u64,
}

/// One outstanding object, told from others at the same address by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    pub ptr: Address,
    pub time: TimeNs,
}

pub struct Ledger {
    objects: Objects,
    origins: Origins,
    groups: Groups,
    reused: HashMap<Address, u64, foldhash::fast::FixedState>,
    unknown_frees: HashMap<CacheTag, u64, foldhash::fast::FixedState>,
    tally: Tally,
    most_objects: usize,
    /// One object in so many is followed.
    period: u32,
}

/// How much is kept at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub objects: usize,
    pub origins: usize,
    pub groups: usize,
}

impl Ledger {
    /// A ledger for at most `most_objects` outstanding objects.
    pub fn new(most_objects: usize) -> Self {
        Self::with_bounds(Bounds {
            objects: most_objects,
            origins: origins::MOST_ORIGINS,
            groups: names::MOST_GROUPS,
        })
    }

    pub(crate) fn with_bounds(bounds: Bounds) -> Self {
        Self {
            objects: Objects::default(),
            origins: Origins::new(bounds.origins),
            groups: Groups::new(bounds.groups),
            reused: HashMap::default(),
            unknown_frees: HashMap::default(),
            tally: Tally::default(),
            most_objects: bounds.objects.min(objects::NO_OBJECT as usize),
            period: 1,
        }
    }

    /// Follows one object in `period` from now on, which must not be less than before: the others are forgotten, and events
    /// of theirs that are under way are left out. Each that is followed stands for `period` objects.
    pub fn set_period(&mut self, period: u32) {
        self.period = period.max(1);
        let objects = self.origins.iter().flat_map(|origin| self.objects.iter(&origin.list));
        let others: Vec<Address> =
            objects.map(|object| object.ptr).filter(|ptr| !self.follows(*ptr)).collect();
        for ptr in others {
            if let Some(id) = self.objects.remove(ptr) {
                self.forget(id);
            }
        }
        self.origins.reweigh(u64::from(self.period));
    }

    fn follows(&self, ptr: Address) -> bool {
        sample::keeps(ptr, sample::limit(self.period))
    }

    pub fn apply(&mut self, event: Event<'_>) {
        match event {
            Event::Alloc(alloc) => self.alloc(alloc),
            Event::Free(free) => self.free(free),
            Event::Name(name) => self.name(name),
        }
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Number of outstanding objects.
    pub fn outstanding(&self) -> usize {
        self.objects.len()
    }

    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter()
    }

    /// When the origin's oldest outstanding object was allocated.
    pub fn oldest(&self, origin: &Origin) -> Option<TimeNs> {
        self.objects.iter(&origin.list).next().map(|object| object.time)
    }

    /// The origin's outstanding objects by what they are called, in no order.
    pub fn names<'a>(&'a self, origin: &'a Origin) -> impl Iterator<Item = NamedObjects<'a>> {
        origin.groups.iter().map(|(&id, &objects)| self.named(id, objects))
    }

    /// The origin's outstanding objects that were allocated at `time` or before: how many they are, and by what they
    /// are called. Walks them all.
    pub fn allocated_until<'a>(&'a self, origin: &'a Origin, time: TimeNs) -> (u64, Vec<NamedObjects<'a>>) {
        let mut count = 0;
        let mut groups: HashMap<GroupId, u64, foldhash::fast::FixedState> = HashMap::default();
        for object in self.objects.iter(&origin.list).take_while(|object| object.time <= time) {
            count += 1;
            if object.group != NO_GROUP {
                *groups.entry(object.group).or_default() += 1;
            }
        }
        let count = count * u64::from(self.period);
        (count, groups.into_iter().map(|(id, objects)| self.named(id, objects)).collect())
    }

    fn named(&self, id: GroupId, objects: u64) -> NamedObjects<'_> {
        let group = self.groups.get(id);
        let objects = objects * u64::from(self.period);
        NamedObjects { parent: &group.parent, pattern: &group.pattern, example: &group.example, objects }
    }

    /// The origin's outstanding objects that have no name, oldest first, among its `most` oldest.
    pub fn unnamed(&self, origin: &Origin, most: usize) -> impl Iterator<Item = Outstanding> {
        let unnamed = self.objects.iter(&origin.list).take(most).filter(|object| object.group == NO_GROUP);
        unnamed.map(|object| Outstanding { ptr: object.ptr, time: object.time })
    }

    /// Names an object that was looked at, unless it has been freed since.
    pub fn label(&mut self, object: Outstanding, parent: &[u8], name: &[u8]) {
        let Some(id) = self.objects.find(object.ptr) else { return };
        if self.objects.get(id).time == object.time {
            self.set_name(id, parent, name);
        }
    }

    /// Allocations of a cache that reused an outstanding address.
    pub fn reused(&self, cache: Address) -> u64 {
        self.reused.get(&cache).copied().unwrap_or(0)
    }

    /// Frees of a cache's objects that were not outstanding.
    pub fn unknown_frees(&self, cache: Address) -> u64 {
        self.unknown_frees.get(&cache_tag(cache)).copied().unwrap_or(0)
    }

    fn alloc(&mut self, alloc: Alloc) {
        self.tally.allocs += 1;
        if !self.follows(alloc.ptr) {
            return;
        }
        if alloc.may_repeat && self.repeats(alloc) {
            return;
        }
        if let Some(id) = self.objects.remove(alloc.ptr) {
            self.tally.reused_pointers += 1;
            let cache = self.release(id);
            *self.reused.entry(cache).or_default() += 1;
        }
        if self.objects.len() >= self.most_objects {
            self.tally.refused += 1;
            return;
        }
        let id = self.origins.enter(OriginKey { cache: alloc.cache, task: alloc.task });
        let origin = self.origins.get_mut(id);
        origin.gain(u64::from(self.period));
        self.objects.insert(alloc.ptr, alloc.time, id, NO_GROUP, &mut origin.list);
    }

    /// Nobody has freed the object yet when its allocation is repeated.
    fn repeats(&self, alloc: Alloc) -> bool {
        let key = OriginKey { cache: alloc.cache, task: alloc.task };
        self.objects
            .find(alloc.ptr)
            .is_some_and(|id| self.origins.get(self.objects.get(id).origin).key == key)
    }

    fn free(&mut self, free: Free) {
        self.tally.frees += 1;
        if !self.follows(free.ptr) {
            return;
        }
        match self.objects.remove(free.ptr) {
            Some(id) => {
                self.release(id);
            }
            None => self.unknown_free(free.cache),
        }
    }

    fn unknown_free(&mut self, cache: Option<CacheTag>) {
        let Some(cache) = cache else { return };
        self.tally.unknown_frees += 1;
        *self.unknown_frees.entry(cache).or_default() += 1;
    }

    /// Settles an object that left the table because it is free. Returns its cache.
    fn release(&mut self, id: ObjectId) -> Address {
        let origin = self.objects.get(id).origin;
        self.origins.get_mut(origin).frees += u64::from(self.period);
        self.forget(id);
        self.origins.get(origin).key.cache
    }

    /// Settles an object that left the table.
    fn forget(&mut self, id: ObjectId) {
        let object = *self.objects.get(id);
        self.origins.leave(object.origin, u64::from(self.period));
        let origin = self.origins.get_mut(object.origin);
        self.objects.unlink(id, &mut origin.list);
        if object.group != NO_GROUP {
            self.groups.leave(object.group);
            leave(origin, object.group);
        }
    }

    /// The last name counts: a dentry may be reported twice, and a name of an object that is gone is nobody's.
    fn name(&mut self, name: Name<'_>) {
        self.tally.names += 1;
        if let Some(id) = self.objects.find(name.dentry) {
            self.set_name(id, name.parent, name.name);
        }
    }

    fn set_name(&mut self, id: ObjectId, parent: &[u8], name: &[u8]) {
        let object = *self.objects.get(id);
        let origin = self.origins.get_mut(object.origin);
        let group = self.groups.enter(parent, name);
        *origin.groups.entry(group).or_default() += 1;
        self.objects.set_group(id, group);
        if object.group != NO_GROUP {
            self.groups.leave(object.group);
            leave(origin, object.group);
        }
    }
}

fn leave(origin: &mut Origin, group: GroupId) {
    let hashbrown::hash_map::Entry::Occupied(mut objects) = origin.groups.entry(group) else { return };
    *objects.get_mut() -= 1;
    if *objects.get() == 0 {
        objects.remove();
    }
}

#[cfg(test)]
mod tests;
