//! What objects are called: names with their variable parts replaced, so that a million names are one group.

use std::{collections::VecDeque, hash::BuildHasher as _};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::{GroupId, pattern};

/// An object without a name.
pub const NO_GROUP: GroupId = GroupId::MAX;

/// The group of all names for which there is no room: memory is bounded, whatever names are made up.
pub const OTHER_GROUP: GroupId = 0;

/// Its pattern.
pub const OTHER_PATTERN: &[u8] = b"(other names)";

/// Most groups that are kept.
pub const MOST_GROUPS: usize = NO_GROUP as usize;

/// Names of one pattern in directories of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub parent: Box<[u8]>,
    pub pattern: Box<[u8]>,
    /// The first such name.
    pub example: Box<[u8]>,
    /// Outstanding objects with such a name.
    objects: u64,
    /// It is in [`Groups::emptied`].
    is_emptied: bool,
}

pub struct Groups {
    groups: Vec<Group>,
    by_name: HashTable<GroupId>,
    /// Groups that lost their last object, longest ago first: to use again, unless they have objects by then.
    emptied: VecDeque<GroupId>,
    hasher: FixedState,
    /// Reused for each name.
    pattern: Vec<u8>,
    most: usize,
}

impl Groups {
    pub fn new(most: usize) -> Self {
        let other = Group {
            parent: Box::default(),
            pattern: OTHER_PATTERN.into(),
            example: Box::default(),
            objects: 0,
            is_emptied: false,
        };
        Self {
            groups: vec![other],
            by_name: HashTable::new(),
            emptied: VecDeque::new(),
            hasher: FixedState::default(),
            pattern: Vec::new(),
            most,
        }
    }

    pub fn get(&self, id: GroupId) -> &Group {
        &self.groups[id as usize]
    }

    /// The group of a name; counts one object more in it.
    pub fn enter(&mut self, parent: &[u8], name: &[u8]) -> GroupId {
        pattern::pattern_into(name, &mut self.pattern);
        let hash = self.hasher.hash_one((parent, &self.pattern[..]));
        let (groups, pattern) = (&self.groups, &self.pattern[..]);
        let is_it = |&id: &GroupId| {
            let group = &groups[id as usize];
            *group.parent == *parent && *group.pattern == *pattern
        };
        let id = match self.by_name.find(hash, is_it) {
            Some(&id) => id,
            None => self.add(hash, parent, name),
        };
        self.groups[id as usize].objects += 1;
        id
    }

    /// One object less in the group, if it is one.
    pub fn leave(&mut self, id: GroupId) {
        if id == NO_GROUP {
            return;
        }
        let group = &mut self.groups[id as usize];
        group.objects -= 1;
        if group.objects == 0 && !group.is_emptied && id != OTHER_GROUP {
            group.is_emptied = true;
            self.emptied.push_back(id);
        }
    }

    fn add(&mut self, hash: u64, parent: &[u8], name: &[u8]) -> GroupId {
        let group = Group {
            parent: parent.into(),
            pattern: (&self.pattern[..]).into(),
            example: name.into(),
            objects: 0,
            is_emptied: false,
        };
        let id = if self.groups.len() < self.most {
            self.groups.push(group);
            (self.groups.len() - 1) as GroupId
        } else {
            let Some(id) = self.take_emptied() else { return OTHER_GROUP };
            self.groups[id as usize] = group;
            id
        };
        let Self { groups, by_name, hasher, .. } = self;
        by_name.insert_unique(hash, id, |&id| hash_of(&groups[id as usize], hasher));
        id
    }

    /// Makes room: forgets the group that has been without objects longest. No object refers to it, so its id may
    /// stand for another.
    fn take_emptied(&mut self) -> Option<GroupId> {
        let Self { groups, by_name, emptied, hasher, .. } = self;
        while let Some(id) = emptied.pop_front() {
            let group = &mut groups[id as usize];
            group.is_emptied = false;
            if group.objects > 0 {
                continue;
            }
            if let Ok(entry) = by_name.find_entry(hash_of(group, hasher), |&known| known == id) {
                entry.remove();
            }
            return Some(id);
        }
        None
    }
}

fn hash_of(group: &Group, hasher: &FixedState) -> u64 {
    hasher.hash_one((&*group.parent, &*group.pattern))
}
