//! Hosts with more CPUs than this one: their programs are imitated by as many threads, each with rings of its own, and read by the real
//! reader into a real ledger.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use memtrace::{
    kernel::rings::cpu::imitation::{Cpu, Host},
    stream::ledger::Applier,
};

use crate::{
    figures::{Args, Figures},
    measure::cpu_ns,
    reader::Reader,
};

const STAGE: &str = "rings";

/// Of each CPU, for allocations and as many for frees: what memtrace gives 256 CPUs of a host of 64 MiB for rings is half of that.
const RING_BYTES: u32 = 256 << 10;
/// As in a session.
const MOST: usize = 50_000;
const EVERY: Duration = Duration::from_millis(10);
/// Objects that a CPU holds before it frees the oldest.
const HELD: usize = 64;
/// One of so many objects is freed by another CPU.
const TRAVELS: u64 = 16;

pub fn run(args: &Args) {
    let events = if args.quick { 1 << 20 } else { 20_000_000 };
    for cpus in [2, 16, 64, 256] {
        let (busy, idle) = (format!("{cpus}-cpus"), format!("{cpus}-cpus-idle"));
        if args.wants(&busy) {
            args.print(&simulated(cpus, events, &busy));
        }
        if args.wants(&idle) {
            args.print(&drains(cpus, &idle));
        }
    }
}

/// What an event takes from its ring to the ledger.
fn simulated(cpus: u32, events: usize, name: &str) -> Figures {
    let host = Host::new(cpus, RING_BYTES).expect("there is memory");
    let mut rings = host.rings().expect("it can be mapped");
    let pairs = events / 2 / cpus as usize;
    let (travelling, is_over) = (Mutex::new(VecDeque::new()), AtomicBool::new(false));
    let mut reader = Reader::new(Applier::default());
    let (mut cpu, mut longest) = (0, 0);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..cpus)
            .map(|number| {
                let cpu = host.cpu(number).expect("it can be mapped");
                let travelling = &travelling;
                scope.spawn(move || traffic(cpu, number, pairs, travelling))
            })
            .collect();
        let is_over = &is_over;
        scope.spawn(move || {
            writers.into_iter().for_each(|writer| writer.join().expect("it does not panic"));
            is_over.store(true, Ordering::Release);
        });
        while !is_over.load(Ordering::Acquire) {
            let start = cpu_ns();
            let read = reader.drain(&mut rings, MOST, Host::settled());
            let took = cpu_ns() - start;
            (cpu, longest) = (cpu + took, longest.max(took));
            if read < MOST {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let start = cpu_ns();
    reader.drain(&mut rings, usize::MAX, u64::MAX);
    cpu += cpu_ns() - start;
    let counters = rings.counters();
    assert_eq!(counters.emitted.total(), reader.events as u64 + counters.lost.total(), "all are counted");
    let tally = reader.ledger.tally();
    assert_eq!(
        (tally.unknown_frees, tally.reused_pointers, counters.lost.total()),
        (0, 0, 0),
        "all are in order"
    );
    Figures {
        outstanding: Some(reader.ledger.outstanding()),
        longest_pause_ns: Some(longest),
        ..Figures::new(STAGE, name).speed(reader.events, cpu)
    }
}

/// What looking at empty rings takes, each time.
fn drains(cpus: u32, name: &str) -> Figures {
    const TIMES: usize = 1_000;
    let host = Host::new(cpus, RING_BYTES).expect("there is memory");
    let mut rings = host.rings().expect("it can be mapped");
    let mut reader = Reader::new(Applier::default());
    let start = cpu_ns();
    for _ in 0..TIMES {
        reader.drain(&mut rings, MOST, Host::settled());
    }
    Figures { longest_pause_ns: Some((cpu_ns() - start) / TIMES as u64), ..Figures::new(STAGE, name) }
}

/// Objects come and go, in slabs of the CPU's own; some are freed by whichever CPU comes next. It waits where the reader is behind.
fn traffic(mut cpu: Cpu<'_>, number: u32, pairs: usize, travelling: &Mutex<VecDeque<u64>>) {
    let mut held = VecDeque::with_capacity(HELD);
    // An address is handed out again when it was freed.
    let mut unused: VecDeque<u64> = (0..2 * HELD as u64).map(|object| address(number, object)).collect();
    for round in 0..pairs as u64 {
        while cpu.fill() > 0.5 {
            thread::sleep(EVERY / 10);
        }
        let Some(object) = unused.pop_front() else { break };
        assert!(cpu.alloc(object, number), "there is room");
        held.push_back(object);
        if held.len() < HELD {
            continue;
        }
        let oldest = held.pop_front().expect("it holds some");
        if round % TRAVELS > 0 {
            assert!(cpu.free(oldest), "there is room");
            unused.push_back(oldest);
            continue;
        }
        let mut others = travelling.lock().expect("nobody panics");
        others.push_back(oldest);
        let arrived = others.pop_front();
        drop(others);
        if let Some(arrived) = arrived {
            assert!(cpu.free(arrived), "there is room");
            unused.push_back(arrived);
        }
    }
}

fn address(cpu: u32, object: u64) -> u64 {
    0xffff_8881_0000_0000 + (u64::from(cpu) << 20) + object * 192
}
