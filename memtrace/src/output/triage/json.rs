//! The page as one line of JSON, exact. docs/triage.md describes it as a stable interface, and docs/triage.schema.json is its
//! schema. The types here are the interface, and only that.

use std::{borrow::Cow, collections::BTreeMap, io};

use serde::Serialize;

use crate::{
    output::{
        json::{Snapshot, all, census::Census, line_of, nanos, objects},
        phrases::place,
    },
    text::{escape, time::rfc3339},
    triage::{
        advice,
        page::{self, Top},
        shortage, signs, suspect, tracing,
        window::{self, CacheRow, CgroupRow, ProcessRow, TmpfsRow},
    },
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

/// The page as one line, its newline included.
pub fn line(page: &page::Page) -> io::Result<String> {
    line_of(&Page::of(page))
}

objects! {
    struct Page<'a> of page: &'a page::Page {
        r#type: &'static str = "triage",
        version: u32 = VERSION,
        time: String = rfc3339(page.time),
        elapsed_ns: u64 = nanos(page.length),
        host: &'a str = &page.host,
        kernel: &'a str = &page.kernel,
        /// The kind of the first candidate, if that is accused.
        suspect: Option<&'static str> = page.suspect().map(|suspect| suspect.kind.into_str()),
        short: Shortage<'a> = Shortage::of(&page.short),
        findings: Vec<Candidate<'a>> = all(&page.candidates, Candidate::of),
        tracing: Tracing<'a> = Tracing::of(&page.tracing),
        /// What the slab held at the beginning; null where that is little, or not known.
        census: Option<Census<'a>> = page.census.as_ref().map(Census::of),
        memory: Memory = Memory::of(page),
        nodes: Vec<Node> = all(&page.nodes, Node::of),
        signs: Signs = Signs::of(&page.signs),
        dentries: Option<Dentries> = page.dentries.as_ref().map(Dentries::of),
        processes: List<Process<'a>> = List::of(&page.processes, Process::of),
        cgroups: List<Cgroup<'a>> = List::of(&page.cgroups, Cgroup::of),
        caches: List<Cache<'a>> = List::of(&page.caches, Cache::of),
        advice: Advice<'a> = Advice::of(&page.advice),
        notes: &'a [String] = &page.notes,
    }

    struct Candidate<'a> of candidate: &'a suspect::Candidate {
        kind: &'static str = candidate.kind.into_str(),
        /// Of the slab, what fills it; of the kernel's other memory, which part.
        detail: Option<&'static str> = candidate.kind.detail(),
        /// Why it is accused; null where it does no harm.
        charge: Option<&'static str> = candidate.charge.map(|charge| charge.into_str()),
        bytes: u64,
        growth: i64,
        grows: bool,
        is_big: bool,
        usual_growth: u64,
        usual_bytes: Option<u64>,
        caches: Vec<Cache<'a>> = all(&candidate.caches, Cache::of),
        claims: Vec<Claim<'a>> = all(&candidate.claims, Claim::of),
        commands: Vec<Command<'a>> = all(&candidate.commands, Command::of),
        tmpfs: Vec<Tmpfs<'a>> = all(&candidate.tmpfs, Tmpfs::of),
        negative_dentries: Option<Count> = candidate.negative.map(Count::of),
        cgroup: Option<FullCgroup<'a>> = candidate.cgroup.as_ref().map(FullCgroup::of),
    }

    struct Claim<'a> of claim: &'a tracing::Claim {
        cache: &'a str = &claim.cache,
        comm: Cow<'a, str> = escape::json(&claim.comm),
        started_by: Vec<Cow<'a, str>> = claim.started_by.iter().map(|comm| escape::json(comm)).collect(),
        processes: u64,
        objects_per_s: f64,
        bytes_per_s: f64,
        kept_share: f64 = claim.kept,
        explains_share: Option<f64> = claim.explains,
        negative_share: Option<f64> = claim.negative,
        place: Option<String> = claim.place.as_ref().map(|place| escape::json(&place::path(place)).into_owned()),
    }

    struct Shortage<'a> of short: &'a shortage::Shortage {
        available_share: Option<f64> = short.available,
        stalled_share: Option<f64> = short.stalled,
        cgroups: Vec<FullCgroup<'a>> = all(&short.cgroups, FullCgroup::of),
    }

    struct FullCgroup<'a> of cgroup: &'a shortage::FullCgroup {
        path: Cow<'a, str> = escape::json(&cgroup.path),
        limit: u64 = cgroup.limit.bytes,
        usage: u64 = cgroup.limit.usage,
        held: u64 = cgroup.limit.held,
    }

    struct Count of dentries: (u64, i64) {
        now: u64 = dentries.0,
        growth: i64 = dentries.1,
    }

    struct Tracing<'a> of tracing: &'a tracing::Tracing {
        state: &'static str = if tracing.traced.is_ok() { "done" } else { "failed" },
        caches: &'a [String] = &tracing.caches,
        why: Option<Cow<'a, str>> = tracing.traced.as_ref().err().map(|why| escape::json(why.as_bytes())),
        snapshot: Option<Snapshot<'a>> = tracing.last().map(Snapshot::of),
    }

    struct Memory of page: &page::Page {
        total: u64,
        available: u64,
        /// All of them add up to `total`.
        parts: BTreeMap<&'static str, Amount> = page.parts.iter().map(|row| (row.part.into_str(), Amount::of(row))).collect(),
    }

    struct Amount of row: &page::PartRow {
        bytes: i64,
        growth: i64,
    }

    struct Node of node: &page::NodeRow {
        number: u32,
        total: u64,
        free: u64,
        processes: u64,
        files: u64,
        shared: u64,
        slab: u64,
    }

    struct Signs of signs: &signs::Signs {
        stalled_share: Option<f64> = signs.stalled,
        all_stalled_share: Option<f64> = signs.all_stalled,
        direct_reclaims: u64,
        reclaimed_pages: u64,
        refaults: u64,
        swapped_in_pages: u64,
        swapped_out_pages: u64,
        oom_kills: u64,
        oom_kills_since_boot: u64 = signs.oom_kills_ever,
        large_blocks_share: Option<f64> = signs.large_blocks,
        compactions: u64,
    }

    struct Dentries of row: &page::DentryRow {
        all: u64 = row.now.all,
        growth: i64,
        unused: u64 = row.now.unused,
        negative: u64 = row.now.negative,
        negative_growth: i64,
    }

    struct Process<'a> of row: &'a ProcessRow {
        pid: u32,
        comm: Cow<'a, str> = escape::json(&row.comm),
        rss: u64 = row.resident,
        rss_growth: i64 = row.growth,
        own: u64 = row.anon,
        pss: Option<u64> = row.proportional,
        pss_growth: Option<i64> = row.proportional_growth,
    }

    struct Command<'a> of row: &'a window::Command {
        comm: Cow<'a, str> = escape::json(&row.comm),
        processes: u64,
        pid: Option<u32>,
        own: u64 = row.anon,
        growth: i64,
    }

    struct Cgroup<'a> of row: &'a CgroupRow {
        path: Cow<'a, str> = escape::json(&row.path),
        memory: u64,
        growth: i64,
        slab: Option<u64>,
        slab_growth: Option<i64>,
    }

    struct Cache<'a> of row: &'a CacheRow {
        name: &'a str = &row.name,
        aliases: &'a [String] = &row.aliases,
        reclaimable: Option<bool>,
        bytes: u64,
        growth: i64,
        objects: u64,
        objects_growth: i64,
    }

    struct Tmpfs<'a> of row: &'a TmpfsRow {
        path: Cow<'a, str> = escape::json(&row.at),
        used: u64,
        growth: i64,
    }

    struct Advice<'a> of advice: &'a advice::Advice {
        now: &'a [String] = &advice.now,
        for_good: &'a [String] = &advice.for_good,
        watch: &'a [String] = &advice.watch,
        by_hand: Vec<ByHand<'a>> = all(&advice.by_hand, ByHand::of),
    }

    struct ByHand<'a> of step: &'a (String, &'static str) {
        command: &'a str = &step.0,
        tells: &'a str = step.1,
    }
}

/// Also of each other list: what is shown, of how many, and how many were not read.
#[derive(Serialize)]
struct List<T> {
    rows: Vec<T>,
    of: usize,
    left_out: usize,
}

impl<T> List<T> {
    fn of<'a, R>(top: &'a Top<R>, row: fn(&'a R) -> T) -> Self {
        Self { rows: all(&top.rows, row), of: top.of, left_out: top.left_out }
    }
}
