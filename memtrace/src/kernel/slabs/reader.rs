//! Looks at slabs, with all that the programs have to be told of caches, processors and nodes.

use memtrace_common::{
    census::{Look, SLOTS},
    config::Pages,
};

use super::{
    SlabsError,
    at_hand::AtHand,
    layout::SlabsLayout,
    looker::Looker,
    shape::{Shape, Slab},
    topology::Topology,
    verdict,
};
use crate::{
    kernel::{
        discover::Kernel,
        memory::{Memory, MemoryError},
    },
    stream::event::Address,
};

pub struct SlabReader {
    pub looker: Looker,
    pub layout: SlabsLayout,
    pub pages: Pages,
    topology: Topology,
}

/// A cache whose slabs are looked at.
pub struct SlabCache {
    pub shape: Shape,
    /// What processors and nodes have at hand of it, as it was read last.
    at_hand: Option<AtHand>,
}

impl SlabCache {
    pub fn new(shape: Shape) -> Self {
        Self { shape, at_hand: None }
    }

    /// It is read again before the next look: what was at hand a moment ago may be in use now.
    pub fn forget_at_hand(&mut self) {
        self.at_hand = None;
    }

    /// Whether a processor or a node has an object at hand in a sheaf.
    pub fn has_at_hand(&self, object: Address) -> bool {
        self.at_hand.as_ref().is_some_and(|at_hand| at_hand.has(object))
    }
}

impl SlabReader {
    pub fn open(kernel: &Kernel) -> Result<Self, SlabsError> {
        let pages = kernel.pages.clone().map_err(SlabsError::Pages)?;
        let layout = kernel.layout.slabs.clone().map_err(SlabsError::Layout)?;
        Ok(Self {
            looker: Looker::open(&kernel.layout, layout.slabs)?,
            topology: Topology::find(&kernel.memory, &layout.anchor)?,
            layout,
            pages,
        })
    }

    /// None where the slab changed meanwhile, or is not the cache's any more.
    pub fn look(
        &mut self,
        memory: &Memory,
        cache: &mut SlabCache,
        slab: Slab,
        slots: [u64; SLOTS],
    ) -> Result<Option<Look>, MemoryError> {
        let Self { looker, layout, topology, .. } = self;
        let address = cache.shape.cache;
        let at_hand = cache.at_hand.get_or_insert_with(|| AtHand::read(memory, layout, topology, address));
        let cpu = at_hand.cpu(slab.head);
        let stride = *layout.stride.as_ref().unwrap_or(&0);
        let look = looker.look(&cache.shape.question(slab, stride, cpu, slots))?;
        let look = look.filter(|look| look.cache == address && !verdict::is_taken(look, cpu));
        if look.is_none() {
            cache.forget_at_hand();
        }
        Ok(look)
    }
}
