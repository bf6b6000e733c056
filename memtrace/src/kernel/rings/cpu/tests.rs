//! What imitated programs write, as the reader reads it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    thread,
};

use memtrace_common::cpu_ring::{CHUNK, MIN_RING, PAGE_TIMES, alloc_time, page_place};
use proptest::{collection::vec, prelude::*};

use super::{
    imitation::{ALLOC_RING, FREE_RING, Host, Writer},
    *,
};
use crate::stream::event::{Address, Event, Free};

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
        let host = Host::new(3, bytes).unwrap();
        let mut rings = host.rings().unwrap();
        let mut world = World {
            allocs: (0..3).map(|cpu| host.writer(ALLOC_RING, cpu).unwrap()).collect(),
            frees: (0..3).map(|cpu| host.writer(FREE_RING, cpu).unwrap()).collect(),
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
        let host = Host::new(2, bytes).unwrap();
        let mut rings = host.rings().unwrap();
        let is_over = AtomicBool::new(false);
        let clock = AtomicU64::new(1 << 30);
        let page_times: Vec<_> = (0..PAGE_TIMES).map(|_| AtomicU64::new(0)).collect();
        let mut ledger = Naive::default();
        thread::scope(|scope| {
            let writers = [0, 1].map(|cpu| {
                let (mut allocs, mut frees) =
                    (host.writer(ALLOC_RING, cpu).unwrap(), host.writer(FREE_RING, cpu).unwrap());
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

/// A free has the time that is noted for its page, which may be that of the allocation: also where nothing was allocated for long.
#[test]
fn an_allocation_after_a_long_pause_comes_before_its_free() {
    const START: TimeNs = 1 << 40;
    for offset in 0..16 {
        let host = Host::new(1, MIN_RING).unwrap();
        let (mut rings, mut ledger) = (host.rings().unwrap(), Naive::default());
        let (mut allocs, mut frees) =
            (host.writer(ALLOC_RING, 0).unwrap(), host.writer(FREE_RING, 0).unwrap());
        let (other, time) = (address(1), START + offset);
        assert!(
            frees.free(START, other) && allocs.alloc(time, address(0), 1) && frees.free(time, address(0))
        );
        rings.drain(usize::MAX, u64::MAX, &mut ledger).unwrap();
        assert_eq!((ledger.seen, ledger.holds.len(), ledger.unknown_frees), (3, 0, 1), "{offset}");
    }
}

/// As many rings as a large host has, each full and empty again and again, and objects that are freed on another CPU.
#[test]
fn a_host_of_256_cpus_is_read_exactly() {
    const CPUS: u32 = 256;
    const THREADS: u32 = 8;
    const OBJECTS: u64 = 600;
    let host = Host::new(CPUS, MIN_RING).unwrap();
    let mut rings = host.rings().unwrap();
    let (mut ledger, is_over) = (Naive::default(), AtomicBool::new(false));
    let mailbox = Mutex::new(VecDeque::new());
    thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let mut cpus: Vec<_> =
                    (thread..CPUS).step_by(THREADS as usize).map(|cpu| host.cpu(cpu).unwrap()).collect();
                let mailbox = &mailbox;
                scope.spawn(move || {
                    for round in 0..OBJECTS {
                        for (cpu, number) in cpus.iter_mut().zip(0_u64..) {
                            let of_cpu = u64::from(thread) + number * u64::from(THREADS);
                            let object = address(of_cpu * OBJECTS + round);
                            if !cpu.alloc(object, of_cpu as u32) {
                                thread::yield_now();
                                continue;
                            }
                            mailbox.lock().unwrap().push_back(object);
                            let other = mailbox.lock().unwrap().pop_front();
                            while other.is_some_and(|other| !cpu.free(other)) {
                                thread::yield_now();
                            }
                        }
                    }
                })
            })
            .collect();
        let (ledger, rings, is_over) = (&mut ledger, &mut rings, &is_over);
        scope.spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                rings.drain(50_000, Host::settled(), ledger).unwrap();
            }
            rings.drain(usize::MAX, u64::MAX, ledger).unwrap();
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_over.store(true, Ordering::Release);
    });
    let left = mailbox.into_inner().unwrap().len();
    assert_eq!((ledger.holds.len(), ledger.unknown_frees, ledger.reused), (left, 0, 0));
    let Counters { emitted, lost, .. } = rings.counters();
    assert_eq!(emitted.total(), ledger.seen + lost.total());
    assert!(ledger.seen > u64::from(CPUS), "{}", ledger.seen);
}
