//! What a recording is made of, in the order in which it reached the ledger.

use crate::stream::{
    event::{Alloc, Event, Free, Label, Name, TimeNs},
    ledger::Outstanding,
};

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    Event(Event<'a>),
    /// An object was looked at.
    Label(Outstanding, Label<'a>),
    /// One object in so many is followed from here on.
    Period(u32),
    /// What follows was read from the rings at this time: frees do not tell theirs.
    Read(TimeNs),
    /// Somebody marked this time.
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
