//! Addresses of objects that the ledger does not know, and that have had no event since somebody looked at them.

use foldhash::fast::FixedState;
use hashbrown::HashSet;

use crate::stream::event::Address;

#[derive(Clone, Default)]
pub struct Watched {
    /// Objects that were there before tracing began. Only frees of unknown objects are looked up here.
    older: HashSet<Address, FixedState>,
    /// Objects that nobody saw being allocated, as it seems. Empty but at a session's end, since each event is looked up here.
    suspects: HashSet<Address, FixedState>,
}

impl Watched {
    pub fn set_older(&mut self, older: impl IntoIterator<Item = Address>) {
        self.older = older.into_iter().collect();
    }

    pub fn is_older(&self, ptr: Address) -> bool {
        self.older.contains(&ptr)
    }

    pub fn suspect(&mut self, ptr: Address) {
        self.suspects.insert(ptr);
    }

    /// Nothing has happened to it since it was suspected.
    pub fn is_suspect(&self, ptr: Address) -> bool {
        self.suspects.contains(&ptr)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// For each event.
    #[inline]
    pub(super) fn clear_of_suspicion(&mut self, ptr: Address) {
        if !self.suspects.is_empty() {
            self.suspects.remove(&ptr);
        }
    }

    /// For each free of an unknown object.
    pub(super) fn freed(&mut self, ptr: Address) {
        self.older.remove(&ptr);
    }
}
