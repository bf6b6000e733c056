//! What happened to a slab object: the one type that flows from every source to the ledger. And what happened to processes,
//! which goes to the table of processes.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

pub use memtrace_common::{
    event::{NO_GFP, cache_tag},
    generation::CacheId,
};

pub use crate::procfs::process::ProcessId;

/// Nanoseconds of CLOCK_MONOTONIC.
pub type TimeNs = u64;
/// Address of an object, a cache or a dentry in the kernel.
pub type Address = u64;

/// What a free carries of its object's cache: see [`cache_tag`].
pub type CacheTag = u32;

/// Number of a stack in the table of stacks.
pub type StackId = u32;

/// Of an allocation without a stack.
pub const NO_STACK: StackId = 0;

/// Kernfs id of a cgroup, and its inode number.
pub type CgroupId = u64;

/// Number of a NUMA node.
pub type NodeId = u16;

/// Where it is not known, or origins do not keep nodes apart.
pub const NO_NODE: NodeId = NodeId::MAX;

/// Flags of an allocation, `gfp_t`; [`NO_GFP`] where they are not known, or not told apart. Which bit means what differs
/// between kernels.
pub type Gfp = u32;

/// Length of a command name in the kernel, its NUL included.
pub const COMM_LEN: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Alloc(Alloc),
    Free(Free),
    Name(Name<'a>),
}

impl Event<'_> {
    /// The object it happened to.
    pub fn object(&self) -> Address {
        match self {
            Event::Alloc(alloc) => alloc.ptr,
            Event::Free(free) => free.ptr,
            Event::Name(name) => name.dentry,
        }
    }
}

/// A slab cache handed out an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alloc {
    pub time: TimeNs,
    pub ptr: Address,
    pub cache: CacheId,
    /// Where the kernel called the allocator; 0 where that is not known.
    pub call_site: Address,
    /// The task's cgroup: its kernfs id, in the hierarchy that charges memory. 0 where that is not known.
    pub cgroup: CgroupId,
    /// The calls that led to it, or [`NO_STACK`].
    pub stack: StackId,
    pub gfp: Gfp,
    /// The NUMA node of the object's memory, or [`NO_NODE`].
    pub node: NodeId,
    pub task: Task,
    /// The task's thread is an io_uring worker.
    pub is_io_worker: bool,
    /// The kernel side could not rule out that it sent this allocation before.
    pub may_repeat: bool,
}

/// An object went back to its slab cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    pub ptr: Address,
    /// None where the object may well be unknown: the cache is unknown and may not be traced, or the free may have been sent before.
    pub cache: Option<CacheTag>,
}

/// A dentry, which is a slab object, got its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    pub dentry: Address,
    pub name: &'a [u8],
    /// Name of the directory that it is in.
    pub parent: &'a [u8],
}

/// One object: the time of its allocation tells it from others at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectId {
    pub ptr: Address,
    pub time: TimeNs,
}

/// What an object is called, and what it turned out to be if it was inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// None where only its name is known.
    pub kind: Option<ObjectKind>,
    /// Type of the filesystem that it is of; empty where it is not known, or there is none.
    pub filesystem: &'a [u8],
    /// The whole path of its directory if it was inspected; else the directory's name.
    pub directory: &'a [u8],
    pub name: &'a [u8],
    /// What it has in common with similar objects, where the name does not show it.
    pub pattern: Option<&'a [u8]>,
}

impl<'a> Label<'a> {
    /// Of an object that was not inspected.
    pub fn named(directory: &'a [u8], name: &'a [u8]) -> Self {
        Self { kind: None, filesystem: &[], directory, name, pattern: None }
    }
}

/// What an object turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    Dentry {
        /// No file has this name, and the kernel remembers that.
        negative: bool,
        /// Its directory is the root of a filesystem.
        in_root: bool,
        /// Memory for a name that is too long for the dentry itself, in bytes.
        name_bytes: u16,
    },
    Inode(FileType),
    File(FileType),
    Socket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub enum FileType {
    Regular,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
    /// Of no type that names have: what eventfd and its kin are.
    Anonymous,
}

/// The task on whose behalf an object was allocated: the current one, also when an interrupt did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// Process (thread group); 0 is the idle task.
    pub tgid: u32,
    /// When the process started: see [`ProcessId`].
    pub started: u32,
    pub comm: Comm,
    pub is_kthread: bool,
}

impl Task {
    pub fn process(&self) -> ProcessId {
        ProcessId { tgid: self.tgid, started: self.started }
    }
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent<'a> {
    Fork { process: ProcessId, parent: ProcessId, parent_comm: Comm },
    Exec { process: ProcessId, parent: ProcessId, comm: Comm, program: Program<'a> },
    Exit { process: ProcessId },
}

/// What a process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program<'a> {
    /// As it was asked for; empty where that is not known.
    pub path: &'a [u8],
    /// Each argument with a NUL behind it, cut where it is long; empty where they are not known.
    pub arguments: &'a [u8],
}

/// A command name: up to 15 bytes that the process chose itself, NUL-padded.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Comm([u8; COMM_LEN]);

impl Comm {
    /// Bytes behind the first NUL are dropped, so that equal names are equal.
    pub fn new(mut bytes: [u8; COMM_LEN]) -> Self {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(COMM_LEN);
        bytes[end..].fill(0);
        Self(bytes)
    }

    /// A name as the kernel would keep it: cut after 15 bytes.
    pub fn truncated(name: &[u8]) -> Self {
        let mut bytes = [0; COMM_LEN];
        let len = name.len().min(COMM_LEN - 1);
        bytes[..len].copy_from_slice(&name[..len]);
        Self::new(bytes)
    }

    /// The name without its padding.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(COMM_LEN);
        &self.0[..end]
    }

    /// As the kernel keeps it.
    pub fn padded(&self) -> [u8; COMM_LEN] {
        self.0
    }
}

/// As one number: each allocation's origin is found by it.
impl Hash for Comm {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}
