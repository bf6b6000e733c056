//! A panel: page frames that are drawn at random once, and looked at twice.
//!
//! Whoever traced all allocations and frees between the two knows each object that is there at the second look: it was there at the
//! first one, or was allocated since. What is neither shows how many allocations were missed. Verification cannot find these: it asks
//! about objects that are known.

use std::{collections::HashSet, time::Duration};

use memtrace_common::census::SCAN_PAGES;

use super::{
    census::{
        allowance::Allowance,
        frames::{Frames, PASS},
    },
    discover::Kernel,
    memory::MemoryError,
    slabs::SlabsError,
    verify::Verifier,
};
use crate::stream::event::Address;

/// As many pages of slabs tell as much as a trust line needs: what was not seen in them is less than 0.4 % of what is there.
const ENOUGH_PAGES: u64 = 1_000;
/// Choosing them takes no more of a CPU, and neither does looking at them again.
const CPU_TIME: Duration = Duration::from_millis(250);

pub struct Panel {
    frames: Frames,
    seed: u64,
    passes: u64,
    caches: HashSet<Address>,
}

/// A page frame of a slab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelPage {
    pub page: u64,
    /// Objects that begin in it, free places included.
    pub places: u32,
    pub allocated: Vec<Address>,
}

impl Panel {
    /// Draws frames until enough of them are of these caches, and looks at those. Returns what is allocated in them.
    ///
    /// How many are drawn depends on the pages that were seen, and not on what is in them: that would favour a result.
    pub fn choose(
        kernel: &Kernel,
        caches: HashSet<Address>,
        seed: u64,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(Self, HashSet<Address>), SlabsError> {
        let mut verifier = Verifier::open(kernel)?;
        let mut panel = Self { frames: verifier.frames(kernel)?, seed, passes: 0, caches };
        let mut allowance = Allowance::begin(CPU_TIME, goes_on);
        let (mut pages, mut allocated) = (0, HashSet::new());
        loop {
            let seen = panel.look(panel.passes, kernel, &mut verifier)?;
            panel.passes += 1;
            pages += seen.len() as u64;
            allocated.extend(seen.into_iter().flat_map(|page| page.allocated));
            let is_all = panel.drawn() >= panel.frames.total();
            if pages >= ENOUGH_PAGES || is_all || allowance.ends().is_some() {
                return Ok((panel, allocated));
            }
        }
    }

    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// A frame's chance to be drawn.
    pub fn chance(&self) -> f64 {
        self.drawn() as f64 / self.frames.total().max(1) as f64
    }

    fn drawn(&self) -> u64 {
        self.passes * PASS.min(self.frames.total())
    }

    /// What is in the frames of one pass now.
    pub fn look(
        &self,
        pass: u64,
        kernel: &Kernel,
        verifier: &mut Verifier,
    ) -> Result<Vec<PanelPage>, MemoryError> {
        let mut random = fastrand::Rng::with_seed(self.seed.wrapping_add(pass));
        self.look_at(&self.frames.draw(&mut random, PASS), kernel, verifier)
    }

    /// What is in these pages now.
    pub fn look_at(
        &self,
        pages: &[u64],
        kernel: &Kernel,
        verifier: &mut Verifier,
    ) -> Result<Vec<PanelPage>, MemoryError> {
        // What was at hand a moment ago may be in use now.
        verifier.begin();
        let mut seen = Vec::new();
        for pages in pages.chunks(SCAN_PAGES) {
            for (page, view) in verifier.slabs_at(kernel, pages, &self.caches)? {
                let begins_here = |object: &Address| verifier.page_of(*object) == page;
                let places = view.objects().filter(|(object, _)| begins_here(object)).count() as u32;
                let allocated = view.objects().filter(|(object, is_free)| !is_free && begins_here(object));
                let allocated = allocated.map(|(object, _)| object).collect();
                seen.push(PanelPage { page, places, allocated });
            }
        }
        Ok(seen)
    }
}
