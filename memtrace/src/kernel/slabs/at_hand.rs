//! Free objects that the slabs do not list: those that processors and nodes have at hand.
//!
//! Up to v6.19 each processor allocates from a slab of its own, whose free objects it has in a list of its own. Newer kernels have
//! sheaves: arrays of free objects, three for each processor and full ones for each node. Linux commits 2d517aa09bbc ("slab: add opt-in
//! caching layer of percpu sheaves") (in v6.18) and 32c894c7274b (in v7.0), which took the processors' slabs away.

use std::collections::{HashMap, HashSet};

use super::{
    layout::{BarnFields, BarnPointer, SlabsLayout},
    topology::Topology,
};
use crate::{
    kernel::memory::{Memory, Readable as _},
    stream::event::Address,
};

/// Sheaves of a barn are at most 10; objects of a sheaf 60 in v7.x, but caches may ask for more.
const MAX_SHEAVES: usize = 64;
const MAX_SHEAF: u32 = 4096;

/// What one cache has at hand at one moment. What cannot be read is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtHand {
    /// The `kmem_cache_cpu` that allocates from a slab.
    cpus: HashMap<u64, u64>,
    /// In sheaves.
    free: HashSet<Address>,
}

impl AtHand {
    pub fn read(memory: &Memory, layout: &SlabsLayout, topology: &Topology, cache: u64) -> Self {
        let reader = Reader { memory, layout, topology, cache };
        Self { cpus: reader.slabs().unwrap_or_default(), free: reader.sheaves() }
    }

    /// The `kmem_cache_cpu` of the processor that allocates from this slab; 0 where none does.
    pub fn cpu(&self, slab: u64) -> u64 {
        self.cpus.get(&slab).copied().unwrap_or(0)
    }

    pub fn has(&self, object: Address) -> bool {
        self.free.contains(&object)
    }

    pub fn sheaf_objects(&self) -> usize {
        self.free.len()
    }
}

struct Reader<'a> {
    memory: &'a Memory,
    layout: &'a SlabsLayout,
    topology: &'a Topology,
    cache: u64,
}

impl Reader<'_> {
    /// What is read may have been freed meanwhile, and then be any number.
    fn pointer(&self, address: u64) -> Option<u64> {
        self.memory.u64(address).ok().filter(|&pointer| pointer != 0)
    }

    fn slabs(&self) -> Option<HashMap<u64, u64>> {
        let shared = self.pointer(self.cache + u64::from(self.layout.cache.cpu_slab?))?;
        let slab_at = u64::from(self.layout.slabs.cpu_slab);
        let slabs = self
            .topology
            .on_each_cpu(shared)
            .filter_map(|cpu| Some((self.pointer(cpu.wrapping_add(slab_at))?, cpu)));
        Some(slabs.collect())
    }

    fn sheaves(&self) -> HashSet<Address> {
        let mut free = HashSet::new();
        for sheaf in self.of_cpus().unwrap_or_default() {
            self.add(sheaf, &mut free);
        }
        if let Some(barn) = &self.layout.at_hand.barn {
            for sheaf in self.topology.nodes().iter().filter_map(|&node| self.of_node(barn, node)).flatten() {
                self.add(sheaf, &mut free);
            }
        }
        free
    }

    fn of_cpus(&self) -> Option<Vec<u64>> {
        let shared = self.pointer(self.cache + u64::from(self.layout.cache.cpu_sheaves?))?;
        let sheaves = self.topology.on_each_cpu(shared).flat_map(|cpu| {
            self.layout
                .at_hand
                .sheaves
                .iter()
                .filter_map(move |&at| self.pointer(cpu.wrapping_add(at.into())))
        });
        Some(sheaves.collect())
    }

    /// The full ones of a node.
    fn of_node(&self, fields: &BarnFields, node: u32) -> Option<Vec<u64>> {
        let entry = self.cache + u64::from(fields.nodes + node * fields.node_stride);
        let barn = match fields.pointer {
            BarnPointer::InEntry(at) => self.pointer(entry.wrapping_add(at.into()))?,
            BarnPointer::InNode(at) => self.pointer(self.pointer(entry)?.wrapping_add(at.into()))?,
        };
        let head = barn.wrapping_add(fields.full.into());
        let list = u64::from(self.layout.at_hand.sheaf_list);
        let mut sheaves = Vec::new();
        let mut at = self.pointer(head)?;
        while at != head && sheaves.len() < MAX_SHEAVES {
            sheaves.push(at.wrapping_sub(list));
            at = self.pointer(at)?;
        }
        Some(sheaves)
    }

    fn add(&self, sheaf: u64, free: &mut HashSet<Address>) {
        let fields = &self.layout.at_hand;
        let Ok(size) = self.memory.u32(sheaf.wrapping_add(fields.sheaf_size.into())) else { return };
        let mut objects = vec![0; size.min(MAX_SHEAF) as usize * size_of::<u64>()];
        if self.memory.read(sheaf.wrapping_add(fields.sheaf_objects.into()), &mut objects).is_ok() {
            let (objects, _) = objects.as_chunks();
            free.extend(objects.iter().map(|object| u64::from_ne_bytes(*object)));
        }
    }
}
