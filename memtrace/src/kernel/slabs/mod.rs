//! Slabs in the kernel's memory: which objects of one are allocated, and whom they are charged to.
//!
//! `looker` runs the programs that look; `shape`, `at_hand` and `verdict` turn what they see into objects that are allocated or free.
//! `reader` puts them together.

pub mod at_hand;
pub mod layout;
pub mod looker;
pub mod own_file;
pub mod reader;
pub mod shape;
pub mod topology;
pub mod verdict;

use super::{memory::MemoryError, reason::Reason};

/// Why slabs cannot be looked at on this host.
#[derive(Debug, thiserror::Error)]
pub enum SlabsError {
    #[error("memtrace cannot find this kernel's pages: {0}")]
    Pages(Reason),
    #[error("memtrace does not understand this kernel's slabs: {0}")]
    Layout(Reason),
    #[error(transparent)]
    Memory(#[from] MemoryError),
}
