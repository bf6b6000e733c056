//! What `memtrace caches` shows, as plain data.

use std::{
    cmp::{Ordering, Reverse},
    num::NonZeroUsize,
    time::{Duration, SystemTime},
};

use super::Sort;
use crate::procfs::{
    meminfo::SlabMemory,
    slab::{
        Counts, ResolveError, SlabCache, SlabCaches,
        resolve::{Filter, no_match},
    },
};

/// What was asked for and what was read besides the caches.
#[derive(Debug)]
pub struct Request {
    pub pattern: Option<String>,
    pub sort: Sort,
    pub top: Option<NonZeroUsize>,
    pub page_size: u64,
    pub time: SystemTime,
    pub meminfo: Option<SlabMemory>,
    /// How long ago the caches had which numbers, in the order of the caches.
    pub earlier: Option<(Duration, Vec<Option<Counts>>)>,
}

#[derive(Debug)]
pub struct Report {
    pub time: SystemTime,
    pub page_size: u64,
    pub pattern: Option<String>,
    pub sort: Sort,
    pub meminfo: Option<SlabMemory>,
    /// Between the two readings; None where there was one.
    pub interval: Option<Duration>,
    /// Sorted, the first `--top` of them.
    pub rows: Vec<Row>,
    /// The rows that `--top` cut.
    pub rest: Option<Sums>,
    /// `rows` and `rest`, exactly.
    pub total: Sums,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub cache: SlabCache,
    /// Memory of all slabs.
    pub bytes: Option<u64>,
    /// None where there was one reading, or the cache is not in both.
    pub growth: Option<Growth>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    pub caches: u64,
    pub counts: Counts,
    pub bytes: u64,
    pub growth: Option<Growth>,
}

/// From the first reading to the second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    pub objects: i64,
    pub bytes: i64,
}

impl Growth {
    pub fn objects_per_s(self, interval: Duration) -> f64 {
        self.objects as f64 / interval.as_secs_f64()
    }

    pub fn bytes_per_s(self, interval: Duration) -> f64 {
        self.bytes as f64 / interval.as_secs_f64()
    }

    fn plus(self, other: Self) -> Self {
        Self {
            objects: self.objects.saturating_add(other.objects),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl Sums {
    fn of(rows: &[Row]) -> Self {
        rows.iter().fold(Self::default(), |sum, row| Self {
            caches: sum.caches + 1,
            counts: sum.counts.plus(row.cache.counts.unwrap_or_default()),
            bytes: sum.bytes.saturating_add(row.bytes.unwrap_or(0)),
            growth: match (sum.growth, row.growth) {
                (Some(a), Some(b)) => Some(a.plus(b)),
                (a, b) => a.or(b),
            },
        })
    }
}

/// Whether the pattern is valid and matches a cache.
pub fn check_pattern(request: &Request, caches: &SlabCaches) -> Result<(), ResolveError> {
    let Some(pattern) = &request.pattern else { return Ok(()) };
    let filter = Filter::new(pattern)?;
    if caches.caches.iter().any(|cache| filter.matches(cache)) {
        Ok(())
    } else {
        Err(no_match(pattern, &caches.caches))
    }
}

impl Report {
    pub fn new(request: Request, caches: SlabCaches) -> Result<Self, ResolveError> {
        check_pattern(&request, &caches)?;
        let filter = request.pattern.as_deref().map(Filter::new).transpose()?;
        let notes = caches.missing.iter().map(ToString::to_string).collect();
        let (interval, earlier) = request.earlier.unzip();
        let mut earlier = earlier.unwrap_or_default().into_iter();
        let mut rows: Vec<Row> = caches
            .caches
            .into_iter()
            .map(|cache| row(cache, earlier.next().flatten(), request.page_size))
            .filter(|row| filter.as_ref().is_none_or(|filter| filter.matches(&row.cache)))
            .collect();
        rows.sort_by(|a, b| compare(request.sort, a, b));
        let total = Sums::of(&rows);
        let cut = rows.split_off(request.top.map_or(rows.len(), |top| top.get().min(rows.len())));
        Ok(Self {
            time: request.time,
            page_size: request.page_size,
            pattern: request.pattern,
            sort: request.sort,
            meminfo: request.meminfo,
            interval,
            rest: (!cut.is_empty()).then(|| Sums::of(&cut)),
            rows,
            total,
            notes,
        })
    }
}

fn row(cache: SlabCache, earlier: Option<Counts>, page_size: u64) -> Row {
    let growth = cache.counts.zip(earlier).map(|(now, then)| Growth {
        objects: difference(now.active_objects, then.active_objects),
        bytes: difference(now.bytes(page_size), then.bytes(page_size)),
    });
    Row { bytes: cache.counts.map(|counts| counts.bytes(page_size)), cache, growth }
}

fn difference(now: u64, then: u64) -> i64 {
    now.wrapping_sub(then).cast_signed()
}

/// Biggest first; what is unknown comes last, equals by memory, then by name.
fn compare(sort: Sort, a: &Row, b: &Row) -> Ordering {
    let objects = |row: &Row| row.cache.counts.map(|counts| counts.active_objects);
    let growth = |row: &Row| row.growth.map(|growth| (growth.bytes, growth.objects));
    let by_key = match sort {
        Sort::Bytes => Reverse(a.bytes).cmp(&Reverse(b.bytes)),
        Sort::Objects => Reverse(objects(a)).cmp(&Reverse(objects(b))),
        Sort::Growth => Reverse(growth(a)).cmp(&Reverse(growth(b))),
        Sort::Size => Reverse(a.cache.slab_size).cmp(&Reverse(b.cache.slab_size)),
        Sort::Name => Ordering::Equal,
    };
    let by_memory =
        || if sort == Sort::Name { Ordering::Equal } else { Reverse(a.bytes).cmp(&Reverse(b.bytes)) };
    by_key.then_with(by_memory).then_with(|| a.cache.name.cmp(&b.cache.name))
}
