//! What objects have in common: the things that rows are grouped by.

use crate::{
    kernel::census::sample::{Charge, SampledPage, Slot, State},
    stream::{
        event::{CgroupId, FileType, NO_NODE, NodeId, ObjectKind},
        ledger::pattern::pattern,
    },
};

/// One thing to group the rows of a census by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Slab cache
    Cache,
    /// Control group that the object is charged to: service, container, pod
    Cgroup,
    /// Directory and pattern of the name; of sockets protocol and port
    Place,
    /// Type of the filesystem
    Filesystem,
    /// User id of the owner: of an inode, a socket, or who opened a file
    Uid,
    /// NUMA node of the memory
    Node,
    /// What the object is: negative dentry, directory, socket
    Kind,
}

impl By {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            By::Cache => "cache",
            By::Cgroup => "cgroup",
            By::Place => "place",
            By::Filesystem => "filesystem",
            By::Uid => "uid",
            By::Node => "node",
            By::Kind => "kind",
        }
    }
}

/// What is in the place of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    #[default]
    Object,
    /// Dead, and not given back yet.
    BeingFreed,
    Free,
    /// Too few pages of its cache were seen.
    TooFew,
    /// Its cache's sample disagrees with the kernel's count.
    Doubted,
}

/// Who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payer {
    Nobody,
    Cgroup(CgroupId),
    /// Removed children of this cgroup.
    RemovedOf(CgroupId),
    Unknown,
}

/// A directory and the pattern of names in it; of a socket its protocol, and its service; of what has no name what it points to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub directory: Vec<u8>,
    pub pattern: Vec<u8>,
    /// Not a path: the two are words.
    pub is_flat: bool,
    /// All that is in the directory or below it and has no row of its own; without a pattern.
    pub is_below: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    NegativeDentry,
    Dentry,
    Inode(FileType),
    File(FileType),
    Socket,
}

/// Of one object, what it shows; of several, what they have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Traits {
    pub content: Content,
    /// Its place in the list of caches.
    pub cache: Option<usize>,
    pub payer: Option<Payer>,
    pub place: Option<Place>,
    pub filesystem: Option<Vec<u8>>,
    pub uid: Option<u32>,
    pub node: Option<NodeId>,
    pub kind: Option<Kind>,
}

impl Traits {
    pub fn of_slot(slot: &Slot, page: &SampledPage, cache: usize) -> Self {
        let traits = Self {
            cache: Some(cache),
            node: Some(page.node).filter(|&node| node != NO_NODE),
            ..Self::default()
        };
        match slot.state {
            State::Free => Self { content: Content::Free, ..traits },
            State::BeingFreed => Self { content: Content::BeingFreed, ..traits },
            State::Allocated => traits.of_object(slot),
        }
    }

    fn of_object(self, slot: &Slot) -> Self {
        let label = slot.inspection.as_ref().map(|inspection| inspection.label());
        let place = label.map(|label| Place {
            directory: label.directory.to_vec(),
            pattern: label.pattern.map_or_else(|| pattern(label.name), <[u8]>::to_vec),
            is_flat: label.kind == Some(ObjectKind::Socket),
            is_below: false,
        });
        let filesystem = label.map(|label| label.filesystem).filter(|filesystem| !filesystem.is_empty());
        Self {
            payer: Some(payer(slot.charge)),
            place: place.or_else(|| points_to(slot)),
            filesystem: filesystem.map(<[u8]>::to_vec),
            uid: slot.signs.uid,
            kind: label.and_then(|label| label.kind).map(kind),
            ..self
        }
    }

    /// Only what rows are grouped by.
    pub fn masked(&self, by: &[By]) -> Self {
        let has = |key| by.contains(&key);
        Self {
            content: self.content,
            cache: self.cache.filter(|_| has(By::Cache)),
            payer: self.payer.filter(|_| has(By::Cgroup)),
            place: self.place.clone().filter(|_| has(By::Place)),
            filesystem: self.filesystem.clone().filter(|_| has(By::Filesystem)),
            uid: self.uid.filter(|_| has(By::Uid)),
            node: self.node.filter(|_| has(By::Node) && self.content == Content::Object),
            kind: self.kind.filter(|_| has(By::Kind)),
        }
    }

    /// What both have.
    pub fn keep_common(&mut self, other: &Self) {
        keep(&mut self.cache, &other.cache);
        keep(&mut self.payer, &other.payer);
        keep(&mut self.place, &other.place);
        keep(&mut self.filesystem, &other.filesystem);
        keep(&mut self.uid, &other.uid);
        keep(&mut self.node, &other.node);
        keep(&mut self.kind, &other.kind);
    }
}

/// Objects of one kind have the same functions and tables: what the first such pointer leads to tells kinds apart where nothing else does.
fn points_to(slot: &Slot) -> Option<Place> {
    let pattern = slot.points_to.as_ref()?.clone().into_bytes();
    Some(Place { directory: b"points to".to_vec(), pattern, is_flat: true, is_below: false })
}

fn keep<T: PartialEq>(own: &mut Option<T>, other: &Option<T>) {
    if own != other {
        *own = None;
    }
}

fn payer(charge: Charge) -> Payer {
    match charge {
        Charge::Nobody => Payer::Nobody,
        Charge::Cgroup(id) => Payer::Cgroup(id),
        Charge::Removed { ancestor, .. } => Payer::RemovedOf(ancestor),
        Charge::Unknown => Payer::Unknown,
    }
}

fn kind(kind: ObjectKind) -> Kind {
    match kind {
        ObjectKind::Dentry { negative: true, .. } => Kind::NegativeDentry,
        ObjectKind::Dentry { .. } => Kind::Dentry,
        ObjectKind::Inode(file_type) => Kind::Inode(file_type),
        ObjectKind::File(file_type) => Kind::File(file_type),
        ObjectKind::Socket => Kind::Socket,
    }
}
