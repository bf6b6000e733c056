//! What changed between two reports, as JSON. docs/json.md describes it and docs/diff.schema.json is its schema.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    Ancestors, KEYS_BETWEEN, Sampling, Trust, finite, names::Names, nanos, rfc3339, sort, verdict::Verdict,
};
use crate::{
    text::escape,
    view::{
        self,
        diff::{self, Seen},
    },
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

#[derive(Serialize)]
pub(in crate::output) struct Difference<'a> {
    #[serde(flatten)]
    pub(in crate::output) header: Header<'a>,
    pub(in crate::output) total: Change,
    pub(in crate::output) caches: Vec<Cache<'a>>,
    pub(in crate::output) rows: Vec<Row<'a>>,
    pub(in crate::output) rest: Option<Rest>,
    pub(in crate::output) notes: &'a [String],
}

/// What is said once.
#[derive(Serialize)]
pub(in crate::output) struct Header<'a> {
    r#type: &'static str,
    version: u32,
    by: String,
    sort: &'static str,
    before: Side<'a>,
    after: Side<'a>,
    unchanged_rows: u64,
}

#[derive(Serialize)]
struct Side<'a> {
    label: Cow<'a, str>,
    boot: Option<&'a str>,
    filters: Option<&'a str>,
    host: &'a str,
    kernel: &'a str,
    time: String,
    elapsed_ns: u64,
    older_ns: Option<u64>,
    sampling: Sampling,
    verdict: Option<Verdict<'a>>,
    trust: Trust,
}

#[derive(Serialize)]
pub(in crate::output) struct Change {
    objects_before: u64,
    objects_after: u64,
    objects_change: i64,
    objects_change_share: Option<f64>,
    bytes_before: u64,
    bytes_after: u64,
    bytes_change: i64,
    bytes_change_share: Option<f64>,
}

#[derive(Serialize)]
struct Rates {
    allocs_per_s: f64,
    frees_per_s: f64,
    growth_per_s: f64,
}

#[derive(Serialize)]
pub(in crate::output) struct Row<'a> {
    key: Cow<'a, str>,
    keys: Vec<Cow<'a, str>>,
    seen: &'static str,
    #[serde(flatten)]
    change: Change,
    before: Option<Rates>,
    after: Option<Rates>,
    growth_per_s_change: f64,
    comm: Option<Cow<'a, str>>,
    place: Option<Names<'a>>,
    started_by: Option<Ancestors<'a>>,
}

#[derive(Serialize)]
pub(in crate::output) struct Cache<'a> {
    name: &'a str,
    seen: &'static str,
    #[serde(flatten)]
    change: Change,
    before: Option<Rates>,
    after: Option<Rates>,
    slabinfo_objects_before: Option<u64>,
    slabinfo_objects_after: Option<u64>,
    partial: bool,
}

#[derive(Serialize)]
pub(in crate::output) struct Rest {
    rows: u64,
    #[serde(flatten)]
    change: Change,
}

impl<'a> From<&'a view::Difference> for Difference<'a> {
    fn from(difference: &'a view::Difference) -> Self {
        Difference {
            header: Header {
                r#type: "diff",
                version: VERSION,
                by: difference.by.names(),
                sort: sort(difference.sort),
                before: Side::from(&difference.before),
                after: Side::from(&difference.after),
                unchanged_rows: difference.unchanged,
            },
            total: Change::from(&difference.total),
            caches: difference.caches.iter().map(Cache::from).collect(),
            rows: difference.rows.iter().map(Row::from).collect(),
            rest: difference.rest.map(|rest| Rest { rows: rest.rows, change: Change::from(&rest.change) }),
            notes: &difference.notes,
        }
    }
}

impl<'a> From<&'a diff::Side> for Side<'a> {
    fn from(side: &'a diff::Side) -> Self {
        Side {
            label: escape::json(&side.label),
            boot: side.boot.as_deref(),
            filters: Some(side.filters.as_str()).filter(|filters| !filters.is_empty()),
            host: &side.host,
            kernel: &side.kernel,
            time: rfc3339(side.time),
            elapsed_ns: nanos(side.elapsed),
            older_ns: side.older.map(nanos),
            sampling: Sampling { period: side.sampling.period },
            verdict: side.verdict.as_ref().map(Verdict::from),
            trust: Trust::from(&side.trust),
        }
    }
}

impl From<&diff::Change> for Change {
    fn from(change: &diff::Change) -> Self {
        let diff::Change { before, after } = change;
        Change {
            objects_before: before.objects,
            objects_after: after.objects,
            objects_change: change.objects(),
            objects_change_share: change.objects_share(),
            bytes_before: before.bytes,
            bytes_after: after.bytes,
            bytes_change: change.bytes(),
            bytes_change_share: change.bytes_share(),
        }
    }
}

impl From<diff::Rates> for Rates {
    fn from(rates: diff::Rates) -> Self {
        Rates {
            allocs_per_s: finite(rates.allocs),
            frees_per_s: finite(rates.frees),
            growth_per_s: finite(rates.growth),
        }
    }
}

impl<'a> From<&'a diff::RowChange> for Row<'a> {
    fn from(row: &'a diff::RowChange) -> Self {
        let keys: Vec<Cow<'_, str>> = row.keys.iter().map(|key| escape::json(key)).collect();
        Row {
            key: Cow::Owned(keys.join(KEYS_BETWEEN)),
            keys,
            seen: seen(row.seen),
            change: Change::from(&row.change),
            before: row.rates_before.map(Rates::from),
            after: row.rates_after.map(Rates::from),
            growth_per_s_change: finite(row.growth_change()),
            comm: row.comm.as_deref().map(escape::json),
            place: row.place.as_ref().map(Names::from),
            started_by: row.started_by.as_ref().map(Ancestors::from),
        }
    }
}

impl<'a> From<&'a diff::CacheChange> for Cache<'a> {
    fn from(cache: &'a diff::CacheChange) -> Self {
        Cache {
            name: &cache.name,
            seen: seen(cache.seen),
            change: Change::from(&cache.change),
            before: cache.rates_before.map(Rates::from),
            after: cache.rates_after.map(Rates::from),
            slabinfo_objects_before: cache.slabinfo_before,
            slabinfo_objects_after: cache.slabinfo_after,
            partial: cache.is_partial,
        }
    }
}

pub(in crate::output) fn seen(seen: Seen) -> &'static str {
    match seen {
        Seen::Both => "both",
        Seen::Before => "before",
        Seen::After => "after",
    }
}

#[cfg(test)]
mod tests;
