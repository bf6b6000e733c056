//! The page as one line of JSON, exact. docs/triage.md describes it as a stable interface, and docs/triage.schema.json is its
//! schema. The types here are the interface, and only that.

use std::{borrow::Cow, collections::BTreeMap, io};

use serde::Serialize;

use crate::{
    output::json::{Snapshot, line_of, nanos, rfc3339},
    text::escape,
    triage::tracing,
    triage::{
        advice,
        page::{self, Top},
        suspect::{self, Filling, Kind},
        window::{self, CacheRow, CgroupRow, ProcessRow, TmpfsRow},
    },
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

/// The page as one line, its newline included.
pub fn line(page: &page::Page) -> io::Result<String> {
    line_of(&Page::from(page))
}

#[derive(Serialize)]
struct Page<'a> {
    r#type: &'static str,
    version: u32,
    time: String,
    elapsed_ns: u64,
    host: &'a str,
    kernel: &'a str,
    /// The first finding's kind.
    suspect: Option<&'static str>,
    findings: Vec<Finding<'a>>,
    tracing: Tracing<'a>,
    memory: Memory,
    nodes: Vec<Node>,
    signs: Signs,
    dentries: Option<Dentries>,
    processes: List<Process<'a>>,
    cgroups: List<Cgroup<'a>>,
    caches: List<Cache<'a>>,
    advice: Advice<'a>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Finding<'a> {
    kind: &'static str,
    /// Of the slab, what fills it; of the kernel's other memory, which part.
    detail: Option<&'static str>,
    bytes: u64,
    growth: i64,
    grows: bool,
    is_big: bool,
    usual_growth: u64,
    usual_bytes: Option<u64>,
    caches: Vec<Cache<'a>>,
    commands: Vec<Command<'a>>,
    tmpfs: Vec<Tmpfs<'a>>,
    negative_dentries: Option<Count>,
}

#[derive(Serialize)]
struct Count {
    now: u64,
    growth: i64,
}

/// Also of each other list: what is shown, of how many, and how many were not read.
#[derive(Serialize)]
struct List<T> {
    rows: Vec<T>,
    of: usize,
    left_out: usize,
}

#[derive(Serialize)]
struct Tracing<'a> {
    state: &'static str,
    caches: &'a [String],
    why: Option<Cow<'a, str>>,
    snapshot: Option<Snapshot<'a>>,
}

#[derive(Serialize)]
struct Memory {
    total: u64,
    available: u64,
    /// All of them add up to `total`.
    parts: BTreeMap<&'static str, Amount>,
}

#[derive(Serialize)]
struct Amount {
    bytes: i64,
    growth: i64,
}

#[derive(Serialize)]
struct Node {
    number: u32,
    total: u64,
    free: u64,
    processes: u64,
    files: u64,
    shared: u64,
    slab: u64,
}

#[derive(Serialize)]
struct Signs {
    stalled_share: Option<f64>,
    all_stalled_share: Option<f64>,
    direct_reclaims: u64,
    reclaimed_pages: u64,
    refaults: u64,
    swapped_in_pages: u64,
    swapped_out_pages: u64,
    oom_kills: u64,
    oom_kills_since_boot: u64,
    large_blocks_share: Option<f64>,
    compactions: u64,
}

#[derive(Serialize)]
struct Dentries {
    all: u64,
    growth: i64,
    unused: u64,
    negative: u64,
    negative_growth: i64,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: u32,
    comm: Cow<'a, str>,
    rss: u64,
    rss_growth: i64,
    own: u64,
    pss: Option<u64>,
    pss_growth: Option<i64>,
}

#[derive(Serialize)]
struct Command<'a> {
    comm: Cow<'a, str>,
    processes: u64,
    pid: Option<u32>,
    own: u64,
    growth: i64,
}

#[derive(Serialize)]
struct Cgroup<'a> {
    path: Cow<'a, str>,
    memory: u64,
    growth: i64,
    slab: Option<u64>,
    slab_growth: Option<i64>,
}

#[derive(Serialize)]
struct Cache<'a> {
    name: &'a str,
    aliases: &'a [String],
    reclaimable: Option<bool>,
    bytes: u64,
    growth: i64,
    objects: u64,
    objects_growth: i64,
}

#[derive(Serialize)]
struct Tmpfs<'a> {
    path: Cow<'a, str>,
    used: u64,
    growth: i64,
}

#[derive(Serialize)]
struct Advice<'a> {
    now: &'a [String],
    for_good: &'a [String],
    watch: &'a [String],
    by_hand: Vec<ByHand<'a>>,
}

#[derive(Serialize)]
struct ByHand<'a> {
    command: &'a str,
    tells: &'a str,
}

impl<'a> From<&'a page::Page> for Page<'a> {
    fn from(page: &'a page::Page) -> Self {
        let parts = page.parts.iter();
        let amount = |row: &page::PartRow| Amount { bytes: row.bytes, growth: row.growth };
        Page {
            r#type: "triage",
            version: VERSION,
            time: rfc3339(page.time),
            elapsed_ns: nanos(page.length),
            host: &page.host,
            kernel: &page.kernel,
            suspect: page.findings.first().map(|suspect| kind(suspect.kind)),
            findings: page.findings.iter().map(Finding::from).collect(),
            tracing: Tracing::from(&page.tracing),
            memory: Memory {
                total: page.total,
                available: page.available,
                parts: parts.map(|row| (row.part.key(), amount(row))).collect(),
            },
            nodes: page.nodes.iter().map(node).collect(),
            signs: signs(&page.signs),
            dentries: page.dentries.map(|row| Dentries {
                all: row.now.all,
                growth: row.growth,
                unused: row.now.unused,
                negative: row.now.negative,
                negative_growth: row.negative_growth,
            }),
            processes: List::new(&page.processes, process),
            cgroups: List::new(&page.cgroups, cgroup),
            caches: List::new(&page.caches, cache),
            advice: Advice::from(&page.advice),
            notes: &page.notes,
        }
    }
}

impl<'a, T> List<T> {
    fn new<R>(top: &'a Top<R>, row: fn(&'a R) -> T) -> Self {
        List { rows: top.rows.iter().map(row).collect(), of: top.of, left_out: top.left_out }
    }
}

impl<'a> From<&'a suspect::Finding> for Finding<'a> {
    fn from(finding: &'a suspect::Finding) -> Self {
        Finding {
            kind: kind(finding.kind),
            detail: detail(finding.kind),
            bytes: finding.bytes,
            growth: finding.growth,
            grows: finding.grows,
            is_big: finding.is_big,
            usual_growth: finding.usual_growth,
            usual_bytes: finding.usual_bytes,
            caches: finding.caches.iter().map(cache).collect(),
            commands: finding.commands.iter().map(command).collect(),
            tmpfs: finding.tmpfs.iter().map(tmpfs).collect(),
            negative_dentries: finding.negative.map(|(now, growth)| Count { now, growth }),
        }
    }
}

impl<'a> From<&'a tracing::Tracing> for Tracing<'a> {
    fn from(tracing: &'a tracing::Tracing) -> Self {
        match tracing {
            tracing::Tracing::NotNeeded => {
                Tracing { state: "not_needed", caches: &[], why: None, snapshot: None }
            }
            tracing::Tracing::Failed { caches, why } => {
                let why = Some(escape::json(why.as_bytes()));
                Tracing { state: "failed", caches, why, snapshot: None }
            }
            tracing::Tracing::Done { caches, last } => {
                Tracing { state: "done", caches, why: None, snapshot: Some(Snapshot::from(&**last)) }
            }
        }
    }
}

impl<'a> From<&'a advice::Advice> for Advice<'a> {
    fn from(advice: &'a advice::Advice) -> Self {
        let by_hand = advice.by_hand.iter().map(|(command, tells)| ByHand { command, tells });
        Advice {
            now: &advice.now,
            for_good: &advice.for_good,
            watch: &advice.watch,
            by_hand: by_hand.collect(),
        }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Processes => "processes",
        Kind::Shared => "shared",
        Kind::PageCache => "page_cache",
        Kind::Slab(_) => "slab",
        Kind::Kernel(_) => "kernel",
    }
}

fn detail(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Slab(filling) => Some(match filling {
            Filling::NegativeDentries => "negative_dentries",
            Filling::Dentries => "dentries",
            Filling::Inodes => "inodes",
            Filling::Files => "files",
            Filling::Sockets => "sockets",
            Filling::Kmalloc => "kmalloc",
            Filling::Cache => "cache",
        }),
        Kind::Kernel(part) => Some(part.key()),
        Kind::Processes | Kind::Shared | Kind::PageCache => None,
    }
}

fn node(node: &page::NodeRow) -> Node {
    Node {
        number: node.number,
        total: node.total,
        free: node.free,
        processes: node.processes,
        files: node.files,
        shared: node.shared,
        slab: node.slab,
    }
}

fn signs(signs: &page::Signs) -> Signs {
    Signs {
        stalled_share: signs.stalled,
        all_stalled_share: signs.all_stalled,
        direct_reclaims: signs.direct_reclaims,
        reclaimed_pages: signs.reclaimed_pages,
        refaults: signs.refaults,
        swapped_in_pages: signs.swapped_in_pages,
        swapped_out_pages: signs.swapped_out_pages,
        oom_kills: signs.oom_kills,
        oom_kills_since_boot: signs.oom_kills_ever,
        large_blocks_share: signs.large_blocks,
        compactions: signs.compactions,
    }
}

fn process(row: &ProcessRow) -> Process<'_> {
    Process {
        pid: row.pid,
        comm: escape::json(&row.comm),
        rss: row.resident,
        rss_growth: row.growth,
        own: row.anon,
        pss: row.proportional,
        pss_growth: row.proportional_growth,
    }
}

fn command(row: &window::Command) -> Command<'_> {
    Command {
        comm: escape::json(&row.comm),
        processes: row.processes,
        pid: row.pid,
        own: row.anon,
        growth: row.growth,
    }
}

fn cgroup(row: &CgroupRow) -> Cgroup<'_> {
    Cgroup {
        path: escape::json(&row.path),
        memory: row.memory,
        growth: row.growth,
        slab: row.slab,
        slab_growth: row.slab_growth,
    }
}

fn cache(row: &CacheRow) -> Cache<'_> {
    Cache {
        name: &row.name,
        aliases: &row.aliases,
        reclaimable: row.reclaimable,
        bytes: row.bytes,
        growth: row.growth,
        objects: row.objects,
        objects_growth: row.objects_growth,
    }
}

fn tmpfs(row: &TmpfsRow) -> Tmpfs<'_> {
    Tmpfs { path: escape::json(&row.at), used: row.used, growth: row.growth }
}
