//! Takes a census: draws frames in passes, each over all of memory, until enough of them are of slabs.

use std::{collections::HashMap, time::Instant};

use memtrace_common::{
    census::{Look, NO_SLOT, SCAN_PAGES, SLOTS},
    config::Pages,
};

use super::{
    Options,
    allowance::Allowance,
    frames::{Frames, PASS},
    plan::{self, PILOT_FRAMES},
    sample::{Charge, Cut, Sample, SampledCache, SampledPage, Signs, Slot, State},
    signs,
};
use crate::{
    kernel::{
        discover::Kernel,
        inspect::{Inspectable, Inspector},
        memory::{MemoryError, Readable as _},
        slabs::{
            SlabsError,
            looker::Scanned,
            reader::{SlabCache, SlabReader},
            shape::{Shape, Slab},
            verdict,
        },
    },
    stream::event::{NO_NODE, NodeId},
};

/// Words of an object that may show what it is.
const MAX_WORDS: u64 = 16;
/// Times that a page is read which changes.
const TRIES: usize = 3;

/// Takes a census, in the thread that calls: what it takes of a CPU is bounded. `goes_on` is asked between passes: false ends it with
/// what was sampled so far.
pub fn take(
    kernel: &Kernel,
    options: &Options,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Sample, SlabsError> {
    let mut sampler = Sampler::open(kernel, options)?;
    let mut allowance = Allowance::begin(options.cpu_time, goes_on);
    if sampler.draw(PILOT_FRAMES, &mut || allowance.ends_pilot())? {
        let pilot = allowance.pilot(sampler.sample.drawn, sampler.pages_seen());
        let frames = plan::frames_to_draw(pilot, options.error, options.cpu_time, sampler.frames.total());
        sampler.draw(frames, &mut || allowance.ends())?;
    }
    sampler.sample.cost.cpu_time = allowance.spent();
    Ok(sampler.finish())
}

/// Which frames of a draw are of slabs, to compare with /proc/kpageflags. Empty where frames have no numbers for us.
pub fn slab_frames(kernel: &Kernel, seed: u64, count: u64) -> Result<Vec<(u64, bool)>, SlabsError> {
    let mut sampler = Sampler::open(kernel, &Options { seed, ..Options::default() })?;
    let mut frames = Vec::new();
    for pages in sampler.frames.draw(&mut sampler.random, count).chunks(SCAN_PAGES) {
        for (page, scanned) in pages.iter().zip(sampler.reader.looker.scan(pages)?) {
            let is_slab = sampler.by_address.contains_key(&scanned.cache);
            frames.extend(sampler.frames.frame(*page).map(|frame| (frame, is_slab)));
        }
    }
    Ok(frames)
}

struct Sampler<'a> {
    kernel: &'a Kernel,
    frames: Frames,
    reader: SlabReader,
    inspector: Inspector<'a>,
    caches: Vec<Cache>,
    /// Indices of `caches`.
    by_address: HashMap<u64, usize>,
    random: fastrand::Rng,
    start: Instant,
    sample: Sample,
}

struct Cache {
    slabs: SlabCache,
    inspectable: Option<Inspectable>,
    /// Asked for.
    is_wanted: bool,
    sampled: SampledCache,
}

/// What came of reading a page.
enum Page {
    Read(SampledPage),
    Strange,
    Changed,
}

impl<'a> Sampler<'a> {
    fn open(kernel: &'a Kernel, options: &Options) -> Result<Self, SlabsError> {
        let start = Instant::now();
        let reader = SlabReader::open(kernel)?;
        let memory = &kernel.memory;
        let frames = Frames::find(kernel, &reader.layout.anchor, &reader.pages)?;
        let mut caches = Vec::new();
        for cache in &kernel.caches {
            let is_wanted = options.caches.is_empty() || options.caches.contains(&cache.address);
            caches.push(Cache {
                slabs: SlabCache::new(Shape::read(memory, &reader.layout, cache)?),
                inspectable: Inspectable::of_cache(&cache.name, cache.address, &kernel.layout),
                is_wanted,
                sampled: SampledCache {
                    address: cache.address,
                    name: cache.name.clone(),
                    size: cache.size,
                    order: cache.order,
                    pages: Vec::new(),
                },
            });
        }
        let by_address =
            caches.iter().enumerate().map(|(index, cache)| (cache.sampled.address, index)).collect();
        let sample = Sample {
            seed: options.seed,
            frames: frames.total(),
            charges_unavailable: reader.layout.stride.as_ref().err().cloned(),
            ..Sample::default()
        };
        Ok(Self {
            kernel,
            frames,
            reader,
            inspector: Inspector::new(memory, &kernel.layout),
            caches,
            by_address,
            random: fastrand::Rng::with_seed(options.seed),
            start,
            sample,
        })
    }

    /// Draws until there are so many frames in all. False where something ended it before; what it has then is a sample too.
    fn draw(&mut self, frames: u64, end: &mut dyn FnMut() -> Option<Cut>) -> Result<bool, MemoryError> {
        while self.sample.drawn < frames.min(self.frames.total()) {
            if self.sample.drawn > 0 {
                self.sample.cut = end();
            }
            if self.sample.cut.is_some() {
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
        self.caches.iter_mut().for_each(|cache| cache.slabs.forget_at_hand());
        let drawn = self.frames.draw(&mut self.random, PASS);
        self.sample.drawn += drawn.len() as u64;
        let mut found = Vec::new();
        let start = Instant::now();
        for pages in drawn.chunks(SCAN_PAGES) {
            for (&page, scanned) in pages.iter().zip(self.reader.looker.scan(pages)?) {
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
        let slab = Slab::at(scanned.head, &self.reader.pages);
        if !self.caches[index].slabs.shape.is_readable() {
            return Ok(Page::Strange);
        }
        let Some(look) = self.look(slab, index, [NO_SLOT; SLOTS])? else { return Ok(Page::Changed) };
        let shape = &self.caches[index].slabs.shape;
        if !verdict::is_regular(&look, self.reader.layout.mark, shape.objects) {
            return Ok(Page::Strange);
        }
        let Pages { page_shift, page_size, .. } = self.reader.pages;
        let number = page.wrapping_sub(slab.head) / u64::from(page_size);
        let here = shape.beginning_in(number, 1 << page_shift, verdict::objects(&look));
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
        Ok(if same { Page::Read(read) } else { Page::Changed })
    }

    fn look(&mut self, slab: Slab, index: usize, slots: [u64; SLOTS]) -> Result<Option<Look>, MemoryError> {
        self.reader.look(&self.kernel.memory, &mut self.caches[index].slabs, slab, slots)
    }

    fn slot(&mut self, slab: Slab, index: usize, look: &Look, place: usize, number: u64) -> Slot {
        let cache = &self.caches[index];
        let address = cache.slabs.shape.object(slab, number);
        let in_sheaf = cache.slabs.has_at_hand(address);
        let charge = match &self.reader.layout.stride {
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
            open_in: Vec::new(),
        };
        if slot.state == State::Allocated && cache.inspectable.is_none() {
            slot.words = self.words(address, cache.slabs.shape.size);
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

    fn node(&self, flags: u64) -> NodeId {
        self.kernel.layout.page_node.as_ref().map_or(NO_NODE, |page_node| page_node.of(flags) as NodeId)
    }

    fn finish(mut self) -> Sample {
        let wanted = self.caches.into_iter().filter(|cache| cache.is_wanted);
        self.sample.caches = wanted.map(|cache| cache.sampled).collect();
        self.sample.cost.elapsed = self.start.elapsed();
        self.sample.cost.longest_run = self.reader.looker.longest_run();
        self.sample
    }
}
