//! How fast events become a recording, and come back: `cargo bench -p memtrace --bench recording -- [--json] [--quick] [FILTER]`.

#[expect(dead_code, reason = "memory is another benchmark's")]
mod common;

use std::hint::black_box;

use clap::Parser as _;
use memtrace::{
    evidence::recording::{
        Block, Encoder, Entry,
        block::{self, About, Contents, Frame, Packer},
        definitions::Definitions,
        footer::BlockFooter,
    },
    stream::{decode::decode, event::Event},
};

use self::common::{
    measure::cpu_ns,
    report::{Args, Found},
    source::{Heap, Random, Records, Task},
};

/// As many as a block has at most.
const EVENTS: usize = 1 << 19;

fn main() {
    let args = Args::parse();
    let rounds = if args.quick { 2 } else { 20 };
    let records = mixed();
    let mut packed = Vec::new();
    let written = write(&records, rounds, &mut packed);
    if args.wants("record-write") {
        args.print(&written);
    }
    if args.wants("record-read") {
        args.print(&read(&packed, rounds));
    }
}

/// A hundred processes that allocate and free what is young or old, and one that keeps what it allocates.
fn mixed() -> Records {
    let (mut heap, mut random, mut records) =
        (Heap::with_capacity(EVENTS), Random::new(), Records::default());
    while records.len() < EVENTS {
        let task = Task::new(random.below(100) as u32);
        heap.alloc(task, random.below(20) as u64, &mut records);
        heap.free_recent(64, &mut random, &mut records);
        heap.alloc(Task::new(7), 1, &mut records);
        heap.free_any(&mut random, &mut records);
    }
    records
}

/// From decoded events to a packed block, which is left in `packed`.
fn write<'a>(records: &'a Records, rounds: usize, packed: &mut Vec<u8>) -> Found {
    let mut events: Vec<Entry<'a>> = Vec::with_capacity(records.len());
    for record in records.iter() {
        decode(record, &mut |event: Event<'a>| events.push(Entry::Event(event))).expect("a record of ours");
    }
    let (mut encoder, mut plain) = (Encoder::default(), Vec::new());
    let mut packer = Packer::new().expect("zstd has memory");
    let about = About { contents: Contents::Block, sequence: 0, start: 0, end: 1, entries: EVENTS as u64 };
    let start = cpu_ns();
    for _ in 0..rounds {
        plain.clear();
        packed.clear();
        black_box(&events).iter().for_each(|entry| encoder.push(entry));
        block::put(&mut encoder, &Definitions::default(), &BlockFooter::default(), &mut plain);
        packer.pack(&plain, about, packed).expect("zstd packs");
    }
    let time = cpu_ns() - start;
    let found = Found::of("record-write").speed(rounds * events.len(), time);
    Found { bytes_per_event: Some(packed.len() as f64 / events.len() as f64), ..found }
}

/// From a packed block to events.
fn read(packed: &[u8], rounds: usize) -> Found {
    let (frame, rest) = packed.split_first_chunk().expect("a block has a frame");
    let frame = Frame::read(frame).expect("it was just written");
    let mut entries = 0;
    let start = cpu_ns();
    for _ in 0..rounds {
        let plain = block::unpack(&frame, &rest[..frame.packed_len as usize]).expect("it is whole");
        let block = Block::read(&plain).expect("it is whole");
        for entry in block.columns.entries() {
            entries += usize::from(black_box(entry).is_ok());
        }
    }
    Found::of("record-read").speed(entries, cpu_ns() - start)
}
