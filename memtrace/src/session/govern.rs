//! Keeps the session within its budget.

use std::time::Duration;

use memtrace_common::sample;

use super::{
    Session, SessionError,
    budget::{Action, CpuLimit, Decision, Governor, memory::MemoryBudget},
    own_cost::CpuUse,
};
use crate::{
    evidence::recording::Entry,
    kernel::{clock, events::Events},
    stream::ledger::Ledger,
    view::Sampling,
};

/// What a session may take, and what was done to keep within it.
pub struct Budget {
    cpu: Option<CpuLimit>,
    memory: MemoryBudget,
    /// Bytes for the ledger.
    ledger: usize,
    governor: Governor,
    sampling: Sampling,
    /// Of the last thing that was done.
    note: Option<String>,
}

/// Whether a session may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    GoesOn,
    Over,
}

impl Budget {
    pub fn new(cpu: Option<CpuLimit>, memory: MemoryBudget, ledger: usize, sampling: Sampling) -> Self {
        let governor = Governor::new(cpu, sampling.period);
        Self { cpu, memory, ledger, governor, sampling, note: None }
    }

    /// An empty ledger that keeps within it.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new(self.ledger);
        ledger.set_period(self.sampling.period);
        ledger
    }

    /// Bytes that the ledger may take.
    pub fn ledger_bytes(&self) -> u64 {
        self.ledger as u64
    }

    /// Makes room in a ledger that is full, while the rings are drained: what the kernel side still sends of the objects
    /// that are not followed any more, the ledger leaves out. Returns the new period, if there is one.
    pub fn make_room(&mut self, ledger: &mut Ledger) -> Option<u32> {
        let Decision::Sample(period) = self.governor.memory() else { return None };
        ledger.set_period(period);
        self.sampling = Sampling { period };
        Some(period)
    }

    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    pub fn note(&self) -> Option<&String> {
        self.note.as_ref()
    }

    /// Bytes.
    pub fn most_memory(&self) -> u64 {
        self.memory.total
    }

    /// A share of one CPU.
    pub fn most_cpu(&self) -> Option<f64> {
        self.cpu.map(|limit| limit.percent / 100.0)
    }
}

impl Session {
    /// After each measurement.
    pub(super) fn keep_within_cpu(
        &mut self,
        used: CpuUse,
        events: &mut Events,
    ) -> Result<Outcome, SessionError> {
        let budget = &mut self.state.budget;
        let Some(limit) = budget.cpu else { return Ok(Outcome::GoesOn) };
        match budget.governor.cpu(used.total()) {
            Decision::GoOn => {}
            Decision::Sample(period) => {
                budget.sampling = Sampling { period };
                self.ledger.set_period(period);
                if let Some(tap) = &mut self.tap {
                    tap.push(&Entry::Period(period));
                }
                self.sampling_rose(Action::SampledForCpu { limit }, events)?;
            }
            Decision::Detach => {
                self.take_note(Action::Detached { limit, used: used.total() });
                return Ok(Outcome::Over);
            }
        }
        Ok(Outcome::GoesOn)
    }

    /// After each drain.
    pub(super) fn keep_within_memory(
        &mut self,
        before: Sampling,
        events: &mut Events,
    ) -> Result<(), SessionError> {
        let Budget { sampling, memory, .. } = self.state.budget;
        if sampling == before {
            return Ok(());
        }
        self.sampling_rose(Action::SampledForMemory { bytes: memory.total }, events)
    }

    fn sampling_rose(&mut self, measure: Action, events: &mut Events) -> Result<(), SessionError> {
        events.set_sample_limit(sample::limit(self.state.budget.sampling.period))?;
        self.take_note(measure);
        Ok(())
    }

    fn take_note(&mut self, measure: Action) {
        let after = Duration::from_nanos(clock::now() - self.started);
        let budget = &mut self.state.budget;
        budget.note = Some(measure.note(budget.sampling.period, after));
    }
}
