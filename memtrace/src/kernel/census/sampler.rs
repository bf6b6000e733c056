//! Takes a census: draws frames in passes, each over all of memory, until enough of them are of slabs.

use std::{collections::HashMap, time::Instant};

use memtrace_common::{
    census::{Look, NO_SLOT, SCAN_PAGES, SLOTS},
    config::Pages,
};

use super::{
    CensusError, Options,
    frames::Frames,
    plan::{self, PILOT_FRAMES, Pilot},
    sample::{Charge, Sample, SampledCache, SampledPage, Signs, Slot, State},
    signs,
};
use crate::kernel::{
    discover::Kernel,
    inspect::{Inspectable, Inspector},
    layout::PageNode,
    memory::{MemoryError, Readable as _},
    slabs::{
        at_hand::AtHand,
        layout::SlabsLayout,
        looker::{Looker, Scanned},
        shape::{Shape, Slab},
        topology::Topology,
        verdict,
    },
};

/// Frames of a pass. Only whole passes count: a part of one would not be of all memory.
const PASS: u64 = 4096;
/// Words of an object that may show what it is.
const MAX_WORDS: u64 = 16;
/// Times that a page is read which changes.
const TRIES: usize = 3;

/// Takes a census. `goes_on` is asked between passes: false ends it with what was sampled so far.
pub fn take(
    kernel: &Kernel,
    options: &Options,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Sample, CensusError> {
    let mut sampler = Sampler::open(kernel, options)?;
    let deadline = sampler.start + options.time;
    let mut goes_on = || Instant::now() < deadline && goes_on();
    let start = Instant::now();
    let all = sampler.draw(PILOT_FRAMES, &mut goes_on)?;
    if all {
        let pilot =
            Pilot { drawn: sampler.sample.drawn, pages: sampler.pages_seen(), elapsed: start.elapsed() };
        let left = deadline.saturating_duration_since(start);
        let frames = plan::frames_to_draw(pilot, options.error, left, sampler.frames.total());
        sampler.draw(frames, &mut goes_on)?;
    }
    Ok(sampler.finish())
}

/// Which frames of a draw are of slabs, to compare with /proc/kpageflags. Empty where frames have no numbers for us.
pub fn slab_frames(kernel: &Kernel, seed: u64, count: u64) -> Result<Vec<(u64, bool)>, CensusError> {
    let mut sampler = Sampler::open(kernel, &Options { seed, ..Options::default() })?;
    let mut frames = Vec::new();
    for pages in sampler.frames.draw(&mut sampler.random, count).chunks(SCAN_PAGES) {
        for (page, scanned) in pages.iter().zip(sampler.looker.scan(pages)?) {
            let is_slab = sampler.by_address.contains_key(&scanned.cache);
            frames.extend(sampler.frames.frame(*page).map(|frame| (frame, is_slab)));
        }
    }
    Ok(frames)
}

struct Sampler<'a> {
    kernel: &'a Kernel,
    layout: &'a SlabsLayout,
    pages: &'a Pages,
    frames: Frames,
    looker: Looker,
    topology: Topology,
    inspector: Inspector<'a>,
    caches: Vec<Cache>,
    /// Indices of `caches`.
    by_address: HashMap<u64, usize>,
    random: fastrand::Rng,
    start: Instant,
    sample: Sample,
}

struct Cache {
    shape: Shape,
    inspectable: Option<Inspectable>,
    /// Asked for.
    is_wanted: bool,
    at_hand: Option<AtHand>,
    sampled: SampledCache,
}

/// What came of reading a page.
enum Page {
    Read(SampledPage),
    Strange,
    Changed,
}

impl<'a> Sampler<'a> {
    fn open(kernel: &'a Kernel, options: &Options) -> Result<Self, CensusError> {
        let start = Instant::now();
        let pages = kernel.pages.as_ref().map_err(|why| CensusError::Pages(why.clone()))?;
        let layout = kernel.layout.slabs.as_ref().map_err(|why| CensusError::Layout(why.clone()))?;
        let memory = &kernel.memory;
        let known = pages.base.wrapping_add(
            (kernel.caches.first().map_or(0, |cache| cache.address) >> pages.page_shift)
                .wrapping_mul(pages.page_size.into()),
        );
        let frames = Frames::find(memory, &layout.anchor, pages, known)?;
        let mut caches = Vec::new();
        for cache in &kernel.caches {
            let is_wanted = options.caches.is_empty() || options.caches.contains(&cache.address);
            caches.push(Cache {
                shape: Shape::read(memory, layout, cache)?,
                inspectable: Inspectable::of_cache(&cache.name, cache.address, &kernel.layout),
                is_wanted,
                at_hand: None,
                sampled: SampledCache {
                    address: cache.address,
                    name: cache.name.clone(),
                    size: cache.size,
                    order: cache.order,
                    pages: Vec::new(),
                },
            });
        }
        let by_address = caches.iter().enumerate().map(|(index, cache)| (cache.shape.cache, index)).collect();
        let sample = Sample {
            seed: options.seed,
            frames: frames.total(),
            charges_unavailable: layout.stride.as_ref().err().cloned(),
            ..Sample::default()
        };
        Ok(Self {
            kernel,
            layout,
            pages,
            frames,
            looker: Looker::open(&kernel.layout, layout.slabs)?,
            topology: Topology::find(memory, &layout.anchor)?,
            inspector: Inspector::new(memory, &kernel.layout),
            caches,
            by_address,
            random: fastrand::Rng::with_seed(options.seed),
            start,
            sample,
        })
    }

    /// Draws until there are so many frames in all. False where it ended before; what it has then is a sample too.
    fn draw(&mut self, frames: u64, goes_on: &mut dyn FnMut() -> bool) -> Result<bool, MemoryError> {
        while self.sample.drawn < frames.min(self.frames.total()) {
            if self.sample.drawn > 0 && !goes_on() {
                self.sample.is_cut = true;
                return Ok(false);
            }
            self.pass()?;
        }
        Ok(true)
    }

    /// Of the caches that are asked for.
    fn pages_seen(&self) -> u64 {
        self.caches.iter().map(|cache| cache.sampled.pages.len() as u64).sum()
    }

    /// Draws frames all over memory, and reads those that are of slabs.
    fn pass(&mut self) -> Result<(), MemoryError> {
        // What was at hand a moment ago may be in use now.
        self.caches.iter_mut().for_each(|cache| cache.at_hand = None);
        let drawn = self.frames.draw(&mut self.random, PASS);
        self.sample.drawn += drawn.len() as u64;
        let mut found = Vec::new();
        let start = Instant::now();
        for pages in drawn.chunks(SCAN_PAGES) {
            for (&page, scanned) in pages.iter().zip(self.looker.scan(pages)?) {
                let index = self.by_address.get(&scanned.cache).copied();
                if let Some(index) = index.filter(|&index| self.caches[index].is_wanted) {
                    found.push((page, scanned, index));
                }
            }
        }
        self.sample.cost.scanning += start.elapsed();
        for (page, scanned, index) in found {
            self.visit(page, scanned, index)?;
        }
        Ok(())
    }

    fn visit(&mut self, page: u64, scanned: Scanned, index: usize) -> Result<(), MemoryError> {
        for _ in 0..TRIES {
            match self.read(page, scanned, index)? {
                Page::Read(read) => {
                    self.caches[index].sampled.pages.push(read);
                    return Ok(());
                }
                Page::Strange => {
                    self.sample.strange += 1;
                    return Ok(());
                }
                Page::Changed => self.sample.changed += 1,
            }
        }
        self.sample.given_up += 1;
        Ok(())
    }

    fn read(&mut self, page: u64, scanned: Scanned, index: usize) -> Result<Page, MemoryError> {
        let slab = Slab::at(scanned.head, self.pages);
        if !self.caches[index].shape.is_readable() {
            return Ok(Page::Strange);
        }
        self.refresh(index);
        let Some(look) = self.look(slab, index, [NO_SLOT; SLOTS])? else { return Ok(Page::Changed) };
        if look.cache != scanned.cache {
            return Ok(Page::Changed);
        }
        let objects = verdict::objects(&look);
        let shape = &self.caches[index].shape;
        // KFENCE has pages of one object each.
        if !verdict::is_marked(&look, self.layout.mark)
            || objects == 0
            || objects > shape.objects.into()
            || (objects == 1 && shape.objects > 1)
        {
            return Ok(Page::Strange);
        }
        let page_bytes = 1 << self.pages.page_shift;
        let number = page.wrapping_sub(slab.head) / u64::from(self.pages.page_size);
        let here = shape.beginning_in(number, page_bytes, objects);
        let mut read = SampledPage {
            objects: (here.end - here.start) as u32,
            node: self.node(look.flags),
            slots: Vec::new(),
        };
        let slots = self.choose(here);
        if slots == [NO_SLOT; SLOTS] {
            return Ok(Page::Read(read));
        }
        let Some(look) = self.look(slab, index, slots)? else { return Ok(Page::Changed) };
        for (place, &number) in slots.iter().enumerate().filter(|(_, number)| **number != NO_SLOT) {
            read.slots.push(self.slot(slab, index, &look, place, number));
        }
        // What was read of the objects is true if they are still there.
        let Some(after) = self.look(slab, index, slots)? else { return Ok(Page::Changed) };
        let same = slots.iter().enumerate().all(|(place, &number)| {
            number == NO_SLOT
                || (verdict::has(&look.free, number) == verdict::has(&after.free, number)
                    && look.charges[place].objcg == after.charges[place].objcg)
        });
        Ok(if same && after.cache == scanned.cache { Page::Read(read) } else { Page::Changed })
    }

    /// Reads what the cache has at hand, where that was not done, or a processor has taken the slab since.
    fn refresh(&mut self, index: usize) {
        let cache = &mut self.caches[index];
        if cache.at_hand.is_none() {
            let memory = &self.kernel.memory;
            cache.at_hand = Some(AtHand::read(memory, self.layout, &self.topology, cache.shape.cache));
        }
    }

    fn look(&mut self, slab: Slab, index: usize, slots: [u64; SLOTS]) -> Result<Option<Look>, MemoryError> {
        let cache = &mut self.caches[index];
        let cpu = cache.at_hand.as_ref().map_or(0, |at_hand| at_hand.cpu(slab.head));
        let stride = *self.layout.stride.as_ref().unwrap_or(&0);
        let look = self.looker.look(&cache.shape.question(slab, stride, cpu, slots))?;
        // A processor has taken it since we looked which slabs the processors have.
        if look.is_none_or(|look| verdict::is_frozen(&look) && cpu == 0) {
            cache.at_hand = None;
        }
        Ok(look)
    }

    fn slot(&mut self, slab: Slab, index: usize, look: &Look, place: usize, number: u64) -> Slot {
        let cache = &self.caches[index];
        let address = cache.shape.object(slab, number);
        let in_sheaf = cache.at_hand.as_ref().is_some_and(|at_hand| at_hand.has(address));
        let charge = match &self.layout.stride {
            Ok(_) => verdict::charge(look.charges[place]),
            Err(_) => Charge::Unknown,
        };
        let mut slot = Slot {
            address,
            state: verdict::state(look, number, in_sheaf),
            charge,
            inspection: None,
            signs: Signs::default(),
            words: Vec::new(),
            points_to: None,
        };
        if slot.state == State::Allocated && cache.inspectable.is_none() {
            slot.words = self.words(address, cache.shape.size);
        }
        if let (State::Allocated, Some(kind)) = (slot.state, cache.inspectable) {
            let signs = signs::read(&self.kernel.layout.signs, &self.kernel.memory, kind, address);
            let (signs, is_dead) = signs.unwrap_or_default();
            if is_dead {
                slot.state = State::BeingFreed;
            } else {
                slot.signs = signs;
                slot.inspection = self.inspector.inspect(kind, address);
            }
        }
        slot
    }

    fn words(&self, object: u64, size: u64) -> Vec<u64> {
        let mut bytes = vec![0; size.min(MAX_WORDS * 8) as usize];
        let words = self.kernel.memory.read(object, &mut bytes).map(|()| bytes.as_chunks().0);
        words.unwrap_or_default().iter().map(|word| u64::from_ne_bytes(*word)).collect()
    }

    /// Two objects of a page tell whether its objects are alike; more would tell hardly more.
    fn choose(&mut self, here: std::ops::Range<u64>) -> [u64; SLOTS] {
        let count = here.end - here.start;
        let mut slots = [NO_SLOT; SLOTS];
        match count {
            0 => {}
            1 => slots[0] = here.start,
            _ => {
                let one = self.random.u64(0..count);
                let other = self.random.u64(0..count - 1);
                slots = [here.start + one, here.start + if other >= one { other + 1 } else { other }];
            }
        }
        slots
    }

    fn node(&self, flags: u64) -> u16 {
        match &self.kernel.layout.page_node {
            Ok(PageNode { bits, .. }) => flags.checked_shr(u64::BITS - bits).unwrap_or(0) as u16,
            Err(_) => crate::stream::event::NO_NODE,
        }
    }

    fn finish(mut self) -> Sample {
        let wanted = self.caches.into_iter().filter(|cache| cache.is_wanted);
        self.sample.caches = wanted.map(|cache| cache.sampled).collect();
        self.sample.cost.elapsed = self.start.elapsed();
        self.sample.cost.longest_run = self.looker.longest_run();
        self.sample
    }
}
