//! What changed between two reports, as JSON. docs/json.md describes it and docs/diff.schema.json is its schema.

use std::borrow::Cow;

use super::{
    Ancestors, KEYS_BETWEEN, Sampling, Trust, all, finite, names::Names, nanos, objects, texts,
    verdict::Verdict,
};
use crate::{
    text::{escape, time::rfc3339},
    view::{
        self,
        census::{Payer, compare},
        diff,
    },
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

objects! {
    pub(in crate::output) struct Difference<'a> of difference: &'a view::Difference {
        #[serde(flatten)]
        pub(in crate::output) header: Header<'a> = Header::of(difference),
        pub(in crate::output) total: Change = Change::of(&difference.total),
        pub(in crate::output) caches: Vec<Cache<'a>> = all(&difference.caches, Cache::of),
        pub(in crate::output) rows: Vec<Row<'a>> = all(&difference.rows, Row::of),
        pub(in crate::output) rest: Option<Rest> = difference.rest.as_ref().map(Rest::of),
        /// What was there when the sessions began.
        pub(in crate::output) census: Option<Comparison<'a>> = difference.census.as_ref().map(Comparison::of),
        pub(in crate::output) notes: &'a [String] = &difference.notes,
    }

    /// What is said once.
    pub(in crate::output) struct Header<'a> of difference: &'a view::Difference {
        r#type: &'static str = "diff",
        version: u32 = VERSION,
        by: String = difference.by.names(),
        sort: &'static str = difference.sort.into_str(),
        before: Side<'a> = Side::of(&difference.before),
        after: Side<'a> = Side::of(&difference.after),
        unchanged_rows: u64 = difference.unchanged,
    }

    struct Side<'a> of side: &'a diff::Side {
        label: Cow<'a, str> = escape::json(&side.label),
        boot: Option<&'a str> = side.boot.as_deref(),
        filters: Option<&'a str> = Some(side.filters.as_str()).filter(|filters| !filters.is_empty()),
        host: &'a str = &side.host,
        kernel: &'a str = &side.kernel,
        time: String = rfc3339(side.time),
        elapsed_ns: u64 = nanos(side.elapsed),
        older_ns: Option<u64> = side.older.map(nanos),
        sampling: Sampling = Sampling::of(side.sampling),
        verdict: Option<Verdict<'a>> = side.verdict.as_ref().map(Verdict::of),
        trust: Trust = Trust::of(&side.trust),
    }

    pub(in crate::output) struct Change of change: &diff::Change {
        objects_before: u64 = change.before.objects,
        objects_after: u64 = change.after.objects,
        objects_change: i64 = change.objects(),
        objects_change_share: Option<f64> = change.objects_share(),
        bytes_before: u64 = change.before.bytes,
        bytes_after: u64 = change.after.bytes,
        bytes_change: i64 = change.bytes(),
        bytes_change_share: Option<f64> = change.bytes_share(),
    }

    struct Rates of rates: diff::Rates {
        allocs_per_s: f64 = finite(rates.allocs),
        frees_per_s: f64 = finite(rates.frees),
        growth_per_s: f64 = finite(rates.growth),
    }

    pub(in crate::output) struct Row<'a> of row: &'a diff::RowChange {
        key: Cow<'a, str> = Cow::Owned(texts(&row.keys).join(KEYS_BETWEEN)),
        keys: Vec<Cow<'a, str>> = texts(&row.keys),
        seen: &'static str = row.seen.into_str(),
        #[serde(flatten)]
        change: Change = Change::of(&row.change),
        before: Option<Rates> = row.rates_before.map(Rates::of),
        after: Option<Rates> = row.rates_after.map(Rates::of),
        growth_per_s_change: f64 = finite(row.growth_change()),
        comm: Option<Cow<'a, str>> = row.comm.as_deref().map(escape::json),
        place: Option<Names<'a>> = row.place.as_ref().map(Names::of),
        started_by: Option<Ancestors<'a>> = row.started_by.as_ref().map(Ancestors::of),
    }

    pub(in crate::output) struct Cache<'a> of cache: &'a diff::CacheChange {
        name: &'a str = &cache.name,
        seen: &'static str = cache.seen.into_str(),
        #[serde(flatten)]
        change: Change = Change::of(&cache.change),
        before: Option<Rates> = cache.rates_before.map(Rates::of),
        after: Option<Rates> = cache.rates_after.map(Rates::of),
        slabinfo_objects_before: Option<u64> = cache.slabinfo_before,
        slabinfo_objects_after: Option<u64> = cache.slabinfo_after,
        partial: bool = cache.is_partial,
    }

    pub(in crate::output) struct Rest of rest: &diff::RestChange {
        rows: u64,
        #[serde(flatten)]
        change: Change = Change::of(&rest.change),
    }
}

objects! {
    pub(in crate::output) struct Comparison<'a> of census: &'a compare::Comparison {
        bytes_before: u64,
        bytes_after: u64,
        /// Those that changed by more than chance explains.
        rows: Vec<CensusRow<'a>> = all(&census.rows, CensusRow::of),
    }

    struct CensusRow<'a> of row: &'a compare::RowChange {
        cache: Option<&'a str> = row.cache.as_deref(),
        cgroup: Option<Cow<'a, str>> = row.cgroup.as_deref().map(escape::json),
        removed: bool = matches!(row.payer, Some(Payer::RemovedOf(_))),
        path: Option<Cow<'a, str>> = row.place.as_ref().map(|place| escape::json(&place.directory)),
        pattern: Option<Cow<'a, str>> = row.place.as_ref().map(|place| escape::json(&place.pattern)),
        bytes_before: u64 = row.before.bytes,
        bytes_before_ci95: (u64, u64) = row.before.ci95,
        bytes_after: u64 = row.after.bytes,
        bytes_after_ci95: (u64, u64) = row.after.ci95,
    }
}

#[cfg(test)]
mod tests;
