//! Events that are applied together.
//!
//! Nearly every event is about an object whose entry is not in the CPU's cache. One at a time, each event would wait for
//! memory, a hundred nanoseconds and more. A batch reads all entries first: the reads overlap, since none needs another's
//! result.

use std::hint::black_box;

use super::{Ledger, MAX_BATCH, objects::HashPlace};
use crate::stream::{buffer::EntryBuffer, entry::Entry, event::Event};

/// Events on their way to a ledger, in their order.
#[derive(Default)]
pub(super) struct Batch {
    /// Of each event.
    places: Vec<HashPlace>,
    events: EntryBuffer,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    #[inline]
    pub fn push(&mut self, event: Event<'_>) {
        self.places.push(HashPlace::new(event.object()));
        self.events.push(&Entry::Event(event));
    }

    /// Applies all, and is empty then. A batch that is dropped before loses them.
    pub fn apply(&mut self, ledger: &mut Ledger) {
        let has_many_origins = ledger.has_many_origins();
        let (mut seen, mut events) = (self.events.iter(), self.events.iter());
        for places in self.places.chunks(MAX_BATCH) {
            black_box(places.iter().fold(0, |read, &place| read ^ ledger.touch(place)));
            if has_many_origins {
                black_box(ledger.touch_origins(places.iter().copied().zip(seen.by_ref())));
            }
            for (&place, entry) in places.iter().zip(events.by_ref()) {
                if let Entry::Event(event) = entry {
                    ledger.apply_at(place, &event);
                }
            }
        }
        drop((seen, events));
        self.places.clear();
        self.events.clear();
    }
}
