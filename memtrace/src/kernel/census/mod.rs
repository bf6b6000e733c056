//! A census of the slab: a random sample of page frames shows what the slab holds and whose it is, without having traced.

pub mod plan;
pub mod sample;

pub use self::sample::Sample;

use std::time::Duration;

use super::discover::Kernel;

/// What a census is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Relative half-width of the interval of a row that holds half of its cache, as a share: 0.02.
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
    #[error("where the kernel keeps its pages is not known: {0}")]
    Pages(String),
}

/// Takes a census. `goes_on` is asked between runs: false ends it with what was sampled so far.
pub fn take(
    _kernel: &Kernel,
    _options: &Options,
    _goes_on: &mut dyn FnMut() -> bool,
) -> Result<Sample, CensusError> {
    Err(CensusError::Pages("not built yet".to_owned()))
}
