//! What is outstanding in one report and was not in another: by the same keys, and by slab cache.
//!
//! Rows with the same keys are the same row. Notes say why that may not hold, or why the two may not be comparable. Only
//! reports by different keys are refused.

mod change;
mod notes;
#[cfg(test)]
mod tests;

use std::{cmp::Reverse, collections::HashMap, hash::Hash};

pub use self::change::{
    CacheChange, Change, Difference, DifferentKeys, Held, Order, Rates, RestChange, RowChange, Seen, Side,
    Taken,
};
use super::{
    census::compare::compare,
    snapshot::{CacheTotals, Row, Snapshot, Sort},
};

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
        census: before
            .snapshot
            .census
            .as_deref()
            .zip(after.snapshot.census.as_deref())
            .and_then(|(before, after)| compare(before, after)),
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

/// The sum of rows with the same key in one report: a process id may have been reused, and two caches may have one name.
struct Sum<'a, T> {
    held: Held,
    rates: Rates,
    /// The one that holds most.
    most: &'a T,
    most_bytes: u64,
}

/// Sums of one report by key.
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

/// The sums of one key in both reports.
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
    // Stable sorts: the order that the user asked for comes last.
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
