//! The protocol of a writer and its reader, in every order in which their steps can be seen.
//!
//! The rules are those that both sides use; what they say to each other are atomics of the model, and each place of the ring is a
//! cell that the model watches: a write beside a read, or a read of what was not yet said to be there, fails.

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use memtrace_common::cpu_ring::{Spot, follow};

/// The shortest record.
const UNIT: u32 = 16;
/// Of the ring: three short records.
const BYTES: u32 = 3 * UNIT;
/// With the overhang.
const CELLS: usize = 4;

struct Ring {
    head: AtomicU64,
    restarted: AtomicU64,
    tail: AtomicU64,
    cells: [UnsafeCell<u64>; CELLS],
}

// SAFETY: the model finds out whether cells are used at the same time.
unsafe impl Sync for Ring {}
// SAFETY: as above.
unsafe impl Send for Ring {}

impl Ring {
    fn new() -> Self {
        let number = || AtomicU64::new(0);
        Self {
            head: number(),
            restarted: number(),
            tail: number(),
            cells: [(); CELLS].map(|()| UnsafeCell::new(0)),
        }
    }
}

struct Writer {
    ring: Arc<Ring>,
    head: u64,
    at: u64,
    lost: u64,
}

impl Writer {
    /// A record of so many units, each of which says which record it is.
    fn write(&mut self, record: u64, units: u64) {
        let len = units * u64::from(UNIT);
        let tail = self.ring.tail.load(Ordering::Acquire);
        let Some(Spot { at, restarts }) = Spot::find(self.head, tail, self.at, BYTES, len) else {
            self.lost += 1;
            return;
        };
        if restarts {
            self.ring.restarted.store(self.head, Ordering::Relaxed);
        }
        for unit in 0..units {
            let cell = &self.ring.cells[(at / u64::from(UNIT) + unit) as usize];
            // SAFETY: the model finds out whether somebody else uses it.
            cell.with_mut(|cell| unsafe { *cell = record * 10 + units });
        }
        (self.at, self.head) = (at + len, self.head + len);
        self.ring.head.store(self.head, Ordering::Release);
    }
}

#[derive(Default)]
struct Reader {
    position: u64,
    at: u32,
    records: Vec<u64>,
}

impl Reader {
    fn drain(&mut self, ring: &Ring) {
        let head = ring.head.load(Ordering::Acquire);
        let restarted = ring.restarted.load(Ordering::Relaxed);
        while self.position < head {
            self.at = follow(self.position, restarted, self.at, BYTES);
            let read = |unit: u64| {
                let cell = &ring.cells[(u64::from(self.at / UNIT) + unit) as usize];
                // SAFETY: as above.
                cell.with(|cell| unsafe { *cell })
            };
            let first = read(0);
            let units = first % 10;
            for unit in 1..units {
                assert_eq!(read(unit), first, "a record is whole");
            }
            self.records.push(first / 10);
            self.position += units * u64::from(UNIT);
            self.at += units as u32 * UNIT;
        }
        ring.tail.store(self.position, Ordering::Release);
    }
}

/// Writes records of these lengths while somebody reads twice, and once more at the end.
fn check(lengths: &'static [u64]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let ring = Arc::new(Ring::new());
        let mut writer = Writer { ring: Arc::clone(&ring), head: 0, at: 0, lost: 0 };
        let writing = thread::spawn(move || {
            for (&units, record) in lengths.iter().zip(1..) {
                writer.write(record, units);
            }
            writer.lost
        });
        let mut reader = Reader::default();
        reader.drain(&ring);
        reader.drain(&ring);
        let lost = writing.join().unwrap();
        reader.drain(&ring);
        let records = &reader.records;
        assert!(records.is_sorted_by(|a, b| a < b), "in their order, each once: {records:?}");
        assert_eq!(records.len() as u64 + lost, lengths.len() as u64, "read or counted as lost");
    });
}

#[test]
fn records_are_whole_and_in_their_order() {
    check(&[1, 1, 1, 1, 1]);
}

#[test]
fn records_may_reach_into_the_overhang() {
    check(&[1, 1, 2, 1]);
    check(&[2, 2, 1, 1]);
}
