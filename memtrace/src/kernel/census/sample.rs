//! What a census saw: random page frames of the host, and the objects in those that belong to slabs.

use std::time::Duration;

pub use crate::kernel::slabs::verdict::{Charge, State};
use crate::{
    kernel::inspect::Inspection,
    procfs::open_files::{Holder, InodeId},
    stream::event::{Address, NodeId},
};

/// A random sample of the host's memory. Plain data: estimates are made from it elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Draws the same frames again on the same host.
    pub seed: u64,
    /// Page frames that could be drawn.
    pub frames: u64,
    /// How many were. Each had the same chance: `drawn / frames`.
    pub drawn: u64,
    pub caches: Vec<SampledCache>,
    /// Pages that changed while they were read, and were read again.
    pub changed: u64,
    /// Of these, pages that went on changing: they are not in the sample.
    pub given_up: u64,
    /// Pages of slabs that are not laid out like those of their cache, such as KFENCE's: not in the sample.
    pub strange: u64,
    pub cost: Cost,
    /// Why charges cannot be read, where they cannot.
    pub charges_unavailable: Option<String>,
    /// Why it ended before all wanted frames were drawn, if it did.
    pub cut: Option<Cut>,
}

/// What ended a census early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Somebody interrupted it.
    Asked,
    /// It had all the time of a CPU that it may take.
    Spent,
    /// It waited, and got no more of a CPU than this.
    Starved { waited: Duration, cpu_time: Duration },
}

/// What the census took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub elapsed: Duration,
    /// Of a CPU, for drawing and reading.
    pub cpu_time: Duration,
    /// In the kernel, looking whether frames are of a slab.
    pub scanning: Duration,
    /// The longest call, with what the host did meanwhile: the kernel could not be preempted in a part of it.
    pub longest_run: Duration,
}

/// The pages of one slab cache in the sample.
#[derive(Clone, Debug, Default)]
pub struct SampledCache {
    pub address: Address,
    /// As in /proc/slabinfo; for a merged cache the name it was first created under.
    pub name: String,
    /// Bytes that one object takes, padding and metadata included.
    pub size: u64,
    /// Pages of one slab, as a power of two.
    pub order: u32,
    pub pages: Vec<SampledPage>,
}

/// One page frame of a slab.
#[derive(Clone, Debug, Default)]
pub struct SampledPage {
    /// Objects that begin in this page: an object's chance to be seen does not depend on the size of its slab.
    pub objects: u32,
    pub node: NodeId,
    /// Some of them, at random; none if no object begins here.
    pub slots: Vec<Slot>,
}

/// The place of one object, free or not.
#[derive(Clone, Debug)]
pub struct Slot {
    pub address: Address,
    pub state: State,
    pub charge: Charge,
    /// What the object shows of itself, if it is allocated and of a kind that can be inspected.
    pub inspection: Option<Inspection>,
    pub signs: Signs,
    /// The first words of an allocated object that cannot be inspected.
    pub words: Vec<u64>,
    /// The function or table of the kernel that the first such word points to, where somebody looked it up.
    pub points_to: Option<String>,
    /// Processes that have it open now, where somebody looked.
    pub open_in: Vec<Holder>,
}

/// What else an object tells of its past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// A dentry that nobody looked up again since it was made.
    pub asked_once: Option<bool>,
    /// Its owner: of an inode, an open file's opener, a socket.
    pub uid: Option<u32>,
    /// Of a file that may be open.
    pub inode: Option<InodeId>,
}
