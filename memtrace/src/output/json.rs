//! Snapshots as NDJSON, one object a line, exact: bytes, objects, nanoseconds. docs/json.md describes it as a
//! stable interface and docs/snapshot.schema.json is its schema.
//!
//! The types here are the interface, and only that: what the view looks like inside may change without them.

mod ages;
mod difference;
mod names;
mod verdict;

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::ser::Formatter;

use self::ages::{AgeBucket, Generation};
pub(super) use self::difference::{Difference, seen};
use self::names::{Directory, Names};
use self::verdict::Verdict;
use super::{Output, Shown, shown};
use crate::{
    attribution::cgroup::Owner,
    procfs::slab,
    text::escape,
    view::{
        self, Trend,
        reconcile::{self, Sign},
    },
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;
/// In a row's `key`, where rows are grouped by several things.
const KEYS_BETWEEN: &str = ", ";
/// The last moment that RFC 3339 can write, in seconds: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes each snapshot as a line of JSON.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    pub fn new(out: W) -> Self {
        JsonLines { out }
    }
}

impl<W: Write> Output for JsonLines<W> {
    fn show(&mut self, snapshot: &view::Snapshot) -> io::Result<Shown> {
        let line = line(snapshot)?;
        shown(self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush()))
    }
}

/// The snapshot as one line, its newline included.
pub fn line(snapshot: &view::Snapshot) -> io::Result<String> {
    line_of(&Snapshot::from(snapshot))
}

/// What changed between two reports, as one line, its newline included.
pub fn difference(difference: &view::Difference) -> io::Result<String> {
    line_of(&Difference::from(difference))
}

/// An object as one line, its newline included.
pub fn line_of(object: &impl Serialize) -> io::Result<String> {
    let mut bytes = Vec::new();
    object.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Harmless))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// Compact JSON that may also be looked at on a terminal.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        out.write_all(escape::json_fragment(fragment).as_bytes())
    }
}

#[derive(Serialize)]
pub(super) struct Snapshot<'a> {
    #[serde(flatten)]
    pub(super) header: Header<'a>,
    pub(super) caches: Vec<Cache<'a>>,
    pub(super) rows: Vec<Row<'a>>,
    pub(super) rest: Option<Rest>,
    pub(super) verdict: Option<Verdict<'a>>,
    pub(super) ages: Vec<AgeBucket>,
    pub(super) generations: Vec<Generation>,
    pub(super) directories: Vec<Directory<'a>>,
    pub(super) trust: Trust,
    pub(super) notes: &'a [String],
}

/// What is said once.
#[derive(Serialize)]
pub(super) struct Header<'a> {
    pub(super) r#type: &'static str,
    version: u32,
    r#final: bool,
    time: String,
    elapsed_ns: u64,
    settled: Option<Settled>,
    host: &'a str,
    kernel: &'a str,
    by: String,
    sort: &'static str,
    older_ns: Option<u64>,
    sampling: Sampling,
    stacks_period: Option<u32>,
    meminfo: Option<Meminfo>,
    #[serde(rename = "self")]
    own_cost: OwnCost,
}

#[derive(Serialize)]
struct Settled {
    ns: u64,
    freed: u64,
}

#[derive(Serialize)]
struct Sampling {
    period: u32,
}

/// The least and the most of a 95 % interval.
type Interval = [u64; 2];

#[derive(Serialize)]
struct Meminfo {
    slab: u64,
    sreclaimable: u64,
    sunreclaim: u64,
    available: Option<u64>,
}

#[derive(Serialize)]
struct OwnCost {
    probe_ns_per_event: Option<f64>,
    cpu_share: Option<f64>,
    userspace_cpu_share: Option<f64>,
    rss_bytes: Option<u64>,
    kernel_bytes: Option<u64>,
    max_memory_bytes: Option<u64>,
    max_cpu_share: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Cache<'a> {
    name: &'a str,
    aliases: &'a [String],
    object_size: u64,
    reclaimable: Option<bool>,
    allocs: u64,
    frees: u64,
    outstanding_objects: u64,
    outstanding_objects_ci95: Option<Interval>,
    outstanding_bytes: u64,
    lost_allocs: u64,
    lost_frees: u64,
    slabinfo_objects: Option<u64>,
    slabinfo_objects_per_s: Option<f64>,
    slabinfo_growth: Option<i64>,
    traced_growth: Option<i64>,
    partial: Option<Partial>,
}

#[derive(Serialize)]
struct Partial {
    reason: &'static str,
    unseen_frees_share: f64,
}

#[derive(Serialize)]
pub(super) struct Row<'a> {
    key: Cow<'a, str>,
    comm: Option<Cow<'a, str>>,
    pid: Option<u32>,
    process: Option<Process<'a>>,
    cache: Option<&'a str>,
    caches: Vec<CacheShare<'a>>,
    trend: &'static str,
    call_site: Option<CallSite<'a>>,
    context: Option<&'static str>,
    gfp: Option<Gfp<'a>>,
    node: Option<u16>,
    stacked_objects: u64,
    stacks: Vec<Stack<'a>>,
    started_by: Vec<Ancestors<'a>>,
    cgroups: Vec<Cgroup<'a>>,
    processes: u64,
    objects: u64,
    objects_ci95: Option<Interval>,
    bytes: u64,
    partial_objects: u64,
    allocs: u64,
    frees: u64,
    allocs_per_s: f64,
    frees_per_s: f64,
    growth_per_s: f64,
    survival: f64,
    oldest_ns: Option<u64>,
    ages: Vec<AgeBucket>,
    generations: Vec<Generation>,
    named_objects: u64,
    negative_share: Option<f64>,
    names: Vec<Names<'a>>,
}

#[derive(Serialize)]
struct Process<'a> {
    program: Option<Cow<'a, str>>,
    command_line: Option<Cow<'a, str>>,
    ended: bool,
}

#[derive(Serialize)]
struct CacheShare<'a> {
    name: &'a str,
    objects: u64,
    bytes: u64,
    allocs: u64,
}

#[derive(Serialize)]
struct CallSite<'a> {
    address: String,
    symbol: Option<&'a str>,
}

#[derive(Serialize)]
struct Gfp<'a> {
    flags: String,
    names: Option<&'a str>,
}

#[derive(Serialize)]
struct Stack<'a> {
    frames: &'a [String],
    objects: u64,
}

#[derive(Serialize)]
struct Ancestors<'a> {
    comms: Vec<Cow<'a, str>>,
    objects: u64,
}

#[derive(Serialize)]
struct Cgroup<'a> {
    id: u64,
    path: Option<Cow<'a, str>>,
    unit: Option<&'a str>,
    container: Option<&'a str>,
    runtime: Option<&'static str>,
    pod: Option<String>,
    objects: u64,
}

#[derive(Serialize)]
pub(super) struct Rest {
    rows: u64,
    objects: u64,
    objects_ci95: Option<Interval>,
    bytes: u64,
}

#[derive(Serialize)]
pub(super) struct Trust {
    emitted: u64,
    applied: u64,
    lost_allocs: u64,
    lost_frees: u64,
    lost_names: u64,
    unknown_frees: u64,
    reused_pointers: u64,
    recursion_misses: u64,
    refused: u64,
    unresolved: u64,
    slabinfo_agreement: Option<f64>,
}

impl<'a> From<&'a view::Snapshot> for Snapshot<'a> {
    fn from(snapshot: &'a view::Snapshot) -> Self {
        let sampling = snapshot.sampling;
        Snapshot {
            header: Header::from(snapshot),
            caches: snapshot.caches.iter().map(|cache| Cache::new(cache, sampling)).collect(),
            rows: snapshot.rows.iter().map(|row| Row::new(row, sampling)).collect(),
            rest: snapshot.rest.map(|rest| Rest {
                rows: rest.rows,
                objects: rest.objects,
                objects_ci95: interval(sampling, rest.objects),
                bytes: rest.bytes,
            }),
            verdict: snapshot.verdict.as_ref().map(Verdict::from),
            ages: snapshot.ages.iter().map(AgeBucket::from).collect(),
            generations: snapshot.cohorts.iter().map(Generation::from).collect(),
            directories: snapshot.directories.iter().map(Directory::from).collect(),
            trust: Trust::from(&snapshot.trust),
            notes: &snapshot.notes,
        }
    }
}

impl<'a> From<&'a view::Snapshot> for Header<'a> {
    fn from(snapshot: &'a view::Snapshot) -> Self {
        Header {
            r#type: "snapshot",
            version: VERSION,
            r#final: snapshot.is_final,
            time: rfc3339(snapshot.time),
            elapsed_ns: nanos(snapshot.elapsed),
            settled: snapshot
                .settled
                .map(|settled| Settled { ns: nanos(settled.time), freed: settled.freed }),
            host: &snapshot.host,
            kernel: &snapshot.kernel,
            by: snapshot.by.names(),
            sort: sort(snapshot.sort),
            older_ns: snapshot.older.map(nanos),
            sampling: Sampling { period: snapshot.sampling.period },
            stacks_period: snapshot.stacks_period,
            meminfo: snapshot.meminfo.map(Meminfo::from),
            own_cost: OwnCost::from(snapshot.own_cost),
        }
    }
}

impl From<slab::Meminfo> for Meminfo {
    fn from(meminfo: slab::Meminfo) -> Self {
        Meminfo {
            slab: meminfo.slab,
            sreclaimable: meminfo.sreclaimable,
            sunreclaim: meminfo.sunreclaim,
            available: meminfo.available,
        }
    }
}

impl From<view::OwnCost> for OwnCost {
    fn from(cost: view::OwnCost) -> Self {
        OwnCost {
            probe_ns_per_event: cost.probe_ns_per_event,
            cpu_share: cost.probes_cpu.zip(cost.userspace_cpu).map(|(probes, userspace)| probes + userspace),
            userspace_cpu_share: cost.userspace_cpu,
            rss_bytes: cost.resident_bytes,
            kernel_bytes: cost.kernel_bytes,
            max_memory_bytes: cost.max_memory,
            max_cpu_share: cost.max_cpu,
        }
    }
}

impl<'a> Cache<'a> {
    fn new(cache: &'a view::CacheTotals, sampling: view::Sampling) -> Self {
        Cache {
            name: &cache.name,
            aliases: &cache.aliases,
            object_size: cache.object_size,
            reclaimable: cache.reclaimable,
            allocs: cache.allocs,
            frees: cache.frees,
            outstanding_objects: cache.outstanding_objects,
            outstanding_objects_ci95: interval(sampling, cache.outstanding_objects),
            outstanding_bytes: cache.outstanding_bytes,
            lost_allocs: cache.lost_allocs,
            lost_frees: cache.lost_frees,
            slabinfo_objects: cache.slabinfo_objects,
            slabinfo_objects_per_s: cache.slabinfo_objects_per_s.filter(|rate| rate.is_finite()),
            slabinfo_growth: cache.growth.map(|growth| growth.slabinfo),
            traced_growth: cache.growth.map(|growth| growth.traced),
            partial: cache.partial.map(Partial::from),
        }
    }
}

impl From<reconcile::Partial> for Partial {
    fn from(partial: reconcile::Partial) -> Self {
        let reason = match partial.sign {
            Sign::Reused => "reused",
            Sign::Slabinfo => "slabinfo",
        };
        Partial { reason, unseen_frees_share: finite(partial.unseen_frees_share) }
    }
}

impl<'a> Row<'a> {
    fn new(row: &'a view::Row, sampling: view::Sampling) -> Self {
        Row {
            key: Cow::Owned(
                row.keys.iter().map(|key| escape::json(key)).collect::<Vec<_>>().join(KEYS_BETWEEN),
            ),
            comm: row.comm.as_deref().map(escape::json),
            pid: row.pid,
            process: row.process.as_ref().map(Process::from),
            cache: row.cache.as_deref(),
            caches: row.caches.iter().map(CacheShare::from).collect(),
            trend: trend(row.trend),
            call_site: row.call_site.as_ref().map(|site| CallSite {
                address: format!("{:#x}", site.address),
                symbol: site.symbol.as_deref(),
            }),
            context: row.alloc_context.context.map(context),
            gfp: row
                .alloc_context
                .gfp
                .as_ref()
                .map(|gfp| Gfp { flags: format!("{:#x}", gfp.flags), names: gfp.names.as_deref() }),
            node: row.alloc_context.node,
            stacked_objects: row.stacked_objects,
            stacks: row.stacks.iter().map(Stack::from).collect(),
            started_by: row.started_by.iter().map(Ancestors::from).collect(),
            cgroups: row.cgroups.iter().map(Cgroup::from).collect(),
            processes: row.processes,
            objects: row.objects,
            objects_ci95: interval(sampling, row.objects),
            bytes: row.bytes,
            partial_objects: row.partial_objects,
            allocs: row.allocs,
            frees: row.frees,
            allocs_per_s: finite(row.allocs_per_s),
            frees_per_s: finite(row.frees_per_s),
            growth_per_s: finite(row.growth_per_s),
            survival: finite(row.survival()),
            oldest_ns: row.oldest.map(nanos),
            ages: row.ages.iter().map(AgeBucket::from).collect(),
            generations: row.cohorts.iter().map(Generation::from).collect(),
            named_objects: row.named_objects,
            negative_share: row.negatives.map(names::negative_share),
            names: row.names.iter().map(Names::from).collect(),
        }
    }
}

impl<'a> From<&'a view::ProcessInfo> for Process<'a> {
    fn from(process: &'a view::ProcessInfo) -> Self {
        let known = |text: &'a [u8]| (!text.is_empty()).then(|| escape::json(text));
        Process {
            program: known(&process.program),
            command_line: known(&process.command_line),
            ended: process.has_ended,
        }
    }
}

impl<'a> From<&'a view::CacheShare> for CacheShare<'a> {
    fn from(view::CacheShare { name, objects, bytes, allocs }: &'a view::CacheShare) -> Self {
        CacheShare { name, objects: *objects, bytes: *bytes, allocs: *allocs }
    }
}

impl<'a> From<&'a view::StackShare> for Stack<'a> {
    fn from(view::StackShare { frames, objects }: &'a view::StackShare) -> Self {
        Stack { frames, objects: *objects }
    }
}

impl<'a> From<&'a view::Ancestors> for Ancestors<'a> {
    fn from(ancestors: &'a view::Ancestors) -> Self {
        Ancestors {
            comms: ancestors.comms.iter().map(|comm| escape::json(comm)).collect(),
            objects: ancestors.objects,
        }
    }
}

impl<'a> From<&'a view::CgroupShare> for Cgroup<'a> {
    fn from(cgroup: &'a view::CgroupShare) -> Self {
        let owner = cgroup.path.as_deref().map(Owner::from_path).unwrap_or_default();
        Cgroup {
            id: cgroup.id,
            path: cgroup.path.as_deref().map(escape::json),
            unit: owner.unit,
            container: owner.container.map(|container| container.id),
            runtime: owner.container.and_then(|container| container.runtime),
            pod: owner.pod,
            objects: cgroup.objects,
        }
    }
}

impl From<&view::Trust> for Trust {
    fn from(trust: &view::Trust) -> Self {
        Trust {
            emitted: trust.emitted,
            applied: trust.applied,
            lost_allocs: trust.lost_allocs,
            lost_frees: trust.lost_frees,
            lost_names: trust.lost_names,
            unknown_frees: trust.unknown_frees,
            reused_pointers: trust.reused_pointers,
            recursion_misses: trust.recursion_misses,
            refused: trust.refused,
            unresolved: trust.unresolved,
            slabinfo_agreement: trust.slabinfo_agreement.filter(|share| share.is_finite()),
        }
    }
}

fn context(context: view::Context) -> &'static str {
    match context {
        view::Context::Process => "process",
        view::Context::IoWorker => "io-uring-worker",
        view::Context::KernelThread => "kernel-thread",
        view::Context::Softirq => "softirq",
        view::Context::Interrupt => "interrupt",
    }
}

pub(super) fn trend(trend: Trend) -> &'static str {
    match trend {
        Trend::TooEarly => "too-early",
        Trend::Growing(_) => "growing",
        Trend::Plateaued => "plateaued",
        Trend::Burst => "burst",
        Trend::Churning => "churning",
        Trend::Steady => "steady",
    }
}

fn sort(sort: view::Sort) -> &'static str {
    match sort {
        view::Sort::Bytes => "bytes",
        view::Sort::Objects => "objects",
        view::Sort::Growth => "growth",
        view::Sort::Age => "age",
    }
}

fn interval(sampling: view::Sampling, estimate: u64) -> Option<Interval> {
    sampling.interval(estimate).map(|interval| [*interval.start(), *interval.end()])
}

/// In UTC with nanoseconds. A clock outside of what RFC 3339 can write is shown as the nearest moment that it can.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = since.min(Duration::from_secs(LAST_SECOND));
    humantime::format_rfc3339_nanos(SystemTime::UNIX_EPOCH + since).to_string()
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// JSON has no infinity. A rate that is none says that nothing was measured.
pub(super) fn finite(rate: f64) -> f64 {
    if rate.is_finite() { rate } else { 0.0 }
}

#[cfg(test)]
mod tests;
