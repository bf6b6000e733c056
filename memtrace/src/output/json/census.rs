//! A census as one line of JSON, exact. docs/census.md describes it as a stable interface, and docs/census.schema.json is its
//! schema.

use std::{borrow::Cow, io};

use super::{KEYS_BETWEEN, all, line_of, nanos, objects};
use crate::{
    output::phrases::census as words,
    text::{escape, time::rfc3339},
    view::{
        self,
        census::{By, CacheCensus, Content, Payer, Row as ViewRow, UnusedRow},
    },
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

/// The census as one line, its newline included.
pub fn line(census: &view::Census) -> io::Result<String> {
    line_of(&Census::of(census))
}

objects! {
    pub(in crate::output) struct Census<'a> of census: &'a view::Census {
        r#type: &'static str = "census",
        version: u32 = VERSION,
        time: String = rfc3339(census.time),
        host: &'a str = &census.host,
        kernel: &'a str = &census.kernel,
        by: Vec<&'static str> = census.by.iter().map(|by| by.name()).collect(),
        seed: u64,
        /// That were drawn, of `host_frames`.
        frames: u64 = census.drawn,
        host_frames: u64 = census.frames,
        slab_pages: u64,
        elapsed_ns: u64 = nanos(census.elapsed),
        caches: Vec<Cache<'a>> = all(&census.caches, Cache::of),
        /// Unused dentries and inodes, as the kernel counts them.
        unused: Vec<Unused<'a>> = all(&census.unused, Unused::of),
        rows: Vec<Row<'a>> = all(&census.rows, |row| Row::of(row, census)),
        notes: &'a [String] = &census.notes,
    }

    struct Cache<'a> of cache: &'a CacheCensus {
        name: &'a str = &cache.name,
        aliases: &'a [String] = &cache.aliases,
        reclaimable: Option<bool>,
        objects: u64,
        objects_ci95: (u64, u64),
        bytes: u64,
        sampled_bytes: u64,
        sampled_bytes_ci95: (u64, u64),
        slabinfo_objects: Option<u64>,
        pages: u64,
        agrees: Option<bool> = cache.agrees(),
        /// Why it has no rows, if so.
        untold: Option<String> = words::untold(cache).map(|why| why.text()),
    }

    struct Unused<'a> of row: &'a UnusedRow {
        filesystem: Cow<'a, str> = escape::json(&row.filesystem),
        device: Cow<'a, str> = escape::json(&row.id),
        mounted_at: Option<Cow<'a, str>> = row.mounted_at.as_deref().map(escape::json),
        cgroup: Option<Cow<'a, str>> = row.cgroup.as_deref().map(escape::json),
        dentries: u64,
        inodes: u64,
    }

    struct OpenIn<'a> of open_in: &'a view::census::OpenIn {
        comm: Cow<'a, str> = escape::json(&open_in.comm),
        processes: u64,
        share: f64,
    }

    struct Row<'a> of row: &'a ViewRow, census: &'a view::Census {
        key: String = keys(row, census).join(KEYS_BETWEEN),
        keys: Vec<String> = keys(row, census),
        content: &'static str = content(row.traits.content),
        cache: Option<&'a str> = census.cache(row).map(|cache| cache.name.as_str()),
        looked_at: u64 = row.looks,
        objects: u64,
        objects_ci95: (u64, u64),
        bytes: u64,
        bytes_ci95: (u64, u64),
        share: f64,
        share_ci95: (f64, f64),
        cgroup: Option<Cow<'a, str>> = row.cgroup.as_deref().map(escape::json),
        /// The cgroup is what is left of so many that were removed; 0 where it is there.
        removed_cgroups: u64 = if matches!(row.traits.payer, Some(Payer::RemovedOf(_))) { row.removed_cgroups } else { 0 },
        path: Option<Cow<'a, str>> = row.traits.place.as_ref().map(|place| escape::json(&place.directory)),
        /// Null where it is all that is in `path` or below, and has no row of its own.
        pattern: Option<Cow<'a, str>> = row.traits.place.as_ref().filter(|place| !place.is_below).map(|place| escape::json(&place.pattern)),
        example: Option<Cow<'a, str>> = row.example.as_deref().map(escape::json),
        filesystem: Option<Cow<'a, str>> = row.traits.filesystem.as_deref().map(escape::json),
        kind: Option<String> = row.traits.kind.map(words::kind),
        uid: Option<u32> = row.traits.uid,
        node: Option<u16> = row.traits.node,
        negative_share: Option<f64>,
        asked_once_share: Option<f64>,
        /// By the names; else by the directory or the filesystem that all of them are in.
        made_after: Option<String> = row.made.map(|made| made.after).or(row.not_before.map(|it| it.time)).map(rfc3339),
        made_before: Option<String> = row.made.map(|made| rfc3339(made.before)),
        /// What the kernel counts of the cgroup.
        memory_stat_bytes: Option<u64> = row.memory_stat,
        open_in: Option<OpenIn<'a>> = row.open_in.as_ref().map(OpenIn::of),
    }
}

/// What the row is called by each of the things that rows are grouped by.
fn keys(row: &ViewRow, census: &view::Census) -> Vec<String> {
    let key = |by: &By| match (by, row.traits.content) {
        (By::Cache, _) | (_, Content::Object) => words::key(row, *by, census).text(),
        (_, content) => format!("({})", self::content(content)),
    };
    census.by.iter().map(key).collect()
}

fn content(content: Content) -> &'static str {
    match content {
        Content::Object => "allocated",
        Content::BeingFreed => "being_freed",
        Content::Free => "free",
        Content::TooFew => "too_few_pages",
        Content::Doubted => "doubted",
    }
}

#[cfg(test)]
mod tests;
