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
pub struct Batch {
    /// Of each event.
    places: Vec<HashPlace>,
    events: EntryBuffer,
}

impl Batch {
    /// Adds an event; applies all when there are enough.
    #[inline]
    pub fn add(&mut self, event: Event<'_>, ledger: &mut Ledger) {
        self.places.push(HashPlace::new(event.object()));
        self.events.push(&Entry::Event(event));
        if self.places.len() == MAX_BATCH {
            self.apply(ledger);
        }
    }

    /// Applies what is left. A batch that is dropped before loses it.
    pub fn apply(&mut self, ledger: &mut Ledger) {
        black_box(self.places.iter().fold(0, |read, &place| read ^ ledger.touch(place)));
        for (&place, entry) in self.places.iter().zip(self.events.iter()) {
            if let Entry::Event(event) = entry {
                ledger.apply_at(place, &event);
            }
        }
        self.places.clear();
        self.events.clear();
    }
}
