//! How fast events become a recording, and come back.

use std::hint::black_box;

use memtrace::{
    evidence::recording::{
        Block, Encoder, Entry,
        block::{self, About, Contents, Frame, Packer},
        definitions::Definitions,
        footer::BlockFooter,
    },
    stream::{decode::decode, event::Event},
};

use crate::{
    figures::{Args, Figures},
    measure::cpu_ns,
    source::{Heap, Records, Task, random},
};

const STAGE: &str = "recording";

/// As many as a block has at most.
const EVENTS: usize = 1 << 19;

pub fn run(args: &Args) {
    if !["record-write", "record-read"].iter().any(|name| args.wants(name)) {
        return;
    }
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
    let (mut heap, mut random, mut records) = (Heap::with_capacity(EVENTS), random(), Records::default());
    while records.len() < EVENTS {
        let task = Task::new(random.usize(..100) as u32);
        heap.alloc(task, random.u64(..20), &mut records);
        heap.free_recent(64, &mut random, &mut records);
        heap.alloc(Task::new(7), 1, &mut records);
        heap.free_any(&mut random, &mut records);
    }
    records
}

/// From decoded events to a packed block, which is left in `packed`.
fn write<'a>(records: &'a Records, rounds: usize, packed: &mut Vec<u8>) -> Figures {
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
    let figures = Figures::new(STAGE, "record-write").speed(rounds * events.len(), time);
    Figures { bytes_per_event: Some(packed.len() as f64 / events.len() as f64), ..figures }
}

/// From a packed block to events.
fn read(packed: &[u8], rounds: usize) -> Figures {
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
    Figures::new(STAGE, "record-read").speed(entries, cpu_ns() - start)
}
