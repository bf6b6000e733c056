//! How old what is outstanding is: a histogram.

use std::time::Duration;

/// Outstanding objects whose age is between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgeBucket {
    pub at_least: Duration,
    /// None: however old.
    pub less_than: Option<Duration>,
    pub objects: u64,
    pub bytes: u64,
}
