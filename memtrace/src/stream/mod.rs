//! The stream of events: what an event is, how it is read from a record's bytes, and the ledger that pairs allocations with frees.
//! Pure: no clock, no file, no kernel.

pub mod event;
pub mod comm_pattern;
pub mod entry;
pub mod buffer;
pub mod calls;
pub mod decode;
pub mod ledger;
