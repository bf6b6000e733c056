//! From the rings of imitated CPUs to a ledger, as a session does it.

use memtrace::{
    kernel::rings::cpu::CpuRings,
    stream::{
        decode::RecordVisitor,
        event::Event,
        ledger::{Applier, Ledger},
    },
};

pub struct Reader {
    pub ledger: Ledger,
    applier: Applier,
    /// All that were read.
    pub events: usize,
}

impl Reader {
    pub fn new(applier: Applier) -> Self {
        Self { ledger: Ledger::new(usize::MAX), applier, events: 0 }
    }

    /// What happened until then, so many events at most; returns how many there were.
    pub fn drain(&mut self, rings: &mut CpuRings, most: usize, until: u64) -> usize {
        let read = rings.drain(most, until, self).expect("they can be mapped");
        self.applier.finish(&mut self.ledger);
        self.events += read;
        read
    }
}

impl<'a> RecordVisitor<'a> for Reader {
    fn event(&mut self, event: Event<'a>) {
        self.applier.add(event, &mut self.ledger);
    }

    fn undecodable(&mut self) {
        panic!("all is as it was written");
    }
}
