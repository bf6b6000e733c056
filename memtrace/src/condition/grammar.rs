//! What can be waited for.

use std::{fmt, time::Duration};

use crate::procfs::memory_events::MemoryEvent;

/// A condition as it was written, and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub(super) text: String,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Somebody leaks or floods.
    Finding,
    /// A slab cache, or a line of /proc/meminfo, and what its memory has to be. The name begins at this column.
    Figure { name: String, column: usize, test: Test },
    /// Tasks wait for memory for more than this share of the time, by the kernel's average over ten seconds.
    Pressure(f64),
    /// It was counted again, for any cgroup or the host.
    Event(MemoryEvent),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    Over(Amount),
    Under(Amount),
    /// By so much within so long.
    Grown(Amount, Duration),
    Shrunk(Amount, Duration),
    /// It falls, and as it does nothing is left of it within this time.
    Lasts(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Bytes(u64),
    /// Of all memory, above 0 and below 1.
    Share(f64),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
