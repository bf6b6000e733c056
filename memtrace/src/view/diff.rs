//! What is outstanding in one report and was not in another: by the same keys, and by slab cache.
//!
//! Rows are the same where they are called the same. What speaks against that, or against comparing the two at all, is said in
//! notes: nothing is refused but reports by different keys.

mod notes;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use super::{Ancestors, By, CacheTotals, Keys, NameGroup, Row, Sampling, Snapshot, Sort, Trust, Verdict};

/// Reports that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "rows are by {before} before and by {after} after, and cannot be compared: use the same --by for both"
)]
pub struct DifferentKeys {
    pub before: String,
    pub after: String,
}

/// A report, and what it does not say itself.
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
    /// So many rows at most; None: all.
    pub top: Option<usize>,
}

/// What changed between two reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub before: Side,
    pub after: Side,
    pub by: Keys,
    pub sort: Sort,
    /// Of all rows added up, those too that are not below.
    pub total: Change,
    /// Those that changed, the first `top` of them.
    pub rows: Vec<RowChange>,
    /// How many hold what they held.
    pub unchanged: u64,
    /// Rows that were cut, here or in the reports, added up; None where they are all there, or come to the same.
    pub rest: Option<RestChange>,
    /// All that changed.
    pub caches: Vec<CacheChange>,
    /// One sentence each: what speaks against comparing the two.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    fn plus(self, other: Self) -> Self {
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

    fn is_none(&self) -> bool {
        self.before == self.after
    }

    pub fn plus(self, other: Self) -> Self {
        Change { before: self.before.plus(other.before), after: self.after.plus(other.after) }
    }
}

impl Rates {
    fn plus(self, other: Self) -> Self {
        Rates {
            allocs: self.allocs + other.allocs,
            frees: self.frees + other.frees,
            growth: self.growth + other.growth,
        }
    }

    fn of_cache(cache: &CacheTotals, elapsed: Duration) -> Self {
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

/// What is outstanding after and was not before.
pub fn difference(before: Taken<'_>, after: Taken<'_>, order: Order) -> Result<Difference, DifferentKeys> {
    let by = &after.snapshot.by;
    if before.snapshot.by != *by {
        return Err(DifferentKeys { before: before.snapshot.by.names(), after: by.names() });
    }
    let cut = RestChange {
        rows: rows_cut(before.snapshot).max(rows_cut(after.snapshot)),
        change: Change { before: held_cut(before.snapshot), after: held_cut(after.snapshot) },
    };
    let all = row_changes(&before.snapshot.rows, &after.snapshot.rows);
    let total = all.iter().map(|row| row.change).fold(cut.change, Change::plus);
    let (mut rows, unchanged): (Vec<_>, Vec<_>) = all.into_iter().partition(|row| !row.change.is_none());
    sort_rows(&mut rows, order.sort);
    let hidden = rows.split_off(order.top.unwrap_or(usize::MAX).min(rows.len()));
    let rest = hidden.iter().fold(cut, |rest, row| RestChange {
        rows: rest.rows.saturating_add(1),
        change: rest.change.plus(row.change),
    });
    Ok(Difference {
        before: Side::from(&before),
        after: Side::from(&after),
        by: by.clone(),
        sort: order.sort,
        total,
        unchanged: unchanged.len() as u64,
        rest: (!hidden.is_empty() || !rest.change.is_none()).then_some(rest),
        caches: cache_changes(before.snapshot, after.snapshot, order.sort),
        notes: notes::all(&before, &after, &rows),
        rows,
    })
}

fn rows_cut(snapshot: &Snapshot) -> u64 {
    snapshot.rest.map_or(0, |rest| rest.rows)
}

fn held_cut(snapshot: &Snapshot) -> Held {
    snapshot.rest.map_or_else(Held::default, |rest| Held { objects: rest.objects, bytes: rest.bytes })
}

/// All that is called the same in one report, added up: a process id may have been used twice, and two caches have one name.
struct Sum<'a, T> {
    held: Held,
    rates: Rates,
    /// The one that holds most.
    most: &'a T,
    most_bytes: u64,
}

/// Sums of one report by what they are called.
fn sums<'a, T, K: Eq + Hash>(
    all: &'a [T],
    key: impl Fn(&'a T) -> K,
    facts: impl Fn(&T) -> (Held, Rates),
) -> HashMap<K, Sum<'a, T>> {
    let mut sums: HashMap<K, Sum<'a, T>> = HashMap::with_capacity(all.len());
    for one in all {
        let (held, rates) = facts(one);
        let new = || Sum { held: Held::default(), rates: Rates::default(), most: one, most_bytes: 0 };
        let sum = sums.entry(key(one)).or_insert_with(new);
        sum.held = sum.held.plus(held);
        sum.rates = sum.rates.plus(rates);
        if held.bytes > sum.most_bytes {
            (sum.most, sum.most_bytes) = (one, held.bytes);
        }
    }
    sums
}

/// What is called the same in both reports, beside each other.
type Pair<'a, T> = (Option<Sum<'a, T>>, Option<Sum<'a, T>>);

fn pairs<'a, T, K: Eq + Hash>(
    mut before: HashMap<K, Sum<'a, T>>,
    after: HashMap<K, Sum<'a, T>>,
) -> Vec<Pair<'a, T>> {
    let mut pairs: Vec<Pair<'a, T>> =
        after.into_iter().map(|(key, after)| (before.remove(&key), Some(after))).collect();
    pairs.extend(before.into_values().map(|before| (Some(before), None)));
    pairs
}

fn change<T>((before, after): &Pair<'_, T>) -> Change {
    let held = |sum: &Option<Sum<'_, T>>| sum.as_ref().map_or_else(Held::default, |sum| sum.held);
    Change { before: held(before), after: held(after) }
}

fn seen<T>(pair: &Pair<'_, T>) -> Seen {
    match pair {
        (Some(_), None) => Seen::Before,
        (None, _) => Seen::After,
        (Some(_), Some(_)) => Seen::Both,
    }
}

fn row_changes(before: &[Row], after: &[Row]) -> Vec<RowChange> {
    let facts = |row: &Row| {
        let rates = Rates { allocs: row.allocs_per_s, frees: row.frees_per_s, growth: row.growth_per_s };
        (Held { objects: row.objects, bytes: row.bytes }, rates)
    };
    let of = |rows| sums(rows, |row: &Row| row.keys.as_slice(), facts);
    let of_pair = |pair: Pair<'_, Row>| {
        let latest = pair.1.as_ref().or(pair.0.as_ref())?.most;
        Some(RowChange {
            keys: latest.keys.clone(),
            seen: seen(&pair),
            change: change(&pair),
            rates_before: pair.0.as_ref().map(|sum| sum.rates),
            rates_after: pair.1.as_ref().map(|sum| sum.rates),
            comm: latest.comm.clone(),
            place: latest.names.first().cloned(),
            started_by: latest.started_by.first().cloned(),
        })
    };
    pairs(of(before), of(after)).into_iter().filter_map(of_pair).collect()
}

fn cache_changes(before: &Snapshot, after: &Snapshot, sort: Sort) -> Vec<CacheChange> {
    let of = |snapshot| {
        let Snapshot { caches, elapsed, .. }: &Snapshot = snapshot;
        let facts = |cache: &CacheTotals| {
            let held = Held { objects: cache.outstanding_objects, bytes: cache.outstanding_bytes };
            (held, Rates::of_cache(cache, *elapsed))
        };
        sums(caches, |cache: &CacheTotals| cache.name.as_str(), facts)
    };
    let of_pair = |pair: Pair<'_, CacheTotals>| {
        let most = [&pair.0, &pair.1].map(|sum| sum.as_ref().map(|sum| sum.most));
        Some(CacheChange {
            name: most[1].or(most[0])?.name.clone(),
            seen: seen(&pair),
            change: change(&pair),
            rates_before: pair.0.as_ref().map(|sum| sum.rates),
            rates_after: pair.1.as_ref().map(|sum| sum.rates),
            slabinfo_before: most[0].and_then(|cache| cache.slabinfo_objects),
            slabinfo_after: most[1].and_then(|cache| cache.slabinfo_objects),
            is_partial: most.iter().flatten().any(|cache| cache.partial.is_some()),
        })
    };
    let mut changes: Vec<CacheChange> =
        pairs(of(before), of(after)).into_iter().filter_map(of_pair).collect();
    changes.retain(|cache| !cache.change.is_none());
    changes
        .sort_by(|a, b| size(&b.change, sort).cmp(&size(&a.change, sort)).then_with(|| a.name.cmp(&b.name)));
    changes
}

fn sort_rows(rows: &mut [RowChange], sort: Sort) {
    // A stable sort: what is called for comes last.
    rows.sort_by(|a, b| a.keys.cmp(&b.keys));
    rows.sort_by_key(|row| Reverse(size(&row.change, sort)));
    if sort == Sort::Growth {
        rows.sort_by(|a, b| b.growth_change().abs().total_cmp(&a.growth_change().abs()));
    }
}

/// How much changed, up or down, so that a difference and its reverse have the same order.
fn size(change: &Change, sort: Sort) -> (u64, u64) {
    let (objects, bytes) = (change.objects().unsigned_abs(), change.bytes().unsigned_abs());
    if sort == Sort::Objects { (objects, bytes) } else { (bytes, objects) }
}

fn grown(before: u64, after: u64) -> i64 {
    let size = i64::try_from(before.abs_diff(after)).unwrap_or(i64::MAX);
    if after < before { -size } else { size }
}

fn share(before: u64, after: u64) -> Option<f64> {
    (before > 0).then(|| (after as f64 - before as f64) / before as f64)
}
