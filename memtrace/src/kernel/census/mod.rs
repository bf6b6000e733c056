//! A census of the slab: a random sample of page frames shows what the slab holds and whose it is, without having traced.
//!
//! `frames` says which frames there are and draws some; `slabs` runs the programs that look at them; `shape`, `at_hand` and `verdict`
//! turn what they see into objects that are allocated or free, and whom they are charged to; `signs` is what objects tell besides.
//! `sampler` does all that for one census.

mod at_hand;
pub mod frames;
pub mod layout;
mod own_file;
pub mod plan;
pub mod sample;
mod sampler;
mod shape;
mod signs;
mod slabs;
mod topology;
mod verdict;

use std::time::Duration;

pub use self::{sample::Sample, sampler::{slab_frames, take}};
use super::{memory::MemoryError, reason::Reason};

/// What a census is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Half the width of the 95 % interval of what is half of the slab, or of the caches that are asked for: 0.02.
    pub error: f64,
    pub seed: u64,
    pub time: Duration,
    /// Addresses of the caches that are asked for; all if empty.
    pub caches: Vec<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { error: 0.02, seed: 0, time: Duration::from_secs(1), caches: Vec::new() }
    }
}

/// Why there can be no census on this host.
#[derive(Debug, thiserror::Error)]
pub enum CensusError {
    #[error("memtrace cannot find this kernel's pages: {0}")]
    Pages(Reason),
    #[error("memtrace does not understand this kernel's slabs: {0}")]
    Layout(Reason),
    #[error(transparent)]
    Memory(#[from] MemoryError),
}
