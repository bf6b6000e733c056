//! Who allocated what: running totals for each process, command name and cache.

use std::{collections::VecDeque, hash::BuildHasher as _};

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable, hash_map::Entry};

use super::{
    ages::Ages,
    entry::{GroupId, MAX_ORIGIN_IDS, Object, OriginId, Tick},
    names::NO_GROUP,
};
use crate::stream::event::{
    Address, CgroupId, Comm, Gfp, NO_GFP, NO_NODE, NO_STACK, NodeId, ProcessId, StackId, Task,
};

/// Most origins that are kept; beyond, those that hold nothing any more are folded together, and where all hold
/// something, new ones. There may be as many sums of folded ones.
pub const MAX_ORIGINS: usize = 1 << 18;

/// Most new ones that are remembered for whoever wants to know about them.
const MAX_MADE: usize = 1 << 12;

/// There is room in an entry for all of them, their sums, and the others of so many caches.
const _: () = assert!(3 * MAX_ORIGINS <= MAX_ORIGIN_IDS);

/// The process id of origins that stand for several processes: those that hold nothing any more by their command name,
/// and [`OTHERS`].
pub const FOLDED: u32 = u32::MAX;

/// The command name of origins that stand for whoever there was no room for.
pub const OTHERS: &[u8] = b"(others)";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginKey {
    pub cache: Address,
    pub task: Task,
    pub cgroup: CgroupId,
    /// 0 where these are not told apart.
    pub call_site: Address,
    pub stack: StackId,
    pub gfp: Gfp,
    pub node: NodeId,
    /// False also where these are not told apart.
    pub is_io_worker: bool,
}

impl OriginKey {
    /// The same, whichever way the calls went that told their stacks.
    pub(super) fn is_but_for_stack(self, other: Self) -> bool {
        Self { stack: NO_STACK, ..self } == Self { stack: NO_STACK, ..other }
    }
}

/// How many objects by what they are called.
pub(super) type Called = HashMap<GroupId, u64, FixedState>;

/// Running totals since attach. Where only a sample of all objects is followed, each stands for as many as the sampling
/// period says: these are estimates then.
#[derive(Clone)]
pub struct Origin {
    pub key: OriginKey,
    pub allocs: u64,
    pub frees: u64,
    /// How many processes it stands for: 1, or more where it is [`FOLDED`]. [`OTHERS`] are not told apart, so these
    /// may be more.
    pub processes: u64,
    pub(super) id: OriginId,
    /// Outstanding objects, and how many they stand for.
    followed: u64,
    outstanding: u64,
    pub(super) ages: Ages,
    /// Outstanding objects by what they are called.
    pub(super) called: Called,
    /// `frees` at the end of tracing, where its process held something then.
    frees_at_end: Option<u64>,
    /// It is in [`Origins::emptied`].
    is_emptied: bool,
}

impl Origin {
    /// How many objects are outstanding; an estimate where only a sample is followed.
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Objects that were freed since [`Origins::note_end`]; 0 where its process was gone by then.
    pub fn freed_since_end(&self) -> u64 {
        self.frees_at_end.map_or(0, |before| self.frees - before)
    }

    fn new(key: OriginKey, id: OriginId) -> Self {
        Self {
            key,
            allocs: 0,
            frees: 0,
            processes: u64::from(key.task.tgid != FOLDED),
            id,
            followed: 0,
            outstanding: 0,
            ages: Ages::default(),
            called: Called::default(),
            frees_at_end: None,
            is_emptied: false,
        }
    }

    /// Reads what most events change.
    pub(super) fn touch(&self) -> u64 {
        self.key.cache ^ self.allocs ^ self.outstanding ^ self.followed ^ u64::from(self.is_emptied)
    }

    /// One more object, which stands for so many.
    pub(super) fn gain(&mut self, time: Tick, weight: u64) {
        self.allocs += weight;
        self.followed += 1;
        self.outstanding += weight;
        self.ages.add(time);
    }

    /// One object less, which stood for so many.
    fn lose(&mut self, object: Object, weight: u64) {
        self.followed -= 1;
        self.outstanding = self.outstanding.saturating_sub(weight);
        self.uncall(object.group);
        match self.followed {
            // Gives memory back.
            0 => self.ages = Ages::default(),
            _ => self.ages.remove(object.time),
        }
    }

    /// One of its objects is called so.
    pub(super) fn call(&mut self, group: GroupId) {
        *self.called.entry(group).or_default() += 1;
    }

    /// One of its objects is not called so any more.
    pub(super) fn uncall(&mut self, group: GroupId) {
        if group == NO_GROUP {
            return;
        }
        let Entry::Occupied(mut objects) = self.called.entry(group) else { return };
        *objects.get_mut() -= 1;
        if *objects.get() == 0 {
            objects.remove();
        }
    }
}

#[derive(Clone)]
pub struct Origins {
    origins: Vec<Origin>,
    /// By their keys' hashes, which are kept beside so that growth reads no origin.
    by_key: HashTable<(u64, OriginId)>,
    hasher: FixedState,
    vacant: Vec<OriginId>,
    /// Origins that lost their last object, longest ago first: to be folded when room is needed, unless they hold
    /// something by then.
    emptied: VecDeque<OriginId>,
    /// How many of them are [`FOLDED`].
    sums: usize,
    /// Those made since they were taken last.
    made: Vec<OriginKey>,
    /// The last one asked for: events come in runs.
    last: Option<(OriginKey, OriginId)>,
    most: usize,
}

impl Origins {
    /// Address space for all there may be is taken at once: what is not used takes no memory, and growth moves nothing.
    pub fn new(most: usize) -> Self {
        Self {
            origins: Vec::with_capacity(2 * most),
            by_key: HashTable::with_capacity(2 * most),
            hasher: FixedState::default(),
            vacant: Vec::new(),
            emptied: VecDeque::new(),
            sums: 0,
            made: Vec::new(),
            last: None,
            most,
        }
    }

    pub fn get(&self, id: OriginId) -> &Origin {
        &self.origins[id as usize]
    }

    pub fn get_mut(&mut self, id: OriginId) -> &mut Origin {
        &mut self.origins[id as usize]
    }

    /// All origins that allocated anything.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.origins.iter().filter(|origin| origin.allocs > 0)
    }

    /// Those made since the last call, [`MAX_MADE`] at most.
    pub fn take_made(&mut self) -> Vec<OriginKey> {
        std::mem::take(&mut self.made)
    }

    /// Memory that they take, about.
    pub fn bytes(&self) -> usize {
        const CALLED: usize = 2 * size_of::<(GroupId, u64)>();
        let own = |origin: &Origin| size_of::<Origin>() + origin.ages.bytes() + origin.called.len() * CALLED;
        self.origins.iter().map(own).sum()
    }

    /// The highest id there may be, and one.
    pub fn end(&self) -> usize {
        self.origins.len()
    }

    /// The origin of this key, new if need be.
    pub fn enter(&mut self, key: OriginKey) -> OriginId {
        if let Some((last, id)) = self.last
            && last == key
        {
            return id;
        }
        let hash = self.hasher.hash_one(key);
        let id = match self.find(hash, key) {
            Some(id) => id,
            None => self.add(key),
        };
        self.last = Some((key, id));
        id
    }

    /// The origin that has this key, or one that has the same hash by chance.
    pub fn guess(&self, key: OriginKey) -> Option<OriginId> {
        let hash = self.hasher.hash_one(key);
        self.by_key.find(hash, |&(known, _)| known == hash).map(|&(_, id)| id)
    }

    /// One of the origin's objects, which stands for so many, is freed or followed no more.
    pub fn leave(&mut self, object: Object, weight: u64) {
        let origin = self.get_mut(object.origin);
        origin.lose(object, weight);
        if origin.followed == 0 && !origin.is_emptied && origin.key.task.tgid != FOLDED {
            origin.is_emptied = true;
            self.emptied.push_back(object.origin);
        }
    }

    /// Frees from now on are of what was outstanding at the end.
    pub fn note_end(&mut self, lives: impl Fn(ProcessId) -> bool) {
        for origin in &mut self.origins {
            let holds = origin.outstanding > 0 && origin.key.task.tgid != FOLDED;
            origin.frees_at_end = (holds && lives(origin.key.task.process())).then_some(origin.frees);
        }
    }

    /// All outstanding objects stand for so many from now on.
    pub fn reweigh(&mut self, weight: u64) {
        for origin in &mut self.origins {
            origin.outstanding = origin.followed * weight;
        }
    }

    fn find(&self, hash: u64, key: OriginKey) -> Option<OriginId> {
        let found = self.by_key.find(hash, |&(known, id)| known == hash && self.get(id).key == key);
        found.map(|&(_, id)| id)
    }

    fn add(&mut self, key: OriginKey) -> OriginId {
        if self.by_key.len() - self.sums < self.most || self.fold_one() {
            return self.insert_or_get(key);
        }
        let id = self.insert_or_get(anybody(key));
        let others = self.get_mut(id);
        others.processes = others.processes.max(1);
        id
    }

    fn insert_or_get(&mut self, key: OriginKey) -> OriginId {
        let hash = self.hasher.hash_one(key);
        if let Some(id) = self.find(hash, key) {
            return id;
        }
        let id = match self.vacant.pop() {
            Some(id) => {
                self.origins[id as usize] = Origin::new(key, id);
                id
            }
            None => {
                let id = self.origins.len() as OriginId;
                self.origins.push(Origin::new(key, id));
                id
            }
        };
        self.sums += usize::from(key.task.tgid == FOLDED);
        if self.made.len() < MAX_MADE {
            self.made.push(key);
        }
        self.by_key.insert_unique(hash, (hash, id), |&(hash, _)| hash);
        id
    }

    /// Makes room: adds the origin that has held nothing for longest to the sum of its cache and command name. False
    /// where all hold something.
    fn fold_one(&mut self) -> bool {
        while let Some(id) = self.emptied.pop_front() {
            let origin = &mut self.origins[id as usize];
            origin.is_emptied = false;
            if origin.followed == 0 {
                self.fold(id);
                return true;
            }
        }
        false
    }

    fn fold(&mut self, id: OriginId) {
        let Origin { key, allocs, frees, processes, .. } = self.origins[id as usize];
        let hash = self.hasher.hash_one(folded(key));
        let has_room = self.sums < self.most || self.find(hash, folded(key)).is_some();
        let into = self.insert_or_get(if has_room { folded(key) } else { anybody(key) });
        let sum = self.get_mut(into);
        sum.processes += processes;
        sum.allocs += allocs;
        sum.frees += frees;
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.by_key.find_entry(hash, |&(_, known)| known == id) {
            entry.remove();
        }
        self.origins[id as usize] = Origin::new(key, id);
        self.vacant.push(id);
        self.last = None;
    }
}

fn folded(key: OriginKey) -> OriginKey {
    OriginKey { task: Task { tgid: FOLDED, started: 0, ..key.task }, stack: NO_STACK, ..key }
}

/// Where there is no room: nobody in particular.
fn anybody(key: OriginKey) -> OriginKey {
    let task = Task { tgid: FOLDED, started: 0, comm: Comm::truncated(OTHERS), is_kthread: false };
    OriginKey {
        task,
        cache: key.cache,
        cgroup: 0,
        call_site: 0,
        stack: NO_STACK,
        gfp: NO_GFP,
        node: NO_NODE,
        is_io_worker: false,
    }
}
