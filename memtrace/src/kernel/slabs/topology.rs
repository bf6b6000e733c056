//! The processors and nodes that may have objects at hand, and where each processor has its own copy of what the kernel keeps once
//! for each.
//!
//! The kernel hides that, but one map of ours shows it: a program that runs on a processor sees the address of that processor's value,
//! and the map has the pointer that all processors share. Their difference is the same for everything.

use std::fs;

use super::{layout::AnchorFields, own_file};
use crate::{
    kernel::memory::{Memory, MemoryError, Readable as _},
    procfs::id_list,
};

const ONLINE: &str = "/sys/devices/system/cpu/online";
const POSSIBLE_NODES: &str = "/sys/devices/system/node/possible";

pub struct Topology {
    /// What to add to a pointer that is shared, for each processor that is online.
    cpus: Vec<u64>,
    /// Those that a cache can have an entry for.
    nodes: Vec<u32>,
}

impl Topology {
    pub fn find(memory: &Memory, fields: &AnchorFields) -> Result<Self, MemoryError> {
        let map = own_file::address(memory, fields, memory.counters())?;
        let array = memory.u64(map + u64::from(fields.file_private))?;
        let shared = memory.u64(array + u64::from(fields.map_values))?;
        // One that goes offline meanwhile has given its objects back.
        let values = ids(ONLINE).into_iter().filter_map(|cpu| memory.on_cpu(cpu.into()).ok());
        let cpus = values.map(|value| value.wrapping_sub(shared)).collect();
        Ok(Self { cpus, nodes: nodes() })
    }

    /// Each processor's copy of what a shared pointer points to.
    pub fn on_each_cpu(&self, shared: u64) -> impl Iterator<Item = u64> {
        self.cpus.iter().map(move |offset| shared.wrapping_add(*offset))
    }

    pub fn nodes(&self) -> &[u32] {
        &self.nodes
    }
}

/// The nodes that the kernel may keep something for. Without NUMA it has one.
pub fn nodes() -> Vec<u32> {
    let nodes = ids(POSSIBLE_NODES).into_iter().map(u32::from);
    if nodes.len() == 0 { vec![0] } else { nodes.collect() }
}

/// Empty where the kernel has no such list.
fn ids(path: &str) -> Vec<u16> {
    fs::read(path).ok().and_then(|text| id_list::parse(&text)).unwrap_or_default()
}
