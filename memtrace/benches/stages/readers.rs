//! Two threads against one, from the rings of a CPU to the ledger. By the clock: what they do at once counts once.

use std::time::{Duration, Instant};

use fastrand::Rng;
use memtrace::{
    kernel::rings::cpu::{
        CpuRings,
        imitation::{Cpu, Host},
    },
    stream::ledger::Applier,
};

use crate::{
    figures::{Args, Figures},
    reader::Reader,
    source::random,
};

const STAGE: &str = "readers";

/// As many as a session drains at once.
const EVENTS: usize = 50_000;
/// Room for twice as many allocations.
const RING_BYTES: u32 = 4 << 20;
/// A process allocates this often before another does.
const IN_A_ROW: usize = 16;

pub fn run(args: &Args) {
    let blocks = if args.quick { 20 } else { 200 };
    for (name, objects) in [("few-objects", 10_000), ("many-objects", 300_000)] {
        if args.wants(name) {
            args.print(&compare(name, objects, blocks));
        }
    }
}

fn compare(name: &str, objects: usize, blocks: usize) -> Figures {
    let hosts = [0; 2].map(|_| Host::new(1, RING_BYTES).expect("there is memory"));
    let second = Applier::with_second_thread(|| {}).expect("a thread starts");
    let [one, two] = &hosts;
    let mut sides = [Side::new(one, Applier::default(), objects), Side::new(two, second, objects)];
    for block in 0..blocks {
        // Whichever comes first finds the caches as the other left them.
        for turn in 0..2 {
            sides[(block + turn) % 2].follow();
        }
    }
    let [one, two] = sides;
    assert_eq!(one.reader.ledger.tally(), two.reader.ledger.tally(), "both saw the same");
    let ns = two.took.as_nanos() as u64;
    Figures {
        outstanding: Some(two.reader.ledger.outstanding()),
        against_one: Some(one.took.as_secs_f64() / two.took.as_secs_f64()),
        ..Figures::new(STAGE, name).speed(blocks * EVENTS, ns)
    }
}

struct Side<'h> {
    cpu: Cpu<'h>,
    rings: CpuRings,
    reader: Reader,
    random: Rng,
    held: Vec<u64>,
    unused: Vec<u64>,
    allocs: usize,
    took: Duration,
}

impl<'h> Side<'h> {
    fn new(host: &'h Host, applier: Applier, objects: usize) -> Self {
        let address = |object: usize| 0xffff_8881_0000_0000 + object as u64 * 192;
        let mut side = Self {
            cpu: host.cpu(0).expect("it can be mapped"),
            rings: host.rings().expect("it can be mapped"),
            reader: Reader::new(applier),
            random: random(),
            held: Vec::new(),
            unused: (0..objects + EVENTS).map(address).collect(),
            allocs: 0,
            took: Duration::ZERO,
        };
        side.random.shuffle(&mut side.unused);
        while side.held.len() < objects {
            (0..EVENTS.min(objects - side.held.len())).for_each(|_| side.alloc());
            side.drain();
        }
        side
    }

    /// Half of the events are allocations, and the rest are frees of anything.
    fn follow(&mut self) {
        for _ in 0..EVENTS / 2 {
            self.alloc();
            let freed = self.held.swap_remove(self.random.usize(..self.held.len()));
            assert!(self.cpu.free(freed), "there is room");
            self.unused.push(freed);
        }
        let start = Instant::now();
        self.drain();
        self.took += start.elapsed();
    }

    fn alloc(&mut self) {
        let tgid = 1 + (self.allocs / IN_A_ROW) as u32 % 50;
        let object = self.unused.swap_remove(self.random.usize(..self.unused.len()));
        assert!(self.cpu.alloc(object, tgid), "there is room");
        self.held.push(object);
        self.allocs += 1;
    }

    fn drain(&mut self) {
        self.reader.drain(&mut self.rings, usize::MAX, u64::MAX);
    }
}
