//! All that is known of the host's memory at one moment.

use std::time::Instant;

use super::sum::Sum;
use crate::procfs::{
    Files, HostError, Node,
    buddyinfo::FreeBlocks,
    cgroup::CgroupList,
    dentry_state::DentryState,
    meminfo::Meminfo,
    pressure::Pressure,
    process::memory::{self, ProcessList},
    slab::SlabCaches,
    tmpfs::Tmpfs,
    vmstat::Vmstat,
};

/// What is cheap to read: some 100 us.
#[derive(Clone, Debug)]
pub struct Glance {
    pub at: Instant,
    pub meminfo: Meminfo,
    pub sum: Sum,
    pub dentries: Option<DentryState>,
}

#[derive(Debug)]
pub struct Sample {
    pub glance: Glance,
    pub vmstat: Vmstat,
    /// Empty where there is only one.
    pub nodes: Vec<Node>,
    pub pressure: Option<Pressure>,
    pub free_blocks: Option<FreeBlocks>,
    pub tmpfs: Vec<Tmpfs>,
    pub processes: ProcessList,
    pub cgroups: CgroupList,
    /// Or why they cannot be listed.
    pub caches: Result<SlabCaches, String>,
}

impl Glance {
    pub fn take(files: &Files) -> Result<Self, HostError> {
        let at = Instant::now();
        let meminfo = files.meminfo()?;
        let per_cpu_free = files.pcp_free_pages().unwrap_or(0);
        let sum = Sum::new(&meminfo, &files.vmstat(), per_cpu_free, page_size());
        Ok(Self { at, meminfo, sum, dentries: files.dentry_state() })
    }
}

impl Sample {
    /// Reading files creates dentries and inodes, which would count as growth; the second time they already exist.
    pub fn warm_up(files: &Files) {
        drop((memory::read(&files.proc(), page_size()), files.cgroups(), files.tmpfs()));
        // Without slabinfo, which takes locks.
        drop(files.described_caches(std::iter::empty()));
    }

    pub fn take(files: &Files) -> Result<Self, HostError> {
        // What takes longest first, so that the figures that are compared are of one moment.
        let processes = memory::read(&files.proc(), page_size());
        let cgroups = files.cgroups();
        let tmpfs = files.tmpfs();
        let nodes = files.nodes();
        Ok(Self {
            glance: Glance::take(files)?,
            caches: files.slab_caches().map_err(|error| error.to_string()),
            vmstat: files.vmstat(),
            pressure: files.pressure(),
            free_blocks: files.free_blocks(),
            nodes: if nodes.len() > 1 { nodes } else { Vec::new() },
            tmpfs,
            processes,
            cgroups,
        })
    }
}

pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}
