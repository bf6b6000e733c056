//! What can be waited for.

use std::{fmt, time::Duration};

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
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    Over(Amount),
    Under(Amount),
    /// By so much within so long.
    Grown(Amount, Duration),
    Shrunk(Amount, Duration),
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

impl Test {
    pub fn amount(self) -> Amount {
        match self {
            Self::Over(amount) | Self::Under(amount) | Self::Grown(amount, _) | Self::Shrunk(amount, _) => {
                amount
            }
        }
    }
}
