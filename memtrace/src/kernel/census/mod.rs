//! A census of the slab: a random sample of page frames shows what the slab holds and whose it is, without having traced.
//!
//! `frames` says which frames there are and draws some, [`super::slabs`] looks at them, and `signs` is what objects tell besides.
//! `sampler` does all that for one census, as long as its `allowance` lasts.

pub(in crate::kernel) mod allowance;
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

/// How much longer than it would take alone a census goes on where it gets no CPU.
pub const PATIENCE: u32 = 10;

/// What a census is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Half the width of the 95 % interval of what is half of the slab, or of the caches that are asked for: 0.02.
    pub error: f64,
    pub seed: u64,
    /// Of a CPU, for drawing and reading. Where others have the CPUs, it takes [`PATIENCE`] times as long at most.
    pub cpu_time: Duration,
    /// Addresses of the caches that are asked for; all if empty.
    pub caches: Vec<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { error: 0.02, seed: 0, cpu_time: Duration::from_secs(1), caches: Vec::new() }
    }
}
