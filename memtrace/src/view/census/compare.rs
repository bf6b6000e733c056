//! Two censuses: what is there after, and was not before.

use std::{cmp::Reverse, collections::HashMap};

use super::{
    By, Census, Interval, Row,
    check::Told,
    traits::{Content, Kind, Payer, Place},
};

/// How they differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Rows that changed by more than chance explains, the largest changes first.
    pub rows: Vec<RowChange>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    pub cache: Option<String>,
    pub cgroup: Option<Vec<u8>>,
    pub payer: Option<Payer>,
    pub place: Option<Place>,
    pub kind: Option<Kind>,
    pub before: Estimate,
    pub after: Estimate,
}

/// Of a row that was not seen, up to what it may have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    pub bytes: u64,
    pub ci95: Interval<u64>,
}

impl RowChange {
    pub fn bytes(&self) -> i64 {
        self.after.bytes.cast_signed().saturating_sub(self.before.bytes.cast_signed())
    }

    /// The two intervals have nothing in common.
    fn is_sure(&self) -> bool {
        self.before.ci95.1 < self.after.ci95.0 || self.after.ci95.1 < self.before.ci95.0
    }
}

/// What makes rows of two censuses the same. Numbers of cgroups are others after the next start; their paths stay.
#[derive(PartialEq, Eq, Hash)]
struct Identity<'a> {
    cache: Option<&'a str>,
    payer: Option<(u8, Option<&'a [u8]>)>,
    place: Option<&'a Place>,
    filesystem: Option<&'a [u8]>,
    uid: Option<u32>,
    node: Option<u16>,
    kind: Option<Kind>,
}

/// None where rows stand for different things, or both are the same census.
pub fn compare(before: &Census, after: &Census) -> Option<Comparison> {
    if before.by != after.by || before == after {
        return None;
    }
    let (was, is) = (by_identity(before), by_identity(after));
    let mut rows: Vec<RowChange> = is
        .iter()
        .map(|(key, row)| change(row, estimate(was.get(key).copied(), before, key), of(row), after))
        .collect();
    let gone = was.iter().filter(|(key, _)| !is.contains_key(key));
    rows.extend(gone.map(|(key, row)| change(row, of(row), estimate(None, after, key), before)));
    rows.retain(RowChange::is_sure);
    rows.sort_by(|a, b| {
        let size = |row: &RowChange| Reverse(row.bytes().unsigned_abs());
        size(a).cmp(&size(b)).then_with(|| (&a.cache, &a.place).cmp(&(&b.cache, &b.place)))
    });
    Some(Comparison { bytes_before: before.bytes(), bytes_after: after.bytes(), rows })
}

/// Directories that stand for what is below them are other ones each time.
fn by_identity(census: &Census) -> HashMap<Identity<'_>, &Row> {
    let is_one = |row: &&Row| {
        row.traits.content == Content::Object
            && !row.traits.place.as_ref().is_some_and(|place| place.is_below)
    };
    census.rows.iter().filter(is_one).map(|row| (identity(row, census), row)).collect()
}

fn identity<'a>(row: &'a Row, census: &'a Census) -> Identity<'a> {
    let has = |by: By| census.by.contains(&by);
    let traits = &row.traits;
    let payer = |payer| match payer {
        Payer::Nobody => (0, None),
        Payer::Cgroup(_) => (1, row.cgroup.as_deref()),
        Payer::RemovedOf(_) => (2, row.cgroup.as_deref()),
        Payer::Unknown => (3, None),
    };
    Identity {
        cache: census.cache(row).filter(|_| has(By::Cache)).map(|cache| cache.name.as_str()),
        payer: traits.payer.filter(|_| has(By::Cgroup)).map(payer),
        place: traits.place.as_ref().filter(|_| has(By::Place)),
        filesystem: traits.filesystem.as_deref().filter(|_| has(By::Filesystem)),
        uid: traits.uid.filter(|_| has(By::Uid)),
        node: traits.node.filter(|_| has(By::Node)),
        kind: traits.kind.filter(|_| has(By::Kind)),
    }
}

fn change(row: &Row, before: Estimate, after: Estimate, census: &Census) -> RowChange {
    RowChange {
        cache: census.cache(row).map(|cache| cache.name.clone()),
        cgroup: row.cgroup.clone(),
        payer: row.traits.payer,
        place: row.traits.place.clone(),
        kind: row.traits.kind,
        before,
        after,
    }
}

fn of(row: &Row) -> Estimate {
    Estimate { bytes: row.bytes, ci95: row.bytes_ci95 }
}

/// A row that is not there is less than what would have been seen. Of a cache that tells nothing, anything.
fn estimate(row: Option<&Row>, census: &Census, key: &Identity<'_>) -> Estimate {
    if let Some(row) = row {
        return of(row);
    }
    let most = |told: Told, bytes: u64| match told {
        Told::Rows { unseen } => (unseen * bytes as f64).ceil() as u64,
        Told::TooFew { .. } | Told::Doubted { .. } => bytes,
    };
    let is_its = |name: &str| key.cache.is_none_or(|cache| cache == name);
    let caches = census.caches.iter().filter(|cache| is_its(&cache.name));
    Estimate { bytes: 0, ci95: (0, caches.map(|cache| most(cache.told, cache.bytes)).sum()) }
}
