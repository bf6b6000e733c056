//! Snapshots as NDJSON, one object a line, exact: bytes, objects, nanoseconds. docs/json.md describes it as a
//! stable interface and docs/snapshot.schema.json is its schema.
//!
//! The types here are the interface, and only that: what the view looks like inside may change without them.

mod ages;
pub mod census;
mod difference;
mod names;
mod object;
mod verdict;

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::ser::Formatter;

use self::ages::{AgeBucket, Generation};
pub(super) use self::difference::Difference;
use self::names::{Directory, Names};
pub(super) use self::object::{all, objects};
use self::verdict::{Finding, Verdict};
use super::{Output, Shown, shown};
use crate::{
    attribution::cgroup::Owner,
    procfs::meminfo::SlabMemory,
    text::{escape, time::rfc3339},
    view::{self, reconcile},
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;
/// In a row's `key`, where rows are grouped by several things.
const KEYS_BETWEEN: &str = ", ";

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
    line_of(&Snapshot::of(snapshot))
}

/// What changed between two reports, as one line, its newline included.
pub fn difference(difference: &view::Difference) -> io::Result<String> {
    line_of(&Difference::of(difference))
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

objects! {
    pub(super) struct Snapshot<'a> of snapshot: &'a view::Snapshot {
        #[serde(flatten)]
        pub(super) header: Header<'a> = Header::of(snapshot),
        pub(super) caches: Vec<Cache<'a>> = all(&snapshot.caches, |cache| Cache::of(cache, snapshot.sampling)),
        pub(super) rows: Vec<Row<'a>> = all(&snapshot.rows, |row| Row::of(row, snapshot.sampling)),
        pub(super) rest: Option<Rest> = snapshot.rest.map(|rest| Rest::of(rest, snapshot.sampling)),
        pub(super) verdict: Option<Verdict<'a>> = snapshot.verdict.as_ref().map(Verdict::of),
        pub(super) findings: Vec<Finding<'a>> = snapshot.verdict.iter().flat_map(|verdict| &verdict.findings).map(Finding::of).collect(),
        pub(super) ages: Vec<AgeBucket> = all(&snapshot.ages, AgeBucket::of),
        pub(super) generations: Vec<Generation> = all(&snapshot.cohorts, Generation::of),
        pub(super) directories: Vec<Directory<'a>> = all(&snapshot.directories, Directory::of),
        /// What the slab held at the start; in the final snapshot alone.
        pub(super) census: Option<census::Census<'a>> = snapshot.census.as_deref().filter(|_| snapshot.is_final).map(census::Census::of),
        pub(super) trust: Trust = Trust::of(&snapshot.trust),
        pub(super) notes: &'a [String] = &snapshot.notes,
    }

    /// What is said once.
    pub(super) struct Header<'a> of snapshot: &'a view::Snapshot {
        pub(super) r#type: &'static str = "snapshot",
        version: u32 = VERSION,
        r#final: bool = snapshot.is_final,
        time: String = rfc3339(snapshot.time),
        elapsed_ns: u64 = nanos(snapshot.elapsed),
        settled: Option<Settled> = snapshot.settled.map(Settled::of),
        host: &'a str = &snapshot.host,
        kernel: &'a str = &snapshot.kernel,
        filter: Option<&'a str> = Some(&*snapshot.filter).filter(|filter| !filter.is_empty()),
        by: String = snapshot.by.names(),
        sort: &'static str = snapshot.sort.into_str(),
        older_ns: Option<u64> = snapshot.older.map(nanos),
        sampling: Sampling = Sampling::of(snapshot.sampling),
        stacks_period: Option<u32>,
        meminfo: Option<Meminfo> = snapshot.meminfo.map(Meminfo::of),
        #[serde(rename = "self")]
        own_cost: OwnCost = OwnCost::of(snapshot.own_cost),
    }

    struct Settled of settled: view::Settled {
        ns: u64 = nanos(settled.time),
        freed: u64,
    }

    pub(super) struct Sampling of sampling: view::Sampling {
        period: u32,
    }
}

/// The least and the most of a 95 % interval.
pub(super) type Interval = [u64; 2];

objects! {
    pub(super) struct Meminfo of meminfo: SlabMemory {
        slab: u64,
        sreclaimable: u64,
        sunreclaim: u64,
        available: Option<u64>,
    }

    struct OwnCost of cost: view::OwnCost {
        probe_ns_per_event: Option<f64>,
        cpu_share: Option<f64> = cost.probes_cpu.zip(cost.userspace_cpu).map(|(probes, userspace)| probes + userspace),
        userspace_cpu_share: Option<f64> = cost.userspace_cpu,
        rss_bytes: Option<u64> = cost.resident_bytes,
        kernel_bytes: Option<u64>,
        max_memory_bytes: Option<u64> = cost.max_memory,
        max_cpu_share: Option<f64> = cost.max_cpu,
    }

    pub(super) struct Cache<'a> of cache: &'a view::CacheTotals, sampling: view::Sampling {
        name: &'a str = &cache.name,
        aliases: &'a [String] = &cache.aliases,
        object_size: u64,
        reclaimable: Option<bool>,
        allocs: u64,
        frees: u64,
        outstanding_objects: u64,
        outstanding_objects_ci95: Option<Interval> = interval(sampling, cache.outstanding_objects),
        outstanding_bytes: u64,
        lost_allocs: u64,
        lost_frees: u64,
        slabinfo_objects: Option<u64>,
        slabinfo_objects_per_s: Option<f64> = cache.slabinfo_objects_per_s.filter(|rate| rate.is_finite()),
        slabinfo_growth: Option<i64> = cache.growth.map(|growth| growth.slabinfo),
        traced_growth: Option<i64> = cache.growth.map(|growth| growth.traced),
        partial: Option<Partial> = cache.partial.map(Partial::of),
    }

    struct Partial of partial: reconcile::Partial {
        reason: &'static str = partial.sign.into_str(),
        unseen_frees_share: f64 = finite(partial.unseen_frees_share),
    }

    pub(super) struct Row<'a> of row: &'a view::Row, sampling: view::Sampling {
        key: Cow<'a, str> = Cow::Owned(texts(&row.keys).join(KEYS_BETWEEN)),
        comm: Option<Cow<'a, str>> = row.comm.as_deref().map(escape::json),
        pid: Option<u32>,
        process: Option<Process<'a>> = row.process.as_ref().map(Process::of),
        cache: Option<&'a str> = row.cache.as_deref(),
        caches: Vec<CacheShare<'a>> = all(&row.caches, CacheShare::of),
        trend: &'static str = row.trend.into_str(),
        call_site: Option<CallSite<'a>> = row.call_site.as_ref().map(CallSite::of),
        context: Option<&'static str> = row.alloc_context.context.map(|context| context.into_str()),
        gfp: Option<Gfp<'a>> = row.alloc_context.gfp.as_ref().map(Gfp::of),
        node: Option<u16> = row.alloc_context.node,
        stacked_objects: u64,
        stacks: Vec<Stack<'a>> = all(&row.stacks, Stack::of),
        started_by: Vec<Ancestors<'a>> = all(&row.started_by, Ancestors::of),
        cgroups: Vec<Cgroup<'a>> = all(&row.cgroups, cgroup),
        processes: u64,
        objects: u64,
        objects_ci95: Option<Interval> = interval(sampling, row.objects),
        bytes: u64,
        partial_objects: u64,
        objects_until_end: u64,
        allocs: u64,
        frees: u64,
        allocs_per_s: f64 = finite(row.allocs_per_s),
        frees_per_s: f64 = finite(row.frees_per_s),
        growth_per_s: f64 = finite(row.growth_per_s),
        survival: f64 = finite(row.survival()),
        oldest_ns: Option<u64> = row.oldest.map(nanos),
        ages: Vec<AgeBucket> = all(&row.ages, AgeBucket::of),
        generations: Vec<Generation> = all(&row.cohorts, Generation::of),
        named_objects: u64,
        negative_share: Option<f64> = row.negatives.map(names::negative_share),
        names: Vec<Names<'a>> = all(&row.names, Names::of),
    }

    struct Process<'a> of process: &'a view::ProcessInfo {
        program: Option<Cow<'a, str>> = known(&process.program),
        command_line: Option<Cow<'a, str>> = known(&process.command_line),
        ended: bool = process.has_ended,
    }

    struct CacheShare<'a> of cache: &'a view::CacheShare {
        name: &'a str = &cache.name,
        objects: u64,
        bytes: u64,
        allocs: u64,
    }

    struct CallSite<'a> of site: &'a view::CallSite {
        address: String = format!("{:#x}", site.address),
        symbol: Option<&'a str> = site.symbol.as_deref(),
    }

    struct Gfp<'a> of gfp: &'a view::GfpFlags {
        flags: String = format!("{:#x}", gfp.flags),
        names: Option<&'a str> = gfp.names.as_deref(),
    }

    struct Stack<'a> of stack: &'a view::StackShare {
        frames: &'a [String] = &stack.frames,
        objects: u64,
    }

    struct Ancestors<'a> of ancestors: &'a view::Ancestors {
        comms: Vec<Cow<'a, str>> = texts(&ancestors.comms),
        objects: u64,
    }

    struct Cgroup<'a> of cgroup: &'a view::CgroupShare, owner: Owner<'a> {
        id: u64,
        path: Option<Cow<'a, str>> = cgroup.path.as_deref().map(escape::json),
        unit: Option<&'a str> = owner.unit,
        container: Option<&'a str> = owner.container.map(|container| container.id),
        runtime: Option<&'static str> = owner.container.and_then(|container| container.runtime),
        pod: Option<String> = owner.pod,
        objects: u64,
    }

    pub(super) struct Rest of rest: view::Rest, sampling: view::Sampling {
        rows: u64,
        objects: u64,
        objects_ci95: Option<Interval> = interval(sampling, rest.objects),
        bytes: u64,
    }

    pub(super) struct Trust of trust: &view::Trust {
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
        verified_objects: Option<u64> = trust.verified.map(|verified| verified.objects),
        refuted_objects: Option<u64> = trust.verified.map(|verified| verified.refuted),
        is_verified: bool = trust.is_verified(),
        unseen_allocations: Option<u64> = trust.unseen_allocations.map(|unseen| unseen.objects),
        unseen_allocations_ci95: Option<(u64, u64)> = trust.unseen_allocations.map(|unseen| unseen.ci95),
        slabinfo_agreement: Option<f64> = trust.slabinfo_agreement.filter(|share| share.is_finite()),
    }
}

fn cgroup(share: &view::CgroupShare) -> Cgroup<'_> {
    Cgroup::of(share, share.path.as_deref().map(Owner::from_path).unwrap_or_default())
}

fn known(text: &[u8]) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then(|| escape::json(text))
}

fn texts(list: &[Vec<u8>]) -> Vec<Cow<'_, str>> {
    all(list, |text| escape::json(text))
}

pub(super) fn interval(sampling: view::Sampling, estimate: u64) -> Option<Interval> {
    sampling.interval(estimate).map(|interval| [*interval.start(), *interval.end()])
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
