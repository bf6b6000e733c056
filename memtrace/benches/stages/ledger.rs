//! From the ring's bytes to the ledger: time and memory.
//!
//! Records are made ahead of what is measured, some thousands at a time, so that they come from memory like the ring's.

use fastrand::Rng;
use memtrace::stream::{
    decode::decode,
    event::Event,
    ledger::{Applier, Ledger},
};

use crate::{
    figures::{Args, Figures},
    measure::{allocated, cpu_ns, resident},
    source::{Heap, Records, Task, random},
};

const STAGE: &str = "ledger";

/// Records made at a time: some megabytes.
const BLOCK: usize = 1 << 16;
/// Records timed at a time.
const BATCH: usize = 1024;

pub fn run(args: &Args) {
    let (few, many) = if args.quick { (1 << 20, 1 << 20) } else { (10_000_000, 20_000_000) };
    let growths: &[usize] = if args.quick { &[1_000_000] } else { &[1_000_000, 10_000_000, 50_000_000] };
    for &objects in growths {
        growth(args, objects, few);
    }
    steady(args, "churn-few", 10_000, many, |step, random, heap, records| {
        heap.alloc(Task::new(1 + (step / 16) as u32 % 8), step as u64 % 6, records);
        heap.free_any(random, records);
    });
    // Of many processes some dozens are busy at a time.
    steady(args, "mixed", 300_000, many, |step, random, heap, records| {
        some_of_a_task(1 + (step / 1000 + random.usize(..50)) as u32 % 2000, random, heap, records);
    });
    steady(args, "all-busy", 300_000, many, |_, random, heap, records| {
        some_of_a_task(1 + random.u32(..2000), random, heap, records);
    });
    steady(args, "names", 300_000, few, |step, random, heap, records| {
        let dentry = heap.alloc(Task::new(7), 1, records);
        heap.name(dentry, &format!(".{step}_dOeSnotExist_.db"), records);
        heap.free_any(random, records);
    });
    steady(args, "processes", 1000, few, |step, random, heap, records| {
        let task = Task::new(step as u32);
        for cache in 0..20 {
            heap.alloc(task, cache, records);
        }
        for _ in 0..20 {
            heap.free_any(random, records);
        }
    });
}

/// A system call that allocates from some caches, while others free.
fn some_of_a_task(tgid: u32, random: &mut Rng, heap: &mut Heap, records: &mut Records) {
    let cache = random.u64(..60);
    for step in 0..6 {
        heap.alloc(Task::new(tgid), (cache + step) % 60, records);
    }
    for _ in 0..6 {
        heap.free_recent(50_000, random, records);
    }
}

/// Allocations only, then churn over all that is outstanding: of the newest, and of any. At last half of it is forgotten.
fn growth(args: &Args, objects: usize, events: usize) {
    let millions = objects / 1_000_000;
    let [grow, young, any, sample] =
        ["growth", "churn-young", "churn-any", "sample"].map(|name| format!("{name}-{millions}M"));
    if ![&grow, &young, &any, &sample].iter().any(|name| args.wants(name)) {
        return;
    }
    let mut bench = Bench::new(objects);
    let task = |step: usize| Task::new(1 + (step / 64) as u32 % 8);
    let mut run = bench.run(objects, |step, _, heap, records| {
        heap.alloc(task(step), 1, records);
    });
    bench.weigh(&mut run);
    if args.wants(&grow) {
        args.print(&run.figures(&grow));
    }
    if args.wants(&young) {
        let run = bench.run(events, |step, random, heap, records| {
            heap.alloc(task(step), step as u64 % 6, records);
            heap.free_recent(20_000, random, records);
        });
        args.print(&run.figures(&young));
    }
    if args.wants(&any) {
        let run = bench.run(events, |step, random, heap, records| {
            heap.alloc(task(step), step as u64 % 6, records);
            heap.free_any(random, records);
        });
        args.print(&run.figures(&any));
    }
    if args.wants(&sample) {
        args.print(&bench.sample(&sample));
    }
}

/// A mix that keeps this many objects outstanding.
fn steady(
    args: &Args,
    name: &str,
    objects: usize,
    events: usize,
    step: impl FnMut(usize, &mut Rng, &mut Heap, &mut Records),
) {
    if !args.wants(name) {
        return;
    }
    let mut bench = Bench::new(objects);
    bench.run(objects, |_, _, heap, records| {
        heap.alloc(Task::new(1), 1, records);
    });
    args.print(&bench.run(events, step).figures(name));
}

struct Bench {
    heap: Heap,
    random: Rng,
    records: Records,
    ledger: Ledger,
    allocated: usize,
    resident: usize,
}

/// What a run took.
struct Run {
    events: usize,
    cpu_ns: u64,
    longest_ns: u64,
    outstanding: usize,
    bytes_per_object: Option<(f64, f64)>,
}

impl Bench {
    fn new(objects: usize) -> Self {
        let mut bench = Self {
            heap: Heap::with_capacity(objects),
            random: random(),
            records: Records::default(),
            ledger: Ledger::new(usize::MAX),
            allocated: 0,
            resident: 0,
        };
        // Fills what the source needs itself.
        for _ in 0..objects {
            bench.heap.alloc(Task::new(1), 1, &mut bench.records);
            if bench.records.len() > 2 * BLOCK {
                bench.records.clear();
            }
        }
        bench.heap.restart();
        bench.allocated = allocated();
        bench.resident = resident();
        bench
    }

    /// Steps until this many events were applied.
    fn run(&mut self, events: usize, mut step: impl FnMut(usize, &mut Rng, &mut Heap, &mut Records)) -> Run {
        let Self { heap, random, records, ledger, .. } = self;
        let mut run = Run { events: 0, cpu_ns: 0, longest_ns: 0, outstanding: 0, bytes_per_object: None };
        let mut steps = 0..;
        while run.events < events {
            records.clear();
            while records.len() < BLOCK.min(events - run.events) {
                step(steps.next().expect("they do not end"), random, heap, records);
            }
            run.time(ledger, records);
        }
        run.outstanding = ledger.outstanding();
        assert_eq!(run.outstanding, heap.live(), "every event was applied");
        run
    }

    /// Forgets every other object, step by step.
    fn sample(&mut self, name: &str) -> Figures {
        let (mut last, mut longest_ns) = (cpu_ns(), 0);
        self.ledger.raise_period(2);
        while self.ledger.sweep() {
            let now = cpu_ns();
            longest_ns = longest_ns.max(now - last);
            last = now;
        }
        Figures {
            outstanding: Some(self.ledger.outstanding()),
            longest_pause_ns: Some(longest_ns),
            ..Figures::new(STAGE, name)
        }
    }

    fn weigh(&self, run: &mut Run) {
        let each = |bytes: usize| bytes as f64 / run.outstanding as f64;
        run.bytes_per_object =
            Some((each(allocated() - self.allocated), each(resident().saturating_sub(self.resident))));
    }
}

impl Run {
    fn time(&mut self, ledger: &mut Ledger, records: &Records) {
        let mut iter = records.iter();
        let mut applier = Applier::default();
        let mut last = cpu_ns();
        loop {
            let mut read = 0;
            for record in iter.by_ref().take(BATCH) {
                decode(record, &mut |event: Event<'_>| applier.add(event, ledger)).expect("a record of ours");
                read += 1;
            }
            applier.finish(ledger);
            if read == 0 {
                break;
            }
            let now = cpu_ns();
            self.longest_ns = self.longest_ns.max(now - last);
            self.cpu_ns += now - last;
            last = now;
        }
        self.events += records.len();
    }

    fn figures(&self, name: &str) -> Figures {
        Figures {
            outstanding: Some(self.outstanding),
            longest_pause_ns: Some(self.longest_ns),
            bytes_per_object: self.bytes_per_object.map(|(allocated, _)| allocated),
            resident_bytes_per_object: self.bytes_per_object.map(|(_, resident)| resident),
            ..Figures::new(STAGE, name).speed(self.events, self.cpu_ns)
        }
    }
}
