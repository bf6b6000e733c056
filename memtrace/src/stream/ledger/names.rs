//! What objects are called: names with their variable parts replaced, so that a million names are one group.

use std::{collections::VecDeque, hash::BuildHasher as _};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::{entry::GroupId, pattern};
use crate::stream::event::{Label, ObjectKind};

/// An object without a name.
pub const NO_GROUP: GroupId = GroupId::MAX;

/// The group of all names for which there is no room: memory is bounded, whatever names are made up.
pub const OTHER_GROUP: GroupId = 0;

/// Its pattern.
pub const OTHER_PATTERN: &[u8] = b"(other names)";

/// Most groups that are kept.
pub const MAX_GROUPS: usize = NO_GROUP as usize;

/// Heap memory that a group's texts take on average, at most.
const TEXT_BYTES: usize = 200;

/// Names of one pattern in one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// None where only names are known; the directory is its last component then.
    pub kind: Option<ObjectKind>,
    pub filesystem: Box<[u8]>,
    pub directory: Box<[u8]>,
    pub pattern: Box<[u8]>,
    /// The first such name.
    pub example: Box<[u8]>,
    /// Outstanding objects with such a name.
    objects: u64,
    /// It is in [`Groups::emptied`].
    is_emptied: bool,
}

impl Group {
    fn from_label(label: &Label<'_>, pattern: &[u8]) -> Self {
        Self {
            kind: label.kind,
            filesystem: label.filesystem.into(),
            directory: label.directory.into(),
            pattern: pattern.into(),
            example: label.name.into(),
            objects: 0,
            is_emptied: false,
        }
    }

    fn is_of(&self, label: &Label<'_>, pattern: &[u8]) -> bool {
        *self.directory == *label.directory
            && *self.pattern == *pattern
            && self.kind == label.kind
            && *self.filesystem == *label.filesystem
    }

    fn text_bytes(&self) -> usize {
        self.filesystem.len() + self.directory.len() + self.pattern.len() + self.example.len()
    }

    fn hash(&self, hasher: &FixedState) -> u64 {
        hash(hasher, &self.directory, &self.pattern)
    }
}

/// The rest seldom tells groups apart.
fn hash(hasher: &FixedState, directory: &[u8], pattern: &[u8]) -> u64 {
    hasher.hash_one((directory, pattern))
}

#[derive(Clone)]
pub struct Groups {
    groups: Vec<Group>,
    by_name: HashTable<GroupId>,
    /// Ids that stand for nothing.
    vacant: Vec<GroupId>,
    /// Bytes of all groups' texts.
    text_bytes: usize,
    /// Groups that lost their last object, longest ago first: to use again, unless they have objects by then.
    emptied: VecDeque<GroupId>,
    hasher: FixedState,
    /// Reused for each name.
    pattern: Vec<u8>,
    most: usize,
}

impl Groups {
    pub fn new(most: usize) -> Self {
        let other = Group { pattern: OTHER_PATTERN.into(), ..Group::default() };
        Self {
            groups: vec![other],
            by_name: HashTable::new(),
            vacant: Vec::new(),
            text_bytes: 0,
            emptied: VecDeque::new(),
            hasher: FixedState::default(),
            pattern: Vec::new(),
            most,
        }
    }

    /// Memory that they take, about.
    pub fn bytes(&self) -> usize {
        self.groups.len() * size_of::<Group>() + self.text_bytes
    }

    pub fn get(&self, id: GroupId) -> &Group {
        &self.groups[id as usize]
    }

    /// The group of a label; counts one object more in it.
    pub fn enter(&mut self, label: &Label<'_>) -> GroupId {
        match label.pattern {
            Some(pattern) => {
                self.pattern.clear();
                self.pattern.extend_from_slice(pattern);
            }
            None => pattern::pattern_into(label.name, &mut self.pattern),
        }
        let hash = hash(&self.hasher, label.directory, &self.pattern);
        let (groups, pattern) = (&self.groups, &self.pattern[..]);
        let id = match self.by_name.find(hash, |&id| groups[id as usize].is_of(label, pattern)) {
            Some(&id) => id,
            None => self.add(hash, label),
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

    fn add(&mut self, hash: u64, label: &Label<'_>) -> GroupId {
        let group = Group::from_label(label, &self.pattern);
        let bytes = group.text_bytes();
        let Some(id) = self.make_room(bytes) else { return OTHER_GROUP };
        self.text_bytes += bytes;
        self.groups[id as usize] = group;
        let Self { groups, by_name, hasher, .. } = self;
        by_name.insert_unique(hash, id, |&id| groups[id as usize].hash(hasher));
        id
    }

    /// An id that stands for nothing, if there may be one more, with texts of so many bytes.
    fn make_room(&mut self, bytes: usize) -> Option<GroupId> {
        while self.text_bytes + bytes > self.most * TEXT_BYTES {
            let id = self.take_emptied()?;
            self.vacant.push(id);
        }
        if let Some(id) = self.vacant.pop() {
            return Some(id);
        }
        if self.groups.len() < self.most {
            self.groups.push(Group::default());
            return Some((self.groups.len() - 1) as GroupId);
        }
        self.take_emptied()
    }

    /// Forgets the group that has been without objects longest. No object refers to it, so its id may
    /// stand for another.
    fn take_emptied(&mut self) -> Option<GroupId> {
        let Self { groups, by_name, emptied, hasher, text_bytes, .. } = self;
        while let Some(id) = emptied.pop_front() {
            let group = &mut groups[id as usize];
            group.is_emptied = false;
            if group.objects > 0 {
                continue;
            }
            let group = std::mem::take(group);
            *text_bytes -= group.text_bytes();
            if let Ok(entry) = by_name.find_entry(group.hash(hasher), |&known| known == id) {
                entry.remove();
            }
            return Some(id);
        }
        None
    }
}
