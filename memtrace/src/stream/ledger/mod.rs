//! The ledger: what is outstanding, and who allocated it.
//!
//! Pure: it takes events and nothing else, no clock, no I/O. It cannot fail: inconsistent events are counted as anomalies.
//! Totals are kept per origin, so that a report reads thousands of them and never the millions of objects, unless it needs
//! objects of an age or a sample of them.
//! Memory is bounded by the bytes given to [`Ledger::new`], of which origins and names get a share. At a limit events stay
//! O(1): nothing is evicted.
//!
//! Events of one object arrive in the order in which they happened; those of different objects may not. So times of allocations
//! may go back a little, and nothing here assumes that the last event is the latest.

mod aged;
mod ages;
mod applier;
mod batch;
mod entry;
mod names;
mod objects;
mod origins;
pub mod pattern;
mod shard;
mod watched;

use std::collections::HashSet;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use memtrace_common::sample;

pub use self::{
    aged::Aged,
    ages::AllocSpan,
    applier::Applier,
    objects::SHARDS as PARTS,
    origins::{FOLDED, OTHERS, Origin, OriginKey},
    watched::Watched,
};
use self::{
    entry::{GroupId, Object, TICK_NS, tick},
    names::{Groups, NO_GROUP},
    objects::{HashPlace, Objects, Slot},
    origins::{Called, Origins},
};
use crate::stream::{
    entry::Entry,
    event::{
        Address, Alloc, CacheTag, Event, Free, Label, NO_GFP, NO_NODE, ObjectId, ObjectKind, ProcessId,
        TimeNs, cache_tag,
    },
};

/// Events whose entries are read together at most: reads beyond some tens do not overlap any more.
const MAX_BATCH: usize = 64;

/// More than these are not all in a CPU's own cache: a megabyte.
const MANY_ORIGINS: usize = 4096;

/// The largest sampling period. It leaves sixteen of a million objects; fewer make no sense.
pub const MAX_PERIOD: u32 = 1 << 16;

/// Bytes for one outstanding object, its share of the table included. The table takes 23 to 28 of
/// them; the rest is for when its origin's objects were allocated.
const BYTES_PER_OBJECT: usize = 32;
/// For one origin, and for the names of one pattern.
const BYTES_PER_ORIGIN: usize = 400;
const BYTES_PER_GROUP: usize = 300;
/// The largest part of the memory for origins, and for names.
const ORIGINS_PART: usize = 8;
const GROUPS_PART: usize = 16;

/// Distance between the starts of two walks over a sample. It is odd, so that they start everywhere in the end.
const STRIDE: usize = 619;

/// The events that were applied, and the anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events applied.
    pub allocs: u64,
    pub frees: u64,
    pub names: u64,
    /// Frees of objects that were not outstanding, where their cache is known.
    pub unknown_frees: u64,
    /// Allocations at an outstanding address: a free that fired no event. The older object counts as freed.
    pub reused_pointers: u64,
    /// Objects that turned out to be free when the kernel's memory was asked: frees that nobody saw.
    pub refuted: u64,
    /// Allocations that were refused because the ledger is full.
    pub refused: u64,
}

impl Tally {
    pub fn total(&self) -> u64 {
        self.allocs + self.frees + self.names
    }
}

/// Objects of an origin whose names follow one pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedObjects<'a> {
    /// None where they were not inspected; the directory is its last component then.
    pub kind: Option<ObjectKind>,
    pub filesystem: &'a [u8],
    pub directory: &'a [u8],
    pub pattern: &'a [u8],
    pub example: &'a [u8],
    pub objects: u64,
}

/// An outstanding object, and all that is known of it.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    pub object: ObjectId,
    pub origin: &'a OriginKey,
    /// Its name: only the pattern is its own, the example may be another object's.
    pub name: Option<NamedObjects<'a>>,
}

#[derive(Clone)]
pub struct Ledger {
    objects: Objects,
    origins: Origins,
    groups: Groups,
    /// Frees that nobody saw, by cache: of objects whose addresses were handed out again, and of those that were refuted.
    unseen_frees: HashMap<Address, u64, FixedState>,
    unknown_frees: HashMap<CacheTag, u64, FixedState>,
    /// What is there and not known.
    pub watched: Watched,
    tally: Tally,
    most_objects: usize,
    /// One object in this many is followed: those that this limit keeps.
    period: u32,
    limit: u32,
    /// So many of all [`PARTS`] have no object that this limit does not keep.
    swept: usize,
    detail: OriginDetail,
}

/// What origins are kept apart by, besides process, cache, cgroup and stack. Each multiplies the number of origins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginDetail {
    /// The place in the kernel that allocated.
    pub call_sites: bool,
    pub gfp: bool,
    pub nodes: bool,
    /// io_uring workers apart from their process.
    pub io_workers: bool,
}

/// How much is kept at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub objects: usize,
    pub origins: usize,
    pub groups: usize,
}

impl Bounds {
    /// What fits into this many bytes.
    fn within(bytes: usize) -> Self {
        let origins = (bytes / ORIGINS_PART / BYTES_PER_ORIGIN).clamp(1, origins::MAX_ORIGINS);
        let groups = (bytes / GROUPS_PART / BYTES_PER_GROUP).clamp(1, names::MAX_GROUPS);
        let rest = bytes.saturating_sub(origins * BYTES_PER_ORIGIN + groups * BYTES_PER_GROUP);
        Self { objects: rest / BYTES_PER_OBJECT, origins, groups }
    }
}

impl Ledger {
    /// A ledger that takes at most this many bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self::with_bounds(Bounds::within(most_bytes))
    }

    pub(crate) fn with_bounds(bounds: Bounds) -> Self {
        Self {
            objects: Objects::new(),
            origins: Origins::new(bounds.origins),
            groups: Groups::new(bounds.groups),
            unseen_frees: HashMap::default(),
            unknown_frees: HashMap::default(),
            watched: Watched::default(),
            tally: Tally::default(),
            most_objects: bounds.objects,
            period: 1,
            limit: sample::ALL,
            swept: PARTS,
            detail: OriginDetail::default(),
        }
    }

    /// Keeps origins apart by these, too.
    pub fn set_detail(&mut self, detail: OriginDetail) {
        self.detail = detail;
    }

    /// Origins that are new since the last call; not all where there are very many.
    pub fn take_new_origins(&mut self) -> Vec<OriginKey> {
        self.origins.take_made()
    }

    /// Follows one object in `period` from now on, which must not be less than before: the others are forgotten, and events
    /// of theirs that are under way are left out. Each that is followed stands for `period` objects.
    pub fn set_period(&mut self, period: u32) {
        self.raise_period(period);
        self.finish_sweep();
    }

    /// The same without a pause: the others are forgotten by [`Self::sweep`], and until that is done, what is read here is of no one
    /// period.
    pub fn raise_period(&mut self, period: u32) {
        self.period = period.max(1);
        self.limit = sample::limit(self.period);
        self.swept = 0;
    }

    /// Forgets what is not followed any more of one of [`PARTS`] parts. False where there is no such part.
    pub fn sweep(&mut self) -> bool {
        if !self.is_sweeping() {
            return false;
        }
        let limit = self.limit;
        self.retain(self.swept, |ptr| sample::keeps(ptr, limit));
        self.swept += 1;
        if !self.is_sweeping() {
            self.origins.reweigh(self.weight());
        }
        true
    }

    pub fn is_sweeping(&self) -> bool {
        self.swept < PARTS
    }

    /// All that is left to do.
    pub fn finish_sweep(&mut self) {
        while self.sweep() {}
    }

    /// Forgets what is outstanding: it may have been freed meanwhile.
    pub fn forget_objects(&mut self) {
        self.finish_sweep();
        (0..PARTS).for_each(|part| self.retain(part, |_| false));
    }

    fn retain(&mut self, part: usize, is_kept: impl Fn(Address) -> bool) {
        let weight = self.weight();
        let Self { objects, origins, groups, .. } = self;
        objects.retain(part, |ptr, object| {
            let is_kept = is_kept(ptr);
            if !is_kept {
                origins.leave(object, weight);
                groups.leave(object.group);
            }
            is_kept
        });
    }

    /// Tracing of allocations has ended; frees go on. Who holds something, and lives, is noted.
    pub fn note_end(&mut self, lives: impl Fn(ProcessId) -> bool) {
        self.origins.note_end(lives);
    }

    /// Whether objects at this address are followed.
    pub fn follows(&self, ptr: Address) -> bool {
        sample::keeps(ptr, self.limit)
    }

    /// One object in this many is followed, and stands for all of them.
    pub fn period(&self) -> u32 {
        self.period
    }

    /// How many objects one that is followed stands for.
    fn weight(&self) -> u64 {
        self.period.into()
    }

    pub fn apply(&mut self, event: Event<'_>) {
        self.apply_at(HashPlace::new(event.object()), &event);
    }

    #[inline]
    fn apply_at(&mut self, place: HashPlace, event: &Event<'_>) {
        match event {
            Event::Alloc(alloc) => self.alloc(place, alloc),
            Event::Free(free) => self.free(place, free),
            Event::Name(name) => self.name(place, name.parent, name.name),
        }
    }

    /// Reads what applying an event of this object reads first, so that it is in the CPU's cache then.
    fn touch(&self, place: HashPlace) -> u64 {
        self.objects.touch(place)
    }

    /// Whether it is worth it to [touch](Self::touch_origins) them: few are in the CPU's cache anyway.
    fn has_many_origins(&self) -> bool {
        self.origins.end() > MANY_ORIGINS
    }

    /// Reads what applying these events reads of their origins, [`MAX_BATCH`] at most, once their objects are in the CPU's cache: each would
    /// wait for two or three readings, one after the other.
    fn touch_origins<'e>(&self, events: impl Iterator<Item = (HashPlace, Entry<'e>)>) -> u64 {
        let (mut ids, mut len, mut last) = ([0; MAX_BATCH], 0, None);
        for (place, entry) in events {
            let id = match entry {
                Entry::Event(Event::Alloc(alloc)) => {
                    let key = self.origin_of(&alloc);
                    if last.replace(key) == Some(key) { None } else { self.origins.guess(key) }
                }
                _ => self.objects.get(self.objects.slot(place)).map(|object| object.origin),
            };
            let Some(id) = id else { continue };
            ids[len] = id;
            len += 1;
        }
        // Readings overlap where nothing between them has to be guessed.
        let origins = || ids[..len].iter().map(|&id| self.origins.get(id));
        let read = origins().fold(0, |read, origin| read ^ origin.touch());
        origins().fold(read, |read, origin| read ^ origin.ages.touch())
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether one more batch may not fit.
    pub fn is_full(&self) -> bool {
        self.objects.len() + MAX_BATCH > self.most_objects
    }

    /// So many allocations fit before it is full.
    fn room(&self) -> usize {
        self.most_objects.saturating_sub(self.objects.len() + MAX_BATCH)
    }

    /// Number of outstanding objects that are followed.
    pub fn outstanding(&self) -> usize {
        self.objects.len()
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        const COUNT: usize = 32;
        let counts = self.unseen_frees.len() + self.unknown_frees.len();
        self.objects.len() * BYTES_PER_OBJECT + self.origins.bytes() + self.groups.bytes() + counts * COUNT
    }

    /// How many origins there are, those that allocated nothing yet included.
    pub fn origin_count(&self) -> usize {
        self.origins.end()
    }

    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter()
    }

    /// The processes that allocated what is outstanding.
    pub fn holders(&self) -> HashSet<ProcessId> {
        let holding = self.origins().filter(|origin| origin.outstanding() > 0);
        holding.map(|origin| origin.key.task.process()).collect()
    }

    /// When the origin's oldest outstanding object was allocated, or a little earlier: up to 16 ms or 1/32 of its age.
    pub fn oldest(&self, origin: &Origin) -> Option<TimeNs> {
        origin.ages.oldest().map(|tick| tick * TICK_NS)
    }

    /// When the origin's outstanding objects were allocated, the oldest first: in spans of 16 ms or 1/32 of their age. Where only
    /// a sample is followed, how many is an estimate.
    pub fn allocated(&self, origin: &Origin) -> impl Iterator<Item = AllocSpan> {
        let weight = self.weight();
        origin.ages.spans().map(move |(from, to, objects)| AllocSpan {
            from: from * TICK_NS,
            to: to * TICK_NS,
            objects: u64::from(objects) * weight,
        })
    }

    /// The origin's outstanding objects by what they are called, in no order.
    pub fn names<'a>(&'a self, origin: &'a Origin) -> impl Iterator<Item = NamedObjects<'a>> {
        self.named(&origin.called)
    }

    fn named<'a>(&'a self, called: &'a Called) -> impl Iterator<Item = NamedObjects<'a>> {
        called.iter().map(|(&id, &objects)| self.called(id, objects))
    }

    fn called(&self, id: GroupId, objects: u64) -> NamedObjects<'_> {
        let group = self.groups.get(id);
        NamedObjects {
            kind: group.kind,
            filesystem: &group.filesystem,
            directory: &group.directory,
            pattern: &group.pattern,
            example: &group.example,
            objects: objects * self.weight(),
        }
    }

    /// The outstanding object at this address.
    pub fn object(&self, ptr: Address) -> Option<Held<'_>> {
        self.objects.get(self.objects.slot(HashPlace::new(ptr))).map(|object| self.held(ptr, object))
    }

    /// All outstanding objects that are followed, in no order that has to do with who or when: each nth is a fair sample.
    pub fn objects(&self) -> impl Iterator<Item = Held<'_>> {
        self.objects.iter().map(|(ptr, object)| self.held(ptr, object))
    }

    /// One of [`PARTS`] parts of all outstanding objects that are followed, in an order that has nothing to do with who or when.
    pub fn part(&self, part: usize) -> impl Iterator<Item = Held<'_>> {
        self.objects.of_shard(part).map(|(ptr, object)| self.held(ptr, object))
    }

    fn held(&self, ptr: Address, object: Object) -> Held<'_> {
        Held {
            object: ObjectId { ptr, time: object.time * TICK_NS },
            origin: &self.origins.get(object.origin).key,
            name: (object.group != NO_GROUP).then(|| self.called(object.group, 1)),
        }
    }

    /// Whether an allocation counts: its object is followed, and this is not the same allocation again.
    pub fn counts(&self, alloc: &Alloc) -> bool {
        let is_repeated = || {
            let before = self.object(alloc.ptr);
            before.is_some_and(|before| before.origin.is_but_for_stack(self.origin_of(alloc)))
        };
        self.follows(alloc.ptr) && !(alloc.may_repeat && is_repeated())
    }

    /// ObjectId objects that were allocated before the tick of `time`, with their origins. Walks `most` objects at most, from
    /// another place for each `turn`, in an order that has nothing to do with who or when: what comes first is a fair sample.
    pub fn sample(
        &self,
        turn: usize,
        time: TimeNs,
        most: usize,
    ) -> impl Iterator<Item = (&Origin, ObjectId)> {
        let walked = self.objects.iter_from(turn.wrapping_mul(STRIDE)).take(most);
        walked.filter(move |(_, object)| object.time < tick(time)).map(|(ptr, object)| {
            (self.origins.get(object.origin), ObjectId { ptr, time: object.time * TICK_NS })
        })
    }

    /// Labels an object that was inspected, unless it has been freed since.
    pub fn label(&mut self, object: ObjectId, label: &Label<'_>) {
        let slot = self.objects.slot(HashPlace::new(object.ptr));
        if self.objects.get(slot).is_some_and(|known| known.time == tick(object.time)) {
            self.set_label(slot, label);
        }
    }

    /// Removes an object that turned out to be free. False where it has been freed since, or its address handed out again, or where it is
    /// followed no more.
    pub fn refute(&mut self, object: ObjectId) -> bool {
        if !self.follows(object.ptr) {
            return false;
        }
        let slot = self.objects.slot(HashPlace::new(object.ptr));
        let known = self.objects.get(slot).filter(|known| known.time == tick(object.time));
        let Some(known) = known else { return false };
        self.tally.refuted += 1;
        self.objects.remove(slot);
        let cache = self.release(known);
        *self.unseen_frees.entry(cache).or_default() += 1;
        true
    }

    /// Frees of a cache's objects that nobody saw: their addresses were handed out again, or they were refuted.
    pub fn unseen_frees(&self, cache: Address) -> u64 {
        self.unseen_frees.get(&cache).copied().unwrap_or(0)
    }

    /// Frees of a cache's objects that were not outstanding.
    pub fn unknown_frees(&self, cache: Address) -> u64 {
        self.unknown_frees.get(&cache_tag(cache)).copied().unwrap_or(0)
    }

    /// Who an allocation counts for.
    pub fn origin_of(&self, alloc: &Alloc) -> OriginKey {
        let OriginDetail { call_sites, gfp, nodes, io_workers } = self.detail;
        OriginKey {
            cache: alloc.cache,
            task: alloc.task,
            cgroup: alloc.cgroup,
            call_site: if call_sites { alloc.call_site } else { 0 },
            stack: alloc.stack,
            gfp: if gfp { alloc.gfp } else { NO_GFP },
            node: if nodes { alloc.node } else { NO_NODE },
            is_io_worker: io_workers && alloc.is_io_worker,
        }
    }

    fn alloc(&mut self, place: HashPlace, alloc: &Alloc) {
        self.tally.allocs += 1;
        if !self.follows(alloc.ptr) {
            return;
        }
        self.watched.clear_of_suspicion(alloc.ptr);
        let key = self.origin_of(alloc);
        let slot = self.objects.slot(place);
        let before = self.objects.get(slot);
        match before {
            // Nobody has freed the object yet when its allocation is repeated.
            Some(before) if alloc.may_repeat && self.origins.get(before.origin).key.is_but_for_stack(key) => {
                return;
            }
            Some(before) => self.reuse(before),
            None if self.objects.len() >= self.most_objects => {
                self.tally.refused += 1;
                return;
            }
            None => {}
        }
        let (time, weight) = (tick(alloc.time), self.weight());
        let origin = self.origins.enter(key);
        self.origins.get_mut(origin).gain(time, weight);
        let object = Object { time, origin, group: NO_GROUP };
        match before {
            Some(_) => self.objects.replace(slot, object),
            None => self.objects.insert(slot, object),
        }
    }

    /// Releases an object that must be free, since its address was handed out again.
    fn reuse(&mut self, object: Object) {
        self.tally.reused_pointers += 1;
        let cache = self.release(object);
        *self.unseen_frees.entry(cache).or_default() += 1;
    }

    fn free(&mut self, place: HashPlace, free: &Free) {
        self.tally.frees += 1;
        if !self.follows(free.ptr) {
            return;
        }
        self.watched.clear_of_suspicion(free.ptr);
        let slot = self.objects.slot(place);
        match self.objects.get(slot) {
            Some(object) => {
                self.objects.remove(slot);
                self.release(object);
            }
            None => {
                self.watched.freed(free.ptr);
                self.unknown_free(free.cache);
            }
        }
    }

    fn unknown_free(&mut self, cache: Option<CacheTag>) {
        let Some(cache) = cache else { return };
        self.tally.unknown_frees += 1;
        *self.unknown_frees.entry(cache).or_default() += 1;
    }

    /// Releases an object that is free. Returns its cache.
    fn release(&mut self, object: Object) -> Address {
        let weight = self.weight();
        self.origins.leave(object, weight);
        self.groups.leave(object.group);
        let origin = self.origins.get_mut(object.origin);
        origin.frees += weight;
        origin.key.cache
    }

    /// The last name counts: a dentry may be reported twice. The name of an object that is gone is ignored.
    fn name(&mut self, place: HashPlace, parent: &[u8], name: &[u8]) {
        self.tally.names += 1;
        self.set_label(self.objects.slot(place), &Label::named(parent, name));
    }

    fn set_label(&mut self, slot: Slot, label: &Label<'_>) {
        let Some(object) = self.objects.get(slot) else { return };
        let origin = self.origins.get_mut(object.origin);
        let group = self.groups.enter(label);
        origin.call(group);
        origin.uncall(object.group);
        self.groups.leave(object.group);
        self.objects.replace(slot, Object { group, ..object });
    }
}

#[cfg(test)]
mod tests;
