//! What a session sees, in the order in which it reaches the ledger: events, and what it learns between them.

use super::event::{Alloc, Event, Free, Label, Name, ObjectId, TimeNs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    Event(Event<'a>),
    /// An object was inspected.
    Label(ObjectId, Label<'a>),
    /// The kernel's memory shows that an object is free, though nobody saw its free.
    Refuted(ObjectId),
    /// From here on, one object in this many is followed.
    Period(u32),
    /// The entries that follow were read from the rings at this time: frees carry no time of their own.
    Read(TimeNs),
    /// A user marked this time.
    Mark(TimeNs, &'a [u8]),
}

impl<'a> From<Alloc> for Entry<'a> {
    fn from(alloc: Alloc) -> Self {
        Entry::Event(Event::Alloc(alloc))
    }
}

impl<'a> From<Free> for Entry<'a> {
    fn from(free: Free) -> Self {
        Entry::Event(Event::Free(free))
    }
}

impl<'a> From<Name<'a>> for Entry<'a> {
    fn from(name: Name<'a>) -> Self {
        Entry::Event(Event::Name(name))
    }
}
