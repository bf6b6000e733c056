//! Unused dentries and inodes, exactly: the kernel counts them by filesystem, memory cgroup and node, since it drops them in the
//! order in which they became unused (`struct list_lru`). No file shows these counts.
//!
//! `fields` says where they are, `lists` reads those of a filesystem, `cgroups` finds out whose they are, and `superblocks` walks
//! through all filesystems.

mod cgroups;
pub mod fields;
mod lists;
mod superblocks;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    cgroups::ControlIds,
    lists::{Lists, ROOT},
    superblocks::Superblock,
};
use super::{discover::Kernel, memory::MemoryError, reason::Reason, slabs::topology};
use crate::stream::event::CgroupId;

/// Why they cannot be read on this host.
#[derive(Debug, thiserror::Error)]
pub enum UnusedError {
    #[error("this kernel counts them in a way that memtrace does not understand: {0}")]
    Layout(Reason),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error("cannot open /: {0}")]
    Root(#[from] std::io::Error),
}

/// What is unused of one filesystem, and charged to one cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unused {
    /// `ext4`.
    pub filesystem: Vec<u8>,
    /// The name of its device, or else of its type.
    pub id: Vec<u8>,
    /// `8:1`, as in /proc/self/mountinfo.
    pub device: String,
    /// None: the root's own, or where nothing is accounted.
    pub cgroup: Option<CgroupId>,
    pub dentries: u64,
    pub inodes: u64,
}

/// Of all filesystems; none of which there is nothing.
pub fn read(kernel: &Kernel) -> Result<Vec<Unused>, UnusedError> {
    let fields = kernel.layout.unused.as_ref().map_err(|why| UnusedError::Layout(why.clone()))?;
    let memory = &kernel.memory;
    let cgroups = ControlIds::read(memory, &kernel.layout)?;
    let nodes = topology::nodes();
    let lists = Lists { memory, fields: &fields.lists, nodes: &nodes, ids: cgroups.ids() };
    let mut unused = Vec::new();
    for superblock in superblocks::all(memory, &fields.superblock, &kernel.layout)? {
        unused.extend(of_superblock(&superblock, &lists, &cgroups));
    }
    Ok(unused)
}

fn of_superblock(
    superblock: &Superblock,
    lists: &Lists<'_, impl super::memory::Readable>,
    cgroups: &ControlIds,
) -> Vec<Unused> {
    // A list that cannot be read is one of a filesystem that is being unmounted.
    let counts = |list| lists.counts(list).unwrap_or_default();
    let (dentries, inodes) = (counts(superblock.dentries), counts(superblock.inodes));
    let ids: BTreeSet<i32> = dentries.keys().chain(inodes.keys()).copied().collect();
    let of = |counts: &BTreeMap<i32, u64>, id| counts.get(&id).copied().unwrap_or(0);
    let unused = ids.into_iter().map(|id| Unused {
        filesystem: superblock.filesystem.clone(),
        id: superblock.id.clone(),
        device: superblock.device.clone(),
        cgroup: if id == ROOT { None } else { cgroups.cgroup(id) },
        dentries: of(&dentries, id),
        inodes: of(&inodes, id),
    });
    unused.collect()
}
