//! Who allocated what: running totals for each process, command name and cache.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{GroupId, OriginId, objects::List};
use crate::event::{Address, Comm, Task};

/// Most origins that are kept; beyond, those that hold nothing any more are folded together, and where all hold
/// something, new ones. There may be as many sums of folded ones.
pub const MOST_ORIGINS: usize = 1 << 18;

/// The process id of origins that stand for several processes: those that hold nothing any more by their command name,
/// and [`OTHERS`].
pub const FOLDED: u32 = u32::MAX;

/// The command name of origins that stand for whoever there was no room for.
pub const OTHERS: &[u8] = b"(others)";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginKey {
    pub cache: Address,
    pub task: Task,
}

/// Running totals since attach. Where only a sample of all objects is followed, each stands for as many as the sampling
/// period says: these are estimates then.
pub struct Origin {
    pub key: OriginKey,
    pub allocs: u64,
    pub frees: u64,
    /// How many processes it stands for: 1, or more where it is [`FOLDED`]. [`OTHERS`] are not told apart, so these
    /// may be more.
    pub processes: u64,
    /// Outstanding objects, and how many they stand for.
    followed: u64,
    outstanding: u64,
    pub(super) list: List,
    /// Outstanding objects by what they are called.
    pub(super) groups: HashMap<GroupId, u64, FixedState>,
    /// It is in [`Origins::emptied`].
    is_emptied: bool,
}

impl Origin {
    /// How many objects are outstanding; an estimate where only a sample is followed.
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// One more object, which stands for so many.
    pub(super) fn gain(&mut self, weight: u64) {
        self.allocs += weight;
        self.followed += 1;
        self.outstanding += weight;
    }

    fn new(key: OriginKey) -> Self {
        Self {
            key,
            allocs: 0,
            frees: 0,
            processes: u64::from(key.task.tgid != FOLDED),
            followed: 0,
            outstanding: 0,
            list: List::EMPTY,
            groups: HashMap::default(),
            is_emptied: false,
        }
    }
}

pub struct Origins {
    origins: Vec<Origin>,
    by_key: HashMap<OriginKey, OriginId, FixedState>,
    vacant: Vec<OriginId>,
    /// Origins that lost their last object, longest ago first: to be folded when room is needed, unless they hold
    /// something by then.
    emptied: VecDeque<OriginId>,
    /// How many of them are [`FOLDED`].
    sums: usize,
    /// The last one asked for: events come in runs.
    last: Option<(OriginKey, OriginId)>,
    most: usize,
}

impl Origins {
    pub fn new(most: usize) -> Self {
        Self {
            origins: Vec::new(),
            by_key: HashMap::default(),
            vacant: Vec::new(),
            emptied: VecDeque::new(),
            sums: 0,
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

    /// The origin of this key, new if need be.
    pub fn enter(&mut self, key: OriginKey) -> OriginId {
        if let Some((last, id)) = self.last
            && last == key
        {
            return id;
        }
        let id = match self.by_key.get(&key) {
            Some(&id) => id,
            None => self.add(key),
        };
        self.last = Some((key, id));
        id
    }

    /// One of the origin's objects, which stands for so many, is gone.
    pub fn leave(&mut self, id: OriginId, weight: u64) {
        let origin = &mut self.origins[id as usize];
        origin.followed -= 1;
        origin.outstanding = origin.outstanding.saturating_sub(weight);
        if origin.followed == 0 && !origin.is_emptied && origin.key.task.tgid != FOLDED {
            origin.is_emptied = true;
            self.emptied.push_back(id);
        }
    }

    /// All outstanding objects stand for so many from now on.
    pub fn reweigh(&mut self, weight: u64) {
        for origin in &mut self.origins {
            origin.outstanding = origin.followed * weight;
        }
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
        if let Some(&id) = self.by_key.get(&key) {
            return id;
        }
        let id = match self.vacant.pop() {
            Some(id) => {
                self.origins[id as usize] = Origin::new(key);
                id
            }
            None => {
                self.origins.push(Origin::new(key));
                (self.origins.len() - 1) as OriginId
            }
        };
        self.sums += usize::from(key.task.tgid == FOLDED);
        self.by_key.insert(key, id);
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
        let has_room = self.sums < self.most || self.by_key.contains_key(&folded(key));
        let into = self.insert_or_get(if has_room { folded(key) } else { anybody(key) });
        let sum = self.get_mut(into);
        sum.processes += processes;
        sum.allocs += allocs;
        sum.frees += frees;
        self.by_key.remove(&key);
        self.origins[id as usize] = Origin::new(key);
        self.vacant.push(id);
        self.last = None;
    }
}

fn folded(key: OriginKey) -> OriginKey {
    OriginKey { task: Task { tgid: FOLDED, ..key.task }, ..key }
}

/// Where there is no room: nobody in particular.
fn anybody(key: OriginKey) -> OriginKey {
    let task = Task { tgid: FOLDED, comm: Comm::truncated(OTHERS), is_kthread: false };
    OriginKey { task, ..key }
}
