//! How fast records become events.

use std::hint::black_box;

use memtrace::stream::{decode::decode, event::Event};

use crate::{
    figures::{Args, Figures},
    measure::cpu_ns,
    source::{Heap, Records, Task, random},
};

const STAGE: &str = "decode";

pub fn run(args: &Args) {
    let rounds = if args.quick { 20 } else { 200 };
    for (name, records) in [("decode-alloc-free", alloc_free()), ("decode-names", names())] {
        if args.wants(name) {
            args.print(&decoded(name, &records, rounds));
        }
    }
}

fn decoded(name: &str, records: &Records, rounds: usize) -> Figures {
    let start = cpu_ns();
    for _ in 0..rounds {
        for record in records.iter() {
            let visitor = &mut |event: Event<'_>| {
                black_box(event);
            };
            let _ = black_box(decode(black_box(record), visitor));
        }
    }
    Figures::new(STAGE, name).speed(rounds * records.len(), cpu_ns() - start)
}

fn alloc_free() -> Records {
    let (mut heap, mut random, mut records) = (Heap::with_capacity(100), random(), Records::default());
    for _ in 0..20_000 {
        heap.alloc(Task::new(7), 1, &mut records);
        heap.free_any(&mut random, &mut records);
    }
    records
}

fn names() -> Records {
    let (heap, mut records) = (Heap::with_capacity(0), Records::default());
    for n in 0..20_000 {
        heap.name(1, &format!(".{n}_dOeSnotExist_.db"), &mut records);
    }
    records
}
