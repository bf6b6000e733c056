//! What a session reads of the host and of kernel memory between two drains.

use std::time::Duration;

use super::{
    compare::{Comparison, TracedByName},
    error::SessionError,
    host,
    state::{Session, State},
};
use crate::{
    kernel::events::Events,
    procfs::Files,
    stream::entry::Entry,
    view::{Sampling, reconcile::traced},
};

impl Session {
    /// Learns which caches came and went since the last report.
    pub fn refresh_caches(&mut self, events: &mut Events) -> Result<(), SessionError> {
        let elapsed = self.elapsed();
        let State { kernel, caches, .. } = &mut self.state;
        Ok(caches.refresh(kernel, &Files::live(), &self.ledger, &mut events.generations, elapsed)?)
    }

    /// Inspects some of the objects that survive.
    pub fn inspect(&mut self, events: &mut Events) -> Result<(), SessionError> {
        let State { inspector, kernel, caches, .. } = &mut self.state;
        let Some(inspector) = inspector else { return Ok(()) };
        let inspected = inspector.inspect(kernel, caches, &self.ledger);
        if inspected.is_empty() {
            return Ok(());
        }
        // The free of an object that was freed meanwhile is in its ring by now; what we saw may be another object.
        self.catch_up(events)?;
        for (object, inspection) in &inspected {
            let label = inspection.label();
            self.ledger.label(*object, &label);
            self.push_to_sink(&Entry::Label(*object, label));
        }
        Ok(())
    }

    pub fn compare_if_due(&mut self, events: &mut Events) -> Result<(), SessionError> {
        if self.slabinfo.is_due(self.elapsed()) { self.compare(events) } else { Ok(()) }
    }

    /// Reads slabinfo, and compares it with what was traced until just before and just after.
    pub fn compare(&mut self, events: &mut Events) -> Result<(), SessionError> {
        let misses = events.recursion_misses();
        self.catch_up(events)?;
        let before = self.traced(events, misses)?;
        if !self.slabinfo.read(self.elapsed()) || !self.state.is_compared {
            return Ok(());
        }
        // The error of a sample would hide what the comparison looks for.
        if self.state.budget.sampling() != Sampling::NONE {
            self.comparison = Comparison::default();
            return Ok(());
        }
        self.catch_up(events)?;
        let after = self.traced(events, misses)?;
        self.comparison.update(self.state.caches.infos(), self.slabinfo.latest(), &before, &after);
        Ok(())
    }

    /// What was traced of each cache so far.
    fn traced(&self, events: &Events, skipped: u64) -> Result<TracedByName, SessionError> {
        Ok(traced(&self.ledger, self.state.caches.infos(), &self.losses(events)?, skipped))
    }

    /// Notices requested processes that have ended.
    pub fn note_ended_pids(&mut self) {
        let elapsed: Duration = self.elapsed();
        let Self { state, ended_pids, .. } = self;
        state.pids.retain(|&pid| {
            let is_alive = host::is_alive(pid);
            if !is_alive {
                ended_pids.push((pid, elapsed));
            }
            is_alive
        });
    }
}
