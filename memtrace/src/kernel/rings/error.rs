//! Why rings cannot be made or read.

use std::io;

use aya::maps::MapError;

use crate::kernel::reason::root_cause;

#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error("cannot make a ring buffer of {bytes} bytes: {why}; give memtrace less with --max-memory", why = root_cause(.source))]
    Create { bytes: u32, source: MapError },
    #[error("cannot map a ring buffer: {0}")]
    Map(#[source] io::Error),
}
