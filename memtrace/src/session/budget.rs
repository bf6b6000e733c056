//! The budget: how much of the host a session may take, and what it does about it. Pure: measures nothing, knows no clock.
//!
//! Over it, fewer objects are followed: the sampling period rises. It never falls again, since nothing is known of the
//! objects that were left out. Where that is not enough, the session has to end.

pub mod memory;

use std::{fmt, time::Duration};

use super::own_cost::Share;
use crate::text::human;

/// Nothing is gained by following less than this.
const MAX_PERIOD: u32 = 1024;

/// A use over the limit may be a burst; so many measurements in a row are none.
const MEASUREMENTS_OVER: u32 = 2;

/// Percent of one CPU, as the user wrote it: of two CPUs, 200 is all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuLimit {
    pub percent: f64,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    GoOn,
    /// Follow one object in so many from now on.
    Sample(u32),
    /// Take the probes out.
    Detach,
}

pub struct Governor {
    cpu: Option<CpuLimit>,
    period: u32,
    measurements_over: u32,
}

impl CpuLimit {
    /// How many times the limit this is.
    fn excess(self, used: Share) -> f64 {
        used * 100.0 / self.percent
    }
}

impl Governor {
    /// For a session that follows one object in `period`.
    pub fn new(cpu: Option<CpuLimit>, period: u32) -> Self {
        Self { cpu, period, measurements_over: 0 }
    }

    /// To be asked after each measurement of what probes and userspace take. Far over the limit, the period rises by more
    /// than one step: no host should have to wait.
    pub fn cpu(&mut self, used: Share) -> Decision {
        let excess = self.cpu.map_or(0.0, |limit| limit.excess(used));
        self.measurements_over = if excess > 1.0 { self.measurements_over + 1 } else { 0 };
        if self.measurements_over < MEASUREMENTS_OVER {
            return Decision::GoOn;
        }
        self.measurements_over = 0;
        if self.is_at_highest() { Decision::Detach } else { self.raise(excess) }
    }

    /// To be asked when the ledger is full. At the highest period it is left to refuse objects, and to say so.
    pub fn memory(&mut self) -> Decision {
        if self.is_at_highest() { Decision::GoOn } else { self.raise(1.0) }
    }

    fn is_at_highest(&self) -> bool {
        self.period >= MAX_PERIOD
    }

    /// By the power of two that would do, or the one below.
    fn raise(&mut self, excess: f64) -> Decision {
        let times = excess.clamp(2.0, f64::from(MAX_PERIOD)) as u32;
        self.period = self.period.saturating_mul(1 << times.ilog2()).min(MAX_PERIOD);
        Decision::Sample(self.period)
    }
}

impl fmt::Display for CpuLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--max-cpu {}%", self.percent)
    }
}

/// What the budget did, in the words of a note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    SampledForCpu {
        limit: CpuLimit,
    },
    /// The ledger had got its part of so many bytes.
    SampledForMemory {
        bytes: u64,
    },
    Detached {
        limit: CpuLimit,
        used: Share,
    },
}

impl Action {
    /// `period` holds from then on.
    pub fn note(&self, period: u32, after: Duration) -> String {
        let s = after.as_secs();
        match self {
            Self::SampledForCpu { limit } => format!("sampling 1 in {period} since {s} s: over {limit}"),
            Self::SampledForMemory { bytes } => {
                format!(
                    "sampling 1 in {period} since {s} s: the memory budget of {} was used",
                    human::bytes(*bytes)
                )
            }
            Self::Detached { limit, used } => format!(
                "detached itself after {s} s: with {} it was over {limit}, also when sampling 1 in {period}",
                human::cpu(*used)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
