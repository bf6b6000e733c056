//! What a report needs besides the ledger: the state of a session at one time.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use aya::maps::MapError;
use memtrace_common::counters::ByKind;

use super::{error::SessionError, state::Session};
use crate::{
    kernel::{clock, events::Events},
    procfs::slab,
    stream::event::Address,
    view::{Checkpoint, Trust, checkpoint::Losses},
};

impl Session {
    pub fn checkpoint(&self, events: &Events, is_final: bool) -> Result<Checkpoint, SessionError> {
        // Ages and rates are as of the end of tracing allocations.
        let now = self.stopped.map_or_else(clock::now, |stopped| stopped.at);
        let trust = self.trust(events)?;
        let budget = &self.state.budget;
        Ok(Checkpoint {
            is_final,
            time: SystemTime::now(),
            now,
            elapsed: Duration::from_nanos(now - self.started),
            settled: self.settled,
            sampling: budget.sampling(),
            meminfo: self.state.host.slab_memory(),
            own_cost: self.meter.cost(is_final, budget.max_memory(), budget.max_cpu()),
            losses: self.losses(events)?,
            slabinfo: match is_final {
                true => self.slabinfo.since_start(),
                false => self.slabinfo.latest().clone(),
            },
            growth: self.comparison.growth().clone(),
            notes: self.notes(events.counters()?.unfollowed, &trust, is_final),
            census: self.census.clone(),
            trust,
        })
    }

    /// By the number of the cache.
    pub fn losses(&self, events: &Events) -> Result<HashMap<Address, Losses>, MapError> {
        let losses = events.losses()?.into_iter();
        let of_cache = |(cache, ByKind { allocs, frees, .. })| {
            (self.state.caches.number(cache), Losses { allocs, frees })
        };
        Ok(losses.map(of_cache).collect())
    }

    pub fn trust(&self, events: &Events) -> Result<Trust, SessionError> {
        let counters = events.counters()?;
        let tally = self.ledger.tally();
        Ok(Trust {
            emitted: counters.emitted.total(),
            applied: tally.total() + self.left_out,
            lost_allocs: counters.lost.allocs,
            lost_frees: counters.lost.frees,
            lost_names: counters.lost.names,
            unknown_frees: self
                .stopped
                .and_then(|stopped| stopped.unknown_frees)
                .unwrap_or(tally.unknown_frees),
            reused_pointers: tally.reused_pointers,
            verified: self.verification.verified(&self.ledger),
            unseen_allocations: self.unseen.found,
            recursion_misses: events.recursion_misses(),
            refused: tally.refused,
            unresolved: counters.unresolved,
            // The view compares.
            slabinfo_agreement: None,
        })
    }

    fn notes(&self, unfollowed: u64, trust: &Trust, is_final: bool) -> Vec<String> {
        let mut notes = self.state.requested.unmatched(&self.ledger, is_final);
        notes.extend(self.state.sift.notes(is_final));
        notes.extend(self.state.notes.iter().cloned());
        for (pid, after) in &self.ended_pids {
            notes.push(format!("process {pid} ended {} s after tracing began", after.as_secs()));
        }
        notes.extend(self.state.budget.note().cloned());
        notes.extend(self.state.tasks.notes());
        for (name, after) in self.state.caches.destroyed() {
            notes.push(format!(
                "{} was destroyed {} s after tracing began; a new cache of that name is not traced",
                slab::printable(name),
                after.as_secs()
            ));
        }
        notes.extend(
            self.meter.unavailable().map(|why| format!("the CPU time of the probes is unknown: {why}")),
        );
        // There is no other reason for it where the CPU time is not measured all the time.
        if self.meter.is_calibrated() && self.state.budget.note().is_some() {
            notes.push(
                "what an event takes was measured at the start: it is less since objects are sampled"
                    .to_owned(),
            );
        }
        if unfollowed > 0 {
            notes.push(format!(
                "{unfollowed} processes of the tree are not followed: too many lived at the same time"
            ));
        }
        if trust.refused > 0 {
            notes.push(format!(
                "the ledger is full: {} objects are outstanding, and new ones are ignored; allow more with --max-memory",
                self.ledger.outstanding()
            ));
        }
        if self.undecodable > 0 {
            notes.push(format!(
                "{} records from the probes could not be decoded: the BPF programs do not match this binary; rebuild memtrace",
                self.undecodable
            ));
        }
        notes
    }
}
