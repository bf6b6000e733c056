//! The budget: how much of the host a session may use, and what it does to keep within that. Pure: measures nothing, has no clock.
//!
//! Over budget, the session follows fewer objects: the sampling period rises. It never falls again, since nothing is known of the
//! objects that were left out. Where that is not enough, the session ends.

pub mod memory;

use std::{fmt, time::Duration};

use self::memory::MemoryBudget;
use super::own_cost::Share;
use crate::{stream::ledger::Ledger, text::human, view::Sampling};

/// Following fewer objects than this saves nothing.
const MAX_PERIOD: u32 = 1024;

/// One measurement over the limit may be a burst; this many in a row are not.
const MEASUREMENTS_OVER: u32 = 2;

/// Percent of one CPU, as the user wrote it: 200 is all of two CPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuLimit {
    pub percent: f64,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    GoOn,
    /// Follow one object in this many from now on.
    Sample(u32),
    /// Detach the probes.
    Detach,
}

pub struct Governor {
    cpu: Option<CpuLimit>,
    period: u32,
    measurements_over: u32,
}

impl CpuLimit {
    /// Use as a multiple of the limit.
    fn excess(self, used: Share) -> f64 {
        used * 100.0 / self.percent
    }
}

impl Governor {
    /// For a session that follows one object in `period`.
    pub fn new(cpu: Option<CpuLimit>, period: u32) -> Self {
        Self { cpu, period, measurements_over: 0 }
    }

    /// From now on. What is not followed any more stays so.
    pub fn set_cpu_limit(&mut self, cpu: Option<CpuLimit>) {
        self.cpu = cpu;
    }

    /// After each measurement of what probes and userspace use. Far over the limit, the period rises by several steps at once:
    /// the host should not have to wait.
    pub fn cpu(&mut self, used: Share) -> Decision {
        let excess = self.cpu.map_or(0.0, |limit| limit.excess(used));
        self.measurements_over = if excess > 1.0 { self.measurements_over + 1 } else { 0 };
        if self.measurements_over < MEASUREMENTS_OVER {
            return Decision::GoOn;
        }
        self.measurements_over = 0;
        if self.is_at_highest() { Decision::Detach } else { self.raise(excess) }
    }

    /// When the ledger is full. At the highest period the ledger refuses objects, and reports say so.
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

/// What the session did to keep within its budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    SampledForCpu {
        limit: CpuLimit,
    },
    /// The ledger had used its part of this many bytes.
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
            Self::SampledForCpu { limit } => {
                format!("sampling 1 in {period} objects since {s} s: memtrace exceeded {limit}")
            }
            Self::SampledForMemory { bytes } => {
                let bytes = human::bytes(*bytes);
                format!(
                    "sampling 1 in {period} objects since {s} s: the memory budget of {bytes} was used up"
                )
            }
            Self::Detached { limit, used } => format!(
                "stopped tracing after {s} s: memtrace used {}, more than {limit}, even when sampling 1 in {period} objects",
                human::cpu(*used)
            ),
        }
    }
}

/// What a session may use, and what it did to keep within that.
pub struct Budget {
    cpu: Option<CpuLimit>,
    memory: MemoryBudget,
    /// Bytes for the ledger.
    ledger: usize,
    governor: Governor,
    sampling: Sampling,
    /// About the last action.
    note: Option<String>,
}

impl Budget {
    pub fn new(cpu: Option<CpuLimit>, memory: MemoryBudget, ledger: usize, sampling: Sampling) -> Self {
        let governor = Governor::new(cpu, sampling.period);
        Self { cpu, memory, ledger, governor, sampling, note: None }
    }

    /// An empty ledger within the budget.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new(self.ledger);
        ledger.set_period(self.sampling.period);
        ledger
    }

    /// Bytes that the ledger may take.
    pub fn ledger_bytes(&self) -> u64 {
        self.ledger as u64
    }

    /// Makes room in a full ledger, while the rings are drained: the ledger ignores what the probes still send of objects that
    /// are not followed any more. Returns the new period, if there is one.
    pub fn make_room(&mut self, ledger: &mut Ledger) -> Option<u32> {
        while ledger.is_full() && ledger.sweep() {}
        if !ledger.is_full() {
            return None;
        }
        let Decision::Sample(period) = self.governor.memory() else { return None };
        ledger.raise_period(period);
        self.sampling = Sampling { period };
        Some(period)
    }

    /// After a measurement of the CPU time in use.
    pub fn keep_within_cpu(&mut self, used: Share) -> Decision {
        let decision = self.governor.cpu(used);
        if let Decision::Sample(period) = decision {
            self.sampling = Sampling { period };
        }
        decision
    }

    pub fn set_cpu_limit(&mut self, limit: Option<CpuLimit>) {
        self.cpu = limit;
        self.governor.set_cpu_limit(limit);
    }

    pub fn cpu_limit(&self) -> Option<CpuLimit> {
        self.cpu
    }

    /// Notes what was done; the sampling period from then on is that of now.
    pub fn take_note(&mut self, action: Action, after: Duration) {
        self.note = Some(action.note(self.sampling.period, after));
    }

    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    pub fn note(&self) -> Option<&String> {
        self.note.as_ref()
    }

    /// In bytes.
    pub fn max_memory(&self) -> u64 {
        self.memory.total
    }

    pub fn max_cpu(&self) -> Option<Share> {
        self.cpu.map(|limit| limit.percent / 100.0)
    }
}

#[cfg(test)]
mod tests;
