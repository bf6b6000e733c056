//! How fast records become events: `cargo bench -p memtrace --bench decode -- [--json] [--quick] [FILTER]`.

#[expect(dead_code, reason = "memory is the other benchmark's")]
mod common;

use std::hint::black_box;

use clap::Parser as _;
use memtrace::stream::{decode::decode, event::Event};

use self::common::{
    measure::cpu_ns,
    report::{Args, Found},
    source::{Heap, Random, Records, Task},
};

fn main() {
    let args = Args::parse();
    let rounds = if args.quick { 20 } else { 200 };
    for (name, records) in [("decode-alloc-free", alloc_free()), ("decode-names", names())] {
        if args.wants(name) {
            args.print(&run(name, &records, rounds));
        }
    }
}

fn run(name: &str, records: &Records, rounds: usize) -> Found {
    let start = cpu_ns();
    for _ in 0..rounds {
        for record in records.iter() {
            let _ = black_box(decode(black_box(record), &mut |event: Event<'_>| {
                black_box(event);
            }));
        }
    }
    Found::of(name).speed(rounds * records.len(), cpu_ns() - start)
}

fn alloc_free() -> Records {
    let (mut heap, mut random, mut records) = (Heap::with_capacity(100), Random::new(), Records::default());
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
