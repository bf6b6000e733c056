//! Runs the programs that look at slabs: see [`memtrace_common::census`].

use std::time::{Duration, Instant};

use aya::{
    Ebpf, TestRun as _,
    maps::{Array, MapData},
    programs::{RawTracePoint, RawTracePointRunOptions},
};
use memtrace_common::{
    census::{Look, MAX_OBJECTS, Question, SCAN_PAGES, STEPS, Scan},
    config::{Config, Slabs},
    names::{map, program},
};

use super::verdict;
use crate::kernel::{
    layout::Layout,
    loader,
    memory::MemoryError,
    object::{self, Object},
};

/// The programs, loaded.
pub struct Looker {
    ebpf: Ebpf,
    scan: Array<MapData, Scan>,
    look: Array<MapData, Look>,
    /// The longest call so far, with what the host did meanwhile: the kernel cannot be preempted in a part of it.
    longest_run: Duration,
}

/// A page that may be of a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The first page of the compound page that it is in.
    pub head: u64,
    /// The address of a cache, if it is of a slab.
    pub cache: u64,
}

impl Looker {
    pub fn open(layout: &Layout, slabs: Slabs) -> Result<Self, MemoryError> {
        let config = Config { offsets: layout.offsets, slabs, ..Config::default() };
        let mut ebpf = loader::load(&Object::built_in().with_config(&config), &[], false)?;
        let (scan, look) = (ebpf.take_map(map::SCAN), ebpf.take_map(map::LOOK));
        for name in [program::SCAN, program::LOOK] {
            let program: &mut RawTracePoint = object::program(&mut ebpf, name);
            program.load().map_err(MemoryError::Refused)?;
        }
        let scan = Array::try_from(scan.expect("the object has this map"))?;
        let look = Array::try_from(look.expect("the object has this map"))?;
        Ok(Self { ebpf, scan, look, longest_run: Duration::ZERO })
    }

    /// What the pages at these addresses are, [`SCAN_PAGES`] at most.
    pub fn scan(&mut self, pages: &[u64]) -> Result<Vec<Scanned>, MemoryError> {
        let mut question = Scan { pages: [0; _], heads: [0; _], caches: [0; _] };
        debug_assert!(pages.len() <= SCAN_PAGES);
        for (slot, page) in question.pages.iter_mut().zip(pages) {
            *slot = *page;
        }
        self.scan.set(0, question, 0)?;
        self.run(program::SCAN, [0; 12])?;
        let answer = self.scan.get(&0, 0)?;
        let scanned = answer.heads.into_iter().zip(answer.caches).take(pages.len());
        Ok(scanned.map(|(head, cache)| Scanned { head, cache }).collect())
    }

    /// What a slab holds. None where it cannot be read, or changed meanwhile.
    pub fn look(&mut self, question: &Question) -> Result<Option<Look>, MemoryError> {
        let mut question = *question;
        let Some(first) = self.run_look(&question)? else { return Ok(None) };
        let mut look = first;
        while look.lists != [0; 2] || (question.round + 1) * u64::from(STEPS) < verdict::objects(&look) {
            question.round += 1;
            question.lists = look.lists;
            let next = self.run_look(&question)?;
            let is_same = |next: &Look| {
                next.moment() == first.moment() && question.round * u64::from(STEPS) < MAX_OBJECTS.into()
            };
            let Some(next) = next.filter(is_same) else { return Ok(None) };
            look = next;
        }
        Ok(Some(look))
    }

    fn run_look(&mut self, question: &Question) -> Result<Option<Look>, MemoryError> {
        let Question { slab, first, size, link, random, cpu, stride, slots, round, lists } = *question;
        let args =
            [slab, first, size, link, random, cpu, stride, slots[0], slots[1], round, lists[0], lists[1]];
        self.run(program::LOOK, args)?;
        let look = self.look.get(&0, 0)?;
        Ok((look.is_whole == 1).then_some(look))
    }

    pub fn longest_run(&self) -> Duration {
        self.longest_run
    }

    fn run(&mut self, name: &str, args: [u64; 12]) -> Result<(), MemoryError> {
        let mut options = RawTracePointRunOptions::new();
        options.args = args;
        let program = self.ebpf.program(name).expect("loaded in open");
        let program: &RawTracePoint = program.try_into().expect("its section says so");
        let start = Instant::now();
        program.test_run(options).map_err(MemoryError::TestRun)?;
        self.longest_run = self.longest_run.max(start.elapsed());
        Ok(())
    }
}
