//! The list of caches as one JSON object with exact numbers. The keys mean what they mean in the live session's
//! objects: `object_size` is the memory that one object takes, padding included.

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::ValueEnum;
use serde::Serialize;

use super::report::{Growth, Report, Row, Sums};
use crate::text::time::rfc3339;

#[derive(Serialize)]
struct Caches<'a> {
    r#type: &'static str,
    version: u32,
    time: String,
    page_size: u64,
    /// Between the two readings that `growth` comes from.
    interval_ns: Option<u128>,
    pattern: Option<&'a str>,
    sort: String,
    meminfo: Option<Meminfo>,
    caches: Vec<Cache<'a>>,
    rest: Option<Totals>,
    total: Totals,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Meminfo {
    slab: u64,
    sreclaimable: u64,
    sunreclaim: u64,
}

#[derive(Serialize)]
struct Cache<'a> {
    name: &'a str,
    aliases: &'a [String],
    object_size: Option<u64>,
    /// What the cache's user asked for.
    requested_size: Option<u64>,
    reclaimable: Option<bool>,
    active_objects: Option<u64>,
    total_objects: Option<u64>,
    slabs: Option<u64>,
    pages: Option<u64>,
    bytes: Option<u64>,
    growth: Option<Change>,
}

#[derive(Serialize)]
struct Totals {
    caches: u64,
    active_objects: u64,
    total_objects: u64,
    slabs: u64,
    pages: u64,
    bytes: u64,
    growth: Option<Change>,
}

#[derive(Serialize)]
struct Change {
    objects: i64,
    bytes: i64,
    objects_per_s: f64,
    bytes_per_s: f64,
}

pub fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let interval = report.interval;
    let object = Caches {
        r#type: "caches",
        version: 1,
        time: rfc3339(report.time),
        page_size: report.page_size,
        interval_ns: interval.map(|interval| interval.as_nanos()),
        pattern: report.pattern.as_deref(),
        sort: report.sort.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default(),
        meminfo: report.meminfo.map(|info| Meminfo {
            slab: info.slab,
            sreclaimable: info.sreclaimable,
            sunreclaim: info.sunreclaim,
        }),
        caches: report.rows.iter().map(|row| cache(row, interval)).collect(),
        rest: report.rest.map(|rest| totals(rest, interval)),
        total: totals(report.total, interval),
        notes: &report.notes,
    };
    serde_json::to_writer(&mut *out, &object)?;
    out.write_all(b"\n")
}

fn cache(row: &Row, interval: Option<Duration>) -> Cache<'_> {
    let cache = &row.cache;
    let counts = cache.counts;
    Cache {
        name: &cache.name,
        aliases: &cache.aliases,
        object_size: cache.slab_size,
        requested_size: cache.object_size,
        reclaimable: cache.reclaimable,
        active_objects: counts.map(|counts| counts.active_objects),
        total_objects: counts.map(|counts| counts.total_objects),
        slabs: counts.map(|counts| counts.slabs),
        pages: counts.map(|counts| counts.pages),
        bytes: row.bytes,
        growth: change(row.growth, interval),
    }
}

fn totals(sums: Sums, interval: Option<Duration>) -> Totals {
    Totals {
        caches: sums.caches,
        active_objects: sums.counts.active_objects,
        total_objects: sums.counts.total_objects,
        slabs: sums.counts.slabs,
        pages: sums.counts.pages,
        bytes: sums.bytes,
        growth: change(sums.growth, interval),
    }
}

fn change(growth: Option<Growth>, interval: Option<Duration>) -> Option<Change> {
    growth.zip(interval).map(|(growth, interval)| Change {
        objects: growth.objects,
        bytes: growth.bytes,
        objects_per_s: growth.objects_per_s(interval),
        bytes_per_s: growth.bytes_per_s(interval),
    })
}
