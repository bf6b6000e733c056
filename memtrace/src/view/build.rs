//! From the ledger to a [`Snapshot`]: groups, then rows, then what all rows come to.

mod group;
pub mod rows;
mod totals;

use std::time::Duration;

use self::{
    group::groups,
    rows::{RowHistory, cut, with_details},
    totals::cache_totals,
};
use super::{
    ages::{AgeBucket, AllocsUntil, Cohort, Survivors, Timeline},
    checkpoint::{Checkpoint, Trust},
    judge::{self, SessionFacts},
    key::Keys,
    lookups::Lookups,
    reconcile,
    snapshot::{Snapshot, Sort},
    tree,
};
use crate::stream::ledger::Ledger;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    pub by: Keys,
    pub sort: Sort,
    pub older: Option<Duration>,
    /// Rows at most.
    pub top: usize,
}

/// Makes snapshots, and remembers the last one's totals for the rates.
#[derive(Clone)]
pub struct Builder {
    options: ReportOptions,
    rows: RowHistory,
    timeline: Timeline,
    /// Of all rows together.
    allocs: AllocsUntil,
    /// Each snapshot has them, and not the final one alone.
    has_directories: bool,
}

impl Builder {
    pub fn new(options: ReportOptions) -> Self {
        Self {
            options,
            rows: RowHistory::default(),
            timeline: Timeline::default(),
            allocs: AllocsUntil::default(),
            has_directories: false,
        }
    }

    /// Says where dentries are in each snapshot.
    pub fn with_directories(self) -> Self {
        Self { has_directories: true, ..self }
    }

    /// Makes other snapshots from now on. Whoever is grouped otherwise has no past.
    pub fn set_options(&mut self, options: ReportOptions) {
        if options.by != self.options.by {
            *self = Self { has_directories: self.has_directories, ..Self::new(options) };
        } else {
            self.options = options;
        }
    }

    /// Whether a snapshot looks at each object, and not at sums alone.
    pub fn looks_at_objects(&self) -> bool {
        self.options.older.is_some()
    }

    /// The state of the session now. Rates are over the time since the last call; in the final snapshot over all.
    pub fn snapshot(&mut self, ledger: &Ledger, checkpoint: &Checkpoint, lookups: Lookups<'_>) -> Snapshot {
        self.timeline.report(checkpoint.now, checkpoint.elapsed, checkpoint.is_final);
        let ReportOptions { by, sort, older, top } = &self.options;
        let caches = cache_totals(ledger, checkpoint, lookups);
        let aged = older.map(|age| ledger.allocated_until(checkpoint.time_of_age(age)));
        let groups = groups(ledger, aged.as_ref(), by, &caches, lookups);
        let mut rows = self.rows.rows(groups, ledger, checkpoint, &self.timeline, lookups);
        let Checkpoint { meminfo, trust, .. } = checkpoint;
        let session = SessionFacts {
            caches: &caches,
            meminfo: *meminfo,
            trust,
            incidents: lookups.incidents,
            period: checkpoint.sampling.period,
            elapsed: checkpoint.elapsed,
        };
        let verdict = judge::verdict(rows.iter().map(|(row, sources)| (row, &sources.held[..])), &session);
        let rest = cut(&mut rows, *sort, *top);
        let rows = with_details(rows, ledger, &self.timeline, checkpoint.now, lookups.stacks);
        let is_final = checkpoint.is_final;
        let directories =
            (is_final || self.has_directories).then(|| tree::directories(ledger, lookups.shown(ledger)));
        let notes = checkpoint.notes.iter().cloned().chain(reconcile::note(&caches));
        let trust = Trust { slabinfo_agreement: reconcile::agreement(&caches), ..*trust };
        let (by, sort, older) = (by.clone(), *sort, *older);
        let (ages, cohorts) = self.survivors(ledger, checkpoint, lookups);
        Snapshot {
            is_final,
            time: checkpoint.time,
            elapsed: checkpoint.elapsed,
            settled: checkpoint.settled,
            host: lookups.host.to_owned(),
            kernel: lookups.kernel.to_owned(),
            filter: lookups.filter.to_owned(),
            by,
            sort,
            older,
            sampling: checkpoint.sampling,
            stacks_period: lookups.stacks.map(|stacks| stacks.period()),
            meminfo: *meminfo,
            own_cost: checkpoint.own_cost,
            caches,
            rows,
            rest,
            verdict,
            ages,
            cohorts,
            directories: directories.unwrap_or_default(),
            census: checkpoint.census.clone(),
            latest_census: None,
            trust,
            notes: notes.collect(),
        }
    }

    /// Ages and cohorts of all that is outstanding.
    fn survivors(
        &mut self,
        ledger: &Ledger,
        checkpoint: &Checkpoint,
        lookups: Lookups<'_>,
    ) -> (Vec<AgeBucket>, Vec<Cohort>) {
        self.allocs.report(&self.timeline, lookups.shown(ledger).map(|origin| origin.allocs).sum());
        let mut survivors = Survivors::new(&self.timeline, checkpoint.now);
        for origin in lookups.shown(ledger) {
            survivors.add(ledger, origin, lookups.cache(origin.key.cache).object_size);
        }
        (survivors.ages(), survivors.cohorts(&self.allocs))
    }
}

#[cfg(test)]
pub(super) mod tests;
