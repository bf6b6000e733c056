//! Asks the kernel's memory whether objects that are believed to be allocated are.
//!
//! A free that nobody saw leaves an object in the ledger for ever: one whose probe was skipped, whose event found its ring full, or
//! that fires no tracepoint, as bulk frees and `kfree_rcu` do not. But the object lies on a list of free ones then, or its page is of
//! another slab or of none.
//!
//! What is not found free may still be: a processor may have taken it to what it has at hand meanwhile. So "free" is certain, of the
//! moment of the look, and "allocated" is not.

use std::collections::{HashMap, HashSet};

use memtrace_common::{
    census::{Look, NO_SLOT, SCAN_PAGES, SLOTS},
    config::Pages,
    page,
};

use super::{
    census::frames::Frames,
    discover::Kernel,
    memory::MemoryError,
    slabs::{
        SlabsError,
        looker::Scanned,
        reader::{SlabCache, SlabReader},
        shape::{Shape, Slab},
        verdict::{self, State},
    },
};
use crate::stream::event::Address;

/// Times that a slab is looked at which changes meanwhile.
const TRIES: usize = 3;

pub struct Verifier {
    reader: SlabReader,
    /// By the caches' addresses; None for those whose slabs we cannot read.
    caches: HashMap<Address, Option<SlabCache>>,
}

/// What is at an object's place.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is looked at at once")]
pub enum Found {
    /// A slab of the cache that the object is said to be of.
    Slab(SlabView),
    /// Something else: the slab was given back.
    Other,
    /// It cannot be read, or goes on changing.
    Unknown,
}

/// Which objects of a slab are allocated.
#[derive(Clone, Debug)]
pub struct SlabView {
    slab: Slab,
    shape: Shape,
    look: Look,
    /// Objects that a processor or a node has at hand.
    in_sheaves: Vec<Address>,
}

impl SlabView {
    /// The objects of the slab, and whether they are free.
    pub fn objects(&self) -> impl Iterator<Item = (Address, bool)> {
        (0..verdict::objects(&self.look)).map(|number| {
            let object = self.shape.object(self.slab, number);
            let in_sheaf = self.in_sheaves.contains(&object);
            (object, verdict::state(&self.look, number, in_sheaf) == State::Free)
        })
    }
}

impl Verifier {
    pub fn open(kernel: &Kernel) -> Result<Self, SlabsError> {
        Ok(Self { reader: SlabReader::open(kernel)?, caches: HashMap::new() })
    }

    /// Begins a step: caches may have come and gone, and what processors have at hand is read again. Only of objects that were
    /// allocated before this, free ones are told from others for certain: an object that was at hand a moment ago may be in use now.
    pub fn begin(&mut self) {
        self.caches.clear();
    }

    /// The page that an object begins in.
    pub fn page_of(&self, object: Address) -> u64 {
        let Pages { base, page_shift, page_size, .. } = self.reader.pages;
        page::address_of(object, base, page_shift, page_size)
    }

    /// What is at each of these pages, [`SCAN_PAGES`] at most, of which the objects are said to be of these caches.
    pub fn look_at(&mut self, kernel: &Kernel, pages: &[(u64, Address)]) -> Result<Vec<Found>, MemoryError> {
        let addresses: Vec<u64> = pages.iter().map(|(page, _)| *page).collect();
        debug_assert!(addresses.len() <= SCAN_PAGES);
        let scanned = self.reader.looker.scan(&addresses)?;
        pages.iter().zip(scanned).map(|(&(_, cache), scanned)| self.found(kernel, cache, scanned)).collect()
    }

    /// The slabs of these caches that some of these pages are of, [`SCAN_PAGES`] at most, each with the page.
    pub fn slabs_at(
        &mut self,
        kernel: &Kernel,
        pages: &[u64],
        caches: &HashSet<Address>,
    ) -> Result<Vec<(u64, SlabView)>, MemoryError> {
        let mut views = Vec::new();
        for (&page, scanned) in pages.iter().zip(self.reader.looker.scan(pages)?) {
            if !caches.contains(&scanned.cache) {
                continue;
            }
            if let Found::Slab(view) = self.found(kernel, scanned.cache, scanned)? {
                views.push((page, view));
            }
        }
        Ok(views)
    }

    /// The host's page frames.
    pub fn frames(&self, kernel: &Kernel) -> Result<Frames, MemoryError> {
        Frames::find(kernel, &self.reader.layout.anchor, &self.reader.pages)
    }

    fn found(&mut self, kernel: &Kernel, cache: Address, scanned: Scanned) -> Result<Found, MemoryError> {
        if scanned.head == 0 {
            return Ok(Found::Unknown);
        }
        if scanned.cache != cache {
            return Ok(Found::Other);
        }
        if !self.knows(kernel, cache)? {
            return Ok(Found::Unknown);
        }
        for _ in 0..TRIES {
            match self.look(kernel, cache, scanned)? {
                Some(found) => return Ok(found),
                None => continue,
            }
        }
        Ok(Found::Unknown)
    }

    fn knows(&mut self, kernel: &Kernel, address: Address) -> Result<bool, MemoryError> {
        if let Some(known) = self.caches.get(&address) {
            return Ok(known.is_some());
        }
        let found = super::caches::read(&kernel.memory, &kernel.layout, address);
        let shape =
            found.map(|cache| Shape::read(&kernel.memory, &self.reader.layout, &cache)).transpose()?;
        let cache = shape.filter(Shape::is_readable).map(SlabCache::new);
        let is_known = cache.is_some();
        self.caches.insert(address, cache);
        Ok(is_known)
    }

    /// None where it changed meanwhile.
    fn look(
        &mut self,
        kernel: &Kernel,
        address: Address,
        scanned: Scanned,
    ) -> Result<Option<Found>, MemoryError> {
        let Some(Some(cache)) = self.caches.get_mut(&address) else { return Ok(Some(Found::Unknown)) };
        let slab = Slab::at(scanned.head, &self.reader.pages);
        let Some(look) = self.reader.look(&kernel.memory, cache, slab, [NO_SLOT; SLOTS])? else {
            return Ok(None);
        };
        if !verdict::is_regular(&look, self.reader.layout.mark, cache.shape.objects) {
            return Ok(Some(Found::Unknown));
        }
        let objects = (0..verdict::objects(&look)).map(|number| cache.shape.object(slab, number));
        let in_sheaves = objects.filter(|&object| cache.has_at_hand(object)).collect();
        Ok(Some(Found::Slab(SlabView { slab, in_sheaves, shape: cache.shape.clone(), look })))
    }
}
