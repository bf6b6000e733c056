//! Events that are applied together.
//!
//! Nearly every event is about an object whose entry is in no cache of the CPU. One at a time, each would wait for
//! memory, a hundred nanoseconds and more; of a batch, all entries are read first, and the reads overlap, since none
//! needs another's result.

use std::hint::black_box;

use super::{Ledger, objects::Place};
use crate::stream::event::{Alloc, Event, Free, Name};

/// Reads beyond some tens do not overlap any more.
pub const MAX: usize = 64;

/// Events on their way to a ledger, in their order.
#[derive(Default)]
pub struct Batch {
    events: Vec<(Place, Waiting)>,
    /// Of each [`Waiting::Name`] the parent's name and the name.
    names: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Waiting {
    Alloc(Alloc),
    Free(Free),
    Name { parent_len: usize, name_len: usize },
}

impl Batch {
    /// Adds an event; applies all when there are enough.
    pub fn add(&mut self, event: Event<'_>, ledger: &mut Ledger) {
        let (ptr, waiting) = match event {
            Event::Alloc(alloc) => (alloc.ptr, Waiting::Alloc(alloc)),
            Event::Free(free) => (free.ptr, Waiting::Free(free)),
            Event::Name(Name { dentry, name, parent }) => {
                self.names.extend_from_slice(parent);
                self.names.extend_from_slice(name);
                (dentry, Waiting::Name { parent_len: parent.len(), name_len: name.len() })
            }
        };
        self.events.push((Place::of(ptr), waiting));
        if self.events.len() == MAX {
            self.apply(ledger);
        }
    }

    /// Applies what is left. A batch that is dropped before loses it.
    pub fn apply(&mut self, ledger: &mut Ledger) {
        black_box(self.events.iter().fold(0, |read, (place, _)| read ^ ledger.objects.touch(*place)));
        let mut names = &self.names[..];
        for &(place, ref waiting) in &self.events {
            match waiting {
                Waiting::Alloc(alloc) => ledger.alloc(place, alloc),
                Waiting::Free(free) => ledger.free(place, free),
                Waiting::Name { parent_len, name_len } => {
                    let (parent, rest) = names.split_at(*parent_len);
                    let (name, rest) = rest.split_at(*name_len);
                    names = rest;
                    ledger.name(place, parent, name);
                }
            }
        }
        self.events.clear();
        self.names.clear();
    }
}
