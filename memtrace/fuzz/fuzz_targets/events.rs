//! Whatever stands in a ring: it is decoded or refused, and the ledger's figures fit together; whatever processes do, who started
//! them is told.

#![no_main]

use std::mem::size_of;

use libfuzzer_sys::fuzz_target;
use memtrace::{
    attribution::process::Processes,
    stream::{
        decode::{Decoded, decode},
        event::{Event, ProcessEvent, ProcessId},
        ledger::Ledger,
    },
};
use memtrace_common::event::{
    AllocEvent, AllocStackEvent, ExecEvent, ExitEvent, ForkEvent, FreeEvent, KIND_ALLOC, KIND_ALLOC_STACK, KIND_EXEC, KIND_EXIT, KIND_FORK, KIND_FREE,
    KIND_LONG_NAME, KIND_SHORT_NAME, LongNameEvent, MAX_FRAMES, ShortNameEvent,
};

/// Room for some dozens of objects.
const MAX_BYTES: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let _ = decode(data);
    let mut ledger = Ledger::new(MAX_BYTES);
    let mut processes = Processes::default();
    let mut applied = 0;
    for record in records(data) {
        let event = match decode(&record).expect("it has its kind's length") {
            Decoded::Object(event) => event,
            Decoded::AllocWithStack(alloc, frames) => {
                assert!(frames.kernel().count() <= MAX_FRAMES && frames.user().count() <= MAX_FRAMES);
                Event::Alloc(alloc)
            }
            Decoded::Process(event) => {
                processes.apply(event, |_| None);
                check_chain(&processes, event);
                continue;
            }
        };
        applied += 1;
        ledger.apply(event);
        if let Event::Alloc(alloc) = event {
            assert!(alloc.task.comm.as_bytes().len() <= 16);
        }
    }
    check(&ledger, applied);
});

fn check_chain(processes: &Processes, event: ProcessEvent<'_>) {
    let (ProcessEvent::Fork { process, .. } | ProcessEvent::Exec { process, .. } | ProcessEvent::Exit { process }) =
        event;
    let chain = |id: ProcessId| processes.get(id).map(|process| processes.chain(process.chain).count());
    assert!(chain(process).unwrap_or(0) <= 32);
}

fn check(ledger: &Ledger, applied: u64) {
    assert_eq!(ledger.tally().total(), applied);
    let outstanding: u64 = ledger.origins().map(|origin| origin.outstanding()).sum();
    assert_eq!(ledger.outstanding() as u64, outstanding);
    assert!(ledger.outstanding() <= MAX_BYTES);
    let all = ledger.allocated_until(u64::MAX);
    for origin in ledger.origins() {
        assert_eq!(all.objects(origin), origin.outstanding());
        assert!(all.names(origin).map(|name| name.objects).sum::<u64>() <= origin.outstanding());
    }
}

/// Cuts the input into records of the right lengths, each with a kind before it; the last one is filled up.
fn records(mut data: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let (&kind, rest) = data.split_first()?;
        let (kind, len) = match kind % 8 {
            0 => (KIND_ALLOC, size_of::<AllocEvent>()),
            1 => (KIND_FREE, size_of::<FreeEvent>()),
            2 => (KIND_SHORT_NAME, size_of::<ShortNameEvent>()),
            3 => (KIND_FORK, size_of::<ForkEvent>()),
            4 => (KIND_EXEC, size_of::<ExecEvent>()),
            6 => (KIND_ALLOC_STACK, size_of::<AllocStackEvent>()),
            5 => (KIND_EXIT, size_of::<ExitEvent>()),
            _ => (KIND_LONG_NAME, size_of::<LongNameEvent>()),
        };
        let (bytes, rest) = rest.split_at(rest.len().min(len - size_of::<u16>()));
        data = rest;
        let mut record = kind.to_ne_bytes().to_vec();
        record.extend_from_slice(bytes);
        record.resize(len, 0);
        Some(record)
    })
}
