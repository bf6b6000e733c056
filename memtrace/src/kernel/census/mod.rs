//! A census of the slab: a random sample of page frames shows what the slab holds and whose it is, without having traced.
//!
//! `frames` says which frames there are and draws some, [`super::slabs`] looks at them, and `signs` is what objects tell besides.
//! `sampler` does all that for one census.

pub mod frames;
pub mod plan;
pub mod sample;
mod sampler;
pub mod sign_fields;
pub mod signs;

use std::time::Duration;

pub use self::{
    sample::Sample,
    sampler::{slab_frames, take},
};

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
