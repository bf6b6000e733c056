//! What changed between two reports, as plain data.

use std::time::{Duration, SystemTime};

use crate::view::{
    census::Comparison,
    checkpoint::Trust,
    finding::Verdict,
    key::Keys,
    names::NameGroup,
    sampling::Sampling,
    snapshot::{Ancestors, CacheTotals, Snapshot, Sort},
};

/// Reports that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot compare rows by {before} with rows by {after}: use the same --by for both")]
pub struct DifferentKeys {
    pub before: String,
    pub after: String,
}

/// A report, and what it does not contain.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    pub snapshot: &'a Snapshot,
    /// What it is called: its file, its window.
    pub label: &'a [u8],
    /// Which boot of its host it was taken in; None where that is not known.
    pub boot: Option<&'a str>,
    /// What was traced, as it is written on the command line; empty where all was.
    pub filters: &'a str,
}

/// Which rows are shown.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The greatest change of it comes first, up or down. By age, of which there is no change, rows are ordered by bytes.
    pub sort: Sort,
    /// Rows at most; None: all.
    pub top: Option<usize>,
}

/// What changed between two reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub before: Side,
    pub after: Side,
    pub by: Keys,
    pub sort: Sort,
    /// Of all rows, including those that are not below.
    pub total: Change,
    /// Those that changed, the first `top` of them.
    pub rows: Vec<RowChange>,
    /// Rows that hold what they held before.
    pub unchanged: u64,
    /// The sum of rows that were cut, here or in the reports; None where none were cut, or they add up to no change.
    pub rest: Option<RestChange>,
    /// All that changed.
    pub caches: Vec<CacheChange>,
    /// What was there when the sessions began. None where that is not known of both, or is the same.
    pub census: Option<Comparison>,
    /// One sentence each: why the two may not be comparable.
    pub notes: Vec<String>,
}

/// One of the two reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    pub label: Vec<u8>,
    pub boot: Option<String>,
    pub filters: String,
    pub host: String,
    pub kernel: String,
    pub time: SystemTime,
    pub elapsed: Duration,
    pub older: Option<Duration>,
    pub sampling: Sampling,
    pub trust: Trust,
    pub verdict: Option<Verdict>,
}

/// What is outstanding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub objects: u64,
    pub bytes: u64,
}

/// What was outstanding before, and what is after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub before: Held,
    pub after: Held,
}

/// Objects per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub allocs: f64,
    pub frees: f64,
    pub growth: f64,
}

/// In which of the reports something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum Seen {
    #[default]
    Both,
    Before,
    After,
}

/// A row that changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowChange {
    pub keys: Vec<Vec<u8>>,
    pub seen: Seen,
    pub change: Change,
    /// None where the row is not in that report.
    pub rates_before: Option<Rates>,
    pub rates_after: Option<Rates>,
    /// The rest is of the later report that the row is in.
    pub comm: Option<Vec<u8>>,
    /// What most of its objects are called, and where they are.
    pub place: Option<NameGroup>,
    /// Who started most of its processes.
    pub started_by: Option<Ancestors>,
}

/// Rows that are not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestChange {
    pub rows: u64,
    pub change: Change,
}

/// A slab cache that changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheChange {
    pub name: String,
    pub seen: Seen,
    /// What is outstanding.
    pub change: Change,
    /// On average since attach. None where the cache is not in that report.
    pub rates_before: Option<Rates>,
    pub rates_after: Option<Rates>,
    /// All objects by slabinfo, also those from before attach.
    pub slabinfo_before: Option<u64>,
    pub slabinfo_after: Option<u64>,
    /// In one of the reports, some of its frees are not seen: what is outstanding may be free.
    pub is_partial: bool,
}

impl Held {
    pub fn plus(self, other: Self) -> Self {
        Held {
            objects: self.objects.saturating_add(other.objects),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl Change {
    pub fn objects(&self) -> i64 {
        grown(self.before.objects, self.after.objects)
    }

    pub fn bytes(&self) -> i64 {
        grown(self.before.bytes, self.after.bytes)
    }

    /// Of what was there before: 0.5 for half as much again, -1.0 where nothing is left. None where there was nothing.
    pub fn objects_share(&self) -> Option<f64> {
        share(self.before.objects, self.after.objects)
    }

    pub fn bytes_share(&self) -> Option<f64> {
        share(self.before.bytes, self.after.bytes)
    }

    pub fn is_none(&self) -> bool {
        self.before == self.after
    }

    pub fn plus(self, other: Self) -> Self {
        Change { before: self.before.plus(other.before), after: self.after.plus(other.after) }
    }
}

impl Rates {
    pub fn plus(self, other: Self) -> Self {
        Rates {
            allocs: self.allocs + other.allocs,
            frees: self.frees + other.frees,
            growth: self.growth + other.growth,
        }
    }

    pub fn of_cache(cache: &CacheTotals, elapsed: Duration) -> Self {
        let per_s = |events: u64| {
            let rate = events as f64 / elapsed.as_secs_f64();
            if rate.is_finite() { rate } else { 0.0 }
        };
        let (allocs, frees) = (per_s(cache.allocs), per_s(cache.frees));
        Rates { allocs, frees, growth: allocs - frees }
    }
}

impl RowChange {
    /// How much faster it grows than it did.
    pub fn growth_change(&self) -> f64 {
        let growth = |rates: Option<Rates>| rates.unwrap_or_default().growth;
        growth(self.rates_after) - growth(self.rates_before)
    }
}

impl From<&Taken<'_>> for Side {
    fn from(taken: &Taken<'_>) -> Self {
        let Taken { snapshot, label, boot, filters } = taken;
        Side {
            label: label.to_vec(),
            boot: boot.map(str::to_owned),
            filters: (*filters).to_owned(),
            host: snapshot.host.clone(),
            kernel: snapshot.kernel.clone(),
            time: snapshot.time,
            elapsed: snapshot.elapsed,
            older: snapshot.older,
            sampling: snapshot.sampling,
            trust: snapshot.trust,
            verdict: snapshot.verdict.clone(),
        }
    }
}

fn grown(before: u64, after: u64) -> i64 {
    let size = i64::try_from(before.abs_diff(after)).unwrap_or(i64::MAX);
    if after < before { -size } else { size }
}

fn share(before: u64, after: u64) -> Option<f64> {
    (before > 0).then(|| (after as f64 - before as f64) / before as f64)
}
