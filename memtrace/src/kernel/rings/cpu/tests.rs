//! Writers as the programs are, in memory that the reader maps as it maps theirs.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, AtomicU64},
    thread,
};

use memtrace_common::cpu_ring::{
    ALLOC, AllocRecord, By, CHUNK, CONTEXT, Chunk, Context, FREE, Head, MIN_RING, PAGE_TIMES, Place, Spot,
    alloc_time, jumps, page_place, stamp,
};
use proptest::{collection::vec, prelude::*};
use rustix::fs::{MemfdFlags, memfd_create};

use super::*;
use crate::stream::event::{Address, Event, Free};

const ALLOC_RING: usize = writer::KMEM_CACHE_ALLOC;
const FREE_RING: usize = writer::KMEM_CACHE_FREE;

/// Memory of rings, as the two maps are.
struct Memory {
    control: OwnedFd,
    chunks: OwnedFd,
    sizes: CpuRingSizes,
}

impl Memory {
    fn new(cpus: u32, bytes: u32) -> Self {
        let mut sizes = CpuRingSizes { cpus, rings: 0, chunks: 0, places: Default::default() };
        for writer in [ALLOC_RING, FREE_RING] {
            let place = Place { ring: sizes.rings, chunk: sizes.chunks, bytes };
            sizes.places[writer] = place;
            sizes.rings += cpus;
            sizes.chunks += place.chunks() * cpus;
        }
        let map = |bytes: usize| {
            let file = File::from(memfd_create("rings", MemfdFlags::empty()).unwrap());
            file.set_len(bytes as u64).unwrap();
            OwnedFd::from(file)
        };
        let control = map((sizes.rings as usize * size_of::<Control>()).next_multiple_of(4096));
        Self { control, chunks: map(sizes.chunks as usize * size_of::<Chunk>() + 4096), sizes }
    }

    fn rings(&self) -> CpuRings {
        CpuRings::new(&self.control, self.chunks.try_clone().unwrap(), &self.sizes).unwrap()
    }

    fn writer(&self, writer: usize, cpu: u32) -> Writer {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let place = self.sizes.places[writer];
        let control = u64::from(self.sizes.rings) * size_of::<Control>() as u64;
        let chunks = u64::from(self.sizes.chunks) * size_of::<Chunk>() as u64;
        Writer {
            control: Mapping::new(self.control.as_fd(), 0, control, access).unwrap(),
            chunks: Mapping::new(self.chunks.as_fd(), 0, chunks, access).unwrap(),
            at_control: (place.ring + cpu) as usize * size_of::<Control>(),
            first: place.chunk + cpu * place.chunks(),
            bytes: place.bytes,
            by: [0; 5],
        }
    }
}

/// What `memtrace-ebpf/src/cpu_ring.rs` does.
struct Writer {
    control: Mapping,
    chunks: Mapping,
    at_control: usize,
    first: u32,
    bytes: u32,
    by: By,
}

impl Writer {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.control.number(self.at_control + offset)
    }

    fn add_one(&self, offset: usize) {
        self.word(offset).store(self.word(offset).load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// False where there is no room.
    fn write(&mut self, time: TimeNs, words: &[u64]) -> bool {
        let len = words.len() as u64 * 8;
        let load = |offset| self.word(offset).load(Ordering::Acquire);
        let (head, tail, at) =
            (load(offset_of!(Control, head)), load(offset_of!(Control, tail)), load(offset_of!(Control, at)));
        let Some(Spot { at, restarts }) = Spot::find(head, tail, at, self.bytes, len) else {
            self.add_one(offset_of!(Control, lost));
            return false;
        };
        if restarts {
            self.word(offset_of!(Control, restarted)).store(head, Ordering::Relaxed);
        }
        let chunk = self.first as usize + at as usize / CHUNK as usize;
        let start = chunk * size_of::<Chunk>() + at as usize % CHUNK as usize;
        for (word, number) in words.iter().zip(0..) {
            self.chunks.number(start + number * 8).store(*word, Ordering::Relaxed);
        }
        if jumps(time, load(offset_of!(Control, time))) {
            self.word(offset_of!(Control, jumped)).store(head, Ordering::Relaxed);
            self.word(offset_of!(Control, jump_time)).store(time, Ordering::Relaxed);
        }
        self.word(offset_of!(Control, at)).store(at + len, Ordering::Relaxed);
        self.word(offset_of!(Control, time)).store(time, Ordering::Relaxed);
        self.add_one(offset_of!(Control, events));
        self.word(offset_of!(Control, head)).store(head + len, Ordering::Release);
        true
    }

    fn alloc(&mut self, time: TimeNs, ptr: Address, tgid: u32) -> bool {
        let by = [tgid.into(), 0, 1, 0, 0];
        let mut words = Vec::new();
        if by != self.by {
            words.push(CONTEXT);
            words.extend(by);
        }
        words.extend([ptr | ALLOC, u64::from(stamp(time)) << 32, 0x40, 0]);
        let is_written = self.write(time, &words);
        if is_written {
            self.by = by;
        }
        is_written
    }

    /// Of the last event.
    fn last(&self) -> TimeNs {
        self.word(offset_of!(Control, time)).load(Ordering::Relaxed)
    }

    fn free(&mut self, time: TimeNs, ptr: Address) -> bool {
        self.write(time, &[ptr | FREE, u64::from(stamp(time)) << 32 | 1])
    }
}

const _: () = {
    assert!(size_of::<Head>() == 16 && size_of::<AllocRecord>() == 32 && size_of::<Context>() == 48);
};

/// What a naive ledger holds: addresses, and who allocated them.
#[derive(Debug, Default, PartialEq)]
struct Naive {
    holds: HashMap<Address, (TimeNs, u32)>,
    unknown_frees: u64,
    reused: u64,
    seen: u64,
}

impl Naive {
    fn alloc(&mut self, ptr: Address, time: TimeNs, tgid: u32) {
        self.seen += 1;
        self.reused += u64::from(self.holds.insert(ptr, (time, tgid)).is_some());
    }

    fn free(&mut self, ptr: Address) {
        self.seen += 1;
        self.unknown_frees += u64::from(self.holds.remove(&ptr).is_none());
    }
}

impl<'a> RecordVisitor<'a> for Naive {
    fn event(&mut self, event: Event<'a>) {
        match event {
            Event::Alloc(alloc) => self.alloc(alloc.ptr, alloc.time, alloc.task.tgid),
            Event::Free(Free { ptr, .. }) => self.free(ptr),
            Event::Name(_) => panic!("nobody wrote one"),
        }
    }

    fn undecodable(&mut self) {
        panic!("all is as it was written");
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// On this CPU something happens to this object: it is allocated by a process if it is free, else freed. Its event may appear
    /// only some steps later.
    Touch { cpu: usize, object: u64, tgid: u32, late: usize },
    /// What happened so far is read, but this many events at most.
    Cut(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3_usize, 0..12_u64, 1..4_u32, prop_oneof![4 => Just(0), 1 => 1..6_usize])
            .prop_map(|(cpu, object, tgid, late)| Step::Touch { cpu, object, tgid, late }),
        2 => prop_oneof![3 => Just(usize::MAX), 1 => 0..20_usize].prop_map(Step::Cut),
    ]
}

/// An event whose program has read the clock and is not done yet: until then, its CPU runs no other of its kind, and nothing else
/// happens to its object.
struct Pending {
    cpu: usize,
    object: u64,
    /// Of all that happened, the how manieth it is.
    number: usize,
    is_alloc: bool,
    time: TimeNs,
    tgid: u32,
    /// Steps to go.
    late: usize,
}

/// What happens to one object is at least so far apart.
const TICK: TimeNs = 16;

struct World {
    allocs: Vec<Writer>,
    frees: Vec<Writer>,
    pending: Vec<Pending>,
    is_held: HashMap<u64, bool>,
    /// By their numbers; those that found no room are not here. Allocations have a time and a process.
    written: BTreeMap<usize, (u64, Option<(TimeNs, u32)>)>,
    page_times: HashMap<u32, TimeNs>,
    happened: usize,
    now: TimeNs,
    /// The clock goes in steps of this.
    grain: TimeNs,
}

impl World {
    fn touch(&mut self, cpu: usize, object: u64, tgid: u32, late: usize) {
        let is_alloc = !self.is_held.get(&object).copied().unwrap_or(false);
        let is_blocked = |it: &Pending| it.object == object || it.cpu == cpu && it.is_alloc == is_alloc;
        if self.pending.iter().any(is_blocked) {
            return;
        }
        self.is_held.insert(object, is_alloc);
        self.now += TICK;
        self.happened += 1;
        let noted = self.page_times.entry(page_place(address(object))).or_default();
        let time = match is_alloc {
            true => alloc_time(self.now / self.grain * self.grain, *noted).max(self.allocs[cpu].last()),
            false => self.frees[cpu].last().max(*noted),
        };
        *noted = time.max(*noted);
        self.pending.push(Pending { cpu, object, number: self.happened, is_alloc, time, tgid, late });
    }

    fn go_on(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            if pending.late > 0 {
                self.pending.push(Pending { late: pending.late - 1, ..pending });
                continue;
            }
            let Pending { cpu, object, number, is_alloc, time, tgid, .. } = pending;
            let ptr = address(object);
            let is_written = match is_alloc {
                true => self.allocs[cpu].alloc(time, ptr, tgid),
                false => self.frees[cpu].free(time, ptr),
            };
            if is_written {
                self.written.insert(number, (object, is_alloc.then_some((time, tgid))));
            }
        }
    }
}

/// Some share a page.
fn address(object: u64) -> Address {
    0xffff_8881_0000_0000 + object * 1024
}

proptest! {
    /// Whatever is read when, and whichever event is still being written: the ledger is right in the end, and between two cuts it is
    /// never about an object that the past does not explain.
    #[test]
    fn the_ledger_is_that_of_events_in_their_order(
        steps in vec(step(), 0..700),
        bytes in prop_oneof![Just(MIN_RING), Just(CHUNK)],
        grain in prop_oneof![Just(1), Just(280), Just(4_096)],
    ) {
        let memory = Memory::new(3, bytes);
        let mut rings = memory.rings();
        let mut world = World {
            allocs: (0..3).map(|cpu| memory.writer(ALLOC_RING, cpu)).collect(),
            frees: (0..3).map(|cpu| memory.writer(FREE_RING, cpu)).collect(),
            pending: Vec::new(),
            is_held: HashMap::new(),
            written: BTreeMap::new(),
            page_times: HashMap::new(),
            happened: 0,
            now: 1 << 40,
            grain,
        };
        let mut ledger = Naive::default();
        for step in steps {
            match step {
                Step::Touch { cpu, object, tgid, late } => world.touch(cpu, object, tgid, late),
                Step::Cut(most) => {
                    rings.drain(most, world.now + TICK, &mut ledger).unwrap();
                }
            }
            world.go_on();
        }
        while !world.pending.is_empty() {
            world.go_on();
        }
        rings.drain(usize::MAX, u64::MAX, &mut ledger).unwrap();
        let mut naive = Naive::default();
        for (object, allocated) in world.written.values() {
            match allocated {
                Some((time, tgid)) => naive.alloc(address(*object), *time, *tgid),
                None => naive.free(address(*object)),
            }
        }
        prop_assert_eq!(&ledger, &naive);
        let Counters { emitted, lost, .. } = rings.counters();
        prop_assert_eq!(emitted.total(), ledger.seen + lost.total());
    }
}

/// Writers and a reader that run at the same time: a ring of a page, which is full and empty again and again.
#[test]
fn writers_and_reader_run_at_the_same_time() {
    const EVENTS: u64 = 300_000;
    for bytes in [MIN_RING, CHUNK, 3 * CHUNK] {
        let memory = Memory::new(2, bytes);
        let mut rings = memory.rings();
        let is_over = AtomicBool::new(false);
        let clock = AtomicU64::new(1 << 30);
        let page_times: Vec<_> = (0..PAGE_TIMES).map(|_| AtomicU64::new(0)).collect();
        let mut ledger = Naive::default();
        thread::scope(|scope| {
            let writers = [0, 1].map(|cpu| {
                let (mut allocs, mut frees) = (memory.writer(ALLOC_RING, cpu), memory.writer(FREE_RING, cpu));
                let (clock, page_times) = (&clock, &page_times);
                scope.spawn(move || {
                    for event in 0..EVENTS {
                        let object = address(event % 37 * 2 + u64::from(cpu));
                        let noted = &page_times[page_place(object) as usize];
                        let now = clock.fetch_add(TICK, Ordering::AcqRel);
                        // A lost allocation has no free, so that none is of an unknown object.
                        if allocs.alloc(now, object, (event / 50) as u32) {
                            noted.fetch_max(now, Ordering::AcqRel);
                            let free = noted.load(Ordering::Acquire).max(frees.last());
                            while !frees.free(free, object) {
                                thread::yield_now();
                            }
                        }
                    }
                })
            });
            let (ledger, rings, is_over, clock) = (&mut ledger, &mut rings, &is_over, &clock);
            scope.spawn(move || {
                while !is_over.load(Ordering::Acquire) {
                    rings.drain(5_000, clock.load(Ordering::Acquire), ledger).unwrap();
                }
                rings.drain(usize::MAX, u64::MAX, ledger).unwrap();
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            is_over.store(true, Ordering::Release);
        });
        assert_eq!((ledger.holds.len(), ledger.unknown_frees, ledger.reused), (0, 0, 0), "{bytes}");
        let Counters { emitted, lost, .. } = rings.counters();
        assert_eq!(emitted.total(), ledger.seen + lost.total(), "{bytes}");
    }
}
