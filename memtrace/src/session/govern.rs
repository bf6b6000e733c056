//! Keeps the session within its budget.

use memtrace_common::sample;

use super::{
    budget::{Action, Decision},
    error::SessionError,
    own_cost::CpuUse,
    state::Session,
};
use crate::{kernel::events::Events, stream::entry::Entry, view::Sampling};

/// Whether a session may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    GoesOn,
    Over,
}

impl Session {
    /// After each measurement.
    pub fn keep_within_cpu(&mut self, used: CpuUse, events: &mut Events) -> Result<Outcome, SessionError> {
        let budget = &mut self.state.budget;
        let Some(limit) = budget.cpu_limit() else { return Ok(Outcome::GoesOn) };
        match budget.keep_within_cpu(used.total()) {
            Decision::GoOn => {}
            Decision::Sample(period) => {
                self.ledger.raise_period(period);
                self.push_to_sink(&Entry::Period(period));
                self.sample_less(Action::SampledForCpu { limit }, events)?;
            }
            Decision::Detach => {
                let after = self.elapsed();
                let action = Action::Detached { limit, used: used.total() };
                self.state.budget.take_note(action, after);
                return Ok(Outcome::Over);
            }
        }
        Ok(Outcome::GoesOn)
    }

    /// After each drain, which may have made room in the ledger.
    pub fn keep_within_memory(&mut self, before: Sampling, events: &mut Events) -> Result<(), SessionError> {
        let budget = &self.state.budget;
        if budget.sampling() == before {
            return Ok(());
        }
        self.sample_less(Action::SampledForMemory { bytes: budget.max_memory() }, events)
    }

    /// Tells the probes the new period.
    fn sample_less(&mut self, action: Action, events: &mut Events) -> Result<(), SessionError> {
        events.set_sample_limit(sample::limit(self.state.budget.sampling().period))?;
        let after = self.elapsed();
        self.state.budget.take_note(action, after);
        Ok(())
    }
}
