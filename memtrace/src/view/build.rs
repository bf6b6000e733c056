//! From the ledger to a [`Snapshot`]: grouping, rates, order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use super::{
    AgeBucket, Ancestors, CacheShare, CacheTotals, CallSite, CgroupShare, Cohort, Keys, ProcessInfo, Rest,
    Row, Snapshot, Sort, StackShare, Trend, Trust,
    ages::{AllocsUntil, Survivors, Timeline},
    checkpoint::Checkpoint,
    key::{Directories, Part, alloc_context, chain, label, who},
    places::Places,
    reconcile::{self, Partial, Traced},
    tree,
    trend::History,
    verdict,
};
use crate::{
    attribution::{
        cgroup::Cgroups,
        process::{ChainId, NO_CHAIN, Processes},
    },
    kernel::gfp::GfpNames,
    knowledge::incidents::Incidents,
    stream::{
        calls::{CallSites, StackNames},
        event::{Address, CgroupId, Comm, NO_STACK, ProcessId, StackId, TimeNs},
        ledger::{Aged, FOLDED, Ledger, Origin, OriginKey},
    },
};

/// Most name groups in a row.
const MAX_NAMES: usize = 20;
/// Most chains of ancestors in a row, and most cgroups.
const MAX_SHARES: usize = 10;
/// So many rows have stacks, made of so many different ones at most.
const ROWS_WITH_STACKS: usize = 20;
const MAX_STACKS: usize = 100;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    pub by: Keys,
    pub sort: Sort,
    pub older: Option<Duration>,
    /// Rows at most.
    pub top: usize,
}

/// What is known of a slab cache besides its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheInfo {
    pub name: String,
    pub aliases: Vec<String>,
    /// Bytes that one object takes.
    pub object_size: u64,
    pub reclaimable: Option<bool>,
    /// So many of the objects that slabinfo counts may be free. None where that is not known.
    pub slack: Option<u64>,
    /// Shown even before its first event.
    pub is_requested: bool,
}

/// Slab caches by address. Several may have one name: per-cgroup caches before v5.9.
pub type Caches = HashMap<Address, CacheInfo>;

/// What is known of those that the ledger's origins name, and which of these are shown.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub host: &'a str,
    pub kernel: &'a str,
    pub caches: &'a Caches,
    pub processes: &'a Processes,
    pub cgroups: &'a Cgroups,
    /// None where they are not needed or not to be had.
    pub call_sites: Option<&'a dyn CallSites>,
    /// None where they are not asked for.
    pub stacks: Option<&'a dyn StackNames>,
    /// None where they are not needed or not to be had.
    pub gfp_names: Option<&'a GfpNames>,
    /// What was seen before.
    pub incidents: &'a Incidents,
    pub is_shown: &'a dyn Fn(&OriginKey) -> bool,
}

/// Makes snapshots, and remembers the last one's totals for the rates.
pub struct Builder {
    report_options: ReportOptions,
    previous: HashMap<RowKey, Previous>,
    previous_elapsed: Duration,
    timeline: Timeline,
    /// Of all rows together.
    allocs: AllocsUntil,
}

/// Outstanding objects by stack.
type Stacked = HashMap<StackId, u64>;

/// What a row is made of, for those that are shown.
struct Parts<'a> {
    stacked: Stacked,
    origins: Vec<(&'a Origin, &'a CacheInfo)>,
    allocs: AllocsUntil,
}

/// A part for each key that was asked for.
type RowKey = Vec<Part>;

/// What is remembered of a row from one snapshot to the next.
#[derive(Default)]
struct Previous {
    totals: Totals,
    history: History,
    allocs: AllocsUntil,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    allocs: u64,
    frees: u64,
}

/// What a row has of one cache.
#[derive(Clone, Copy, Default)]
struct OfCache {
    objects: u64,
    bytes: u64,
    /// Since attach, freed or not.
    allocs: u64,
}

/// A row in the making.
#[derive(Default)]
struct Group<'a> {
    totals: Totals,
    objects: u64,
    bytes: u64,
    partial_objects: u64,
    oldest: Option<TimeNs>,
    processes: HashSet<ProcessId>,
    folded_processes: u64,
    /// Outstanding objects by who started their processes, and by their tasks' cgroups.
    chains: HashMap<ChainId, u64>,
    cgroups: HashMap<CgroupId, u64>,
    stacks: Stacked,
    /// Outstanding objects by command name, to find the one that holds most.
    comms: BTreeMap<(Comm, bool), u64>,
    caches: HashMap<&'a str, OfCache>,
    places: Places<'a>,
    /// Those that hold something.
    origins: Vec<(&'a Origin, &'a CacheInfo)>,
}

impl Builder {
    pub fn new(report_options: ReportOptions) -> Self {
        Self {
            report_options,
            previous: HashMap::new(),
            previous_elapsed: Duration::ZERO,
            timeline: Timeline::default(),
            allocs: AllocsUntil::default(),
        }
    }

    /// The state of the session now. Rates are over the time since the last call; in the final snapshot over all.
    pub fn snapshot(&mut self, ledger: &Ledger, checkpoint: &Checkpoint, known: Known<'_>) -> Snapshot {
        self.timeline.report(checkpoint.now, checkpoint.elapsed, checkpoint.is_final);
        let unknown = CacheInfo::default();
        let directories = Directories {
            processes: known.processes,
            cgroups: known.cgroups,
            call_sites: known.call_sites,
            gfp_names: known.gfp_names,
        };
        let caches = caches(ledger, checkpoint, known);
        let partial: HashSet<&str> =
            caches.iter().filter(|cache| cache.partial.is_some()).map(|cache| cache.name.as_str()).collect();
        let aged = self.report_options.older.map(|age| {
            let time = checkpoint.now.saturating_sub(age.as_nanos() as u64);
            ledger.allocated_until(time)
        });
        let mut groups: HashMap<RowKey, Group<'_>> = HashMap::new();
        for origin in shown(ledger, known) {
            let cache = known.caches.get(&origin.key.cache).unwrap_or(&unknown);
            let key =
                self.report_options.by.iter().map(|by| Part::of(by, &origin.key, &cache.name, directories));
            let group = groups.entry(key.collect()).or_default();
            let before = group.objects;
            add(group, ledger, aged.as_ref(), origin, cache, known.processes);
            if partial.contains(cache.name.as_str()) {
                group.partial_objects += group.objects - before;
            }
        }
        let seconds =
            if checkpoint.is_final { checkpoint.elapsed } else { checkpoint.elapsed - self.previous_elapsed }
                .as_secs_f64();
        let mut rows: Vec<(Row, Parts<'_>)> = Vec::with_capacity(groups.len());
        let mut totals = HashMap::with_capacity(groups.len());
        for (key, mut group) in groups {
            let Previous { totals: before, mut history, mut allocs } =
                self.previous.remove(&key).unwrap_or_default();
            let before = if checkpoint.is_final { Totals::default() } else { before };
            let (stacked, origins) = (std::mem::take(&mut group.stacks), std::mem::take(&mut group.origins));
            let mut row = group.into_row(&key, before, seconds, checkpoint.now, directories);
            history.add(checkpoint.elapsed, row.objects);
            row.trend = history.trend(row.allocs);
            row.stacked_objects = stacked.values().sum();
            allocs.report(&self.timeline, row.allocs);
            let parts = Parts { stacked, origins, allocs: allocs.clone() };
            let previous =
                Previous { totals: Totals { allocs: row.allocs, frees: row.frees }, history, allocs };
            totals.insert(key, previous);
            rows.push((row, parts));
        }
        self.previous = totals;
        let verdict = verdict::of(
            rows.iter().map(|(row, _)| row),
            &caches,
            checkpoint.meminfo,
            &checkpoint.trust,
            known.incidents,
        );
        self.previous_elapsed = checkpoint.elapsed;
        let (ages, cohorts) = self.survivors(ledger, checkpoint, known);
        let rest = self.order(&mut rows);
        let rows = self.with_parts(rows, ledger, checkpoint, known);
        let directories =
            if checkpoint.is_final { tree::directories(ledger, shown(ledger, known)) } else { Vec::new() };
        let mut notes = checkpoint.notes.clone();
        notes.extend(reconcile::note(&caches));
        let trust = Trust { slabinfo_agreement: reconcile::agreement(&caches), ..checkpoint.trust };
        Snapshot {
            is_final: checkpoint.is_final,
            time: checkpoint.time,
            elapsed: checkpoint.elapsed,
            settled: checkpoint.settled,
            host: known.host.to_owned(),
            kernel: known.kernel.to_owned(),
            by: self.report_options.by.clone(),
            sort: self.report_options.sort,
            older: self.report_options.older,
            sampling: checkpoint.sampling,
            stacks_period: known.stacks.map(|stacks| stacks.period()),
            meminfo: checkpoint.meminfo,
            own_cost: checkpoint.own_cost,
            caches,
            rows,
            rest,
            verdict,
            ages,
            cohorts,
            directories,
            trust,
            notes,
        }
    }

    /// Sorts and cuts; returns what was cut.
    fn order(&self, rows: &mut Vec<(Row, Parts<'_>)>) -> Option<Rest> {
        let sort = self.report_options.sort;
        rows.sort_by(|(a, _), (b, _)| by_rank(a, b, sort));
        if rows.len() <= self.report_options.top {
            return None;
        }
        let cut = rows.split_off(self.report_options.top);
        let rest = Rest {
            rows: cut.len() as u64,
            objects: cut.iter().map(|(row, _)| row.objects).sum(),
            bytes: cut.iter().map(|(row, _)| row.bytes).sum(),
        };
        Some(rest)
    }

    /// Of all together.
    fn survivors(
        &mut self,
        ledger: &Ledger,
        checkpoint: &Checkpoint,
        known: Known<'_>,
    ) -> (Vec<AgeBucket>, Vec<Cohort>) {
        let unknown = CacheInfo::default();
        self.allocs.report(&self.timeline, shown(ledger, known).map(|origin| origin.allocs).sum());
        let mut survivors = Survivors::new(&self.timeline, checkpoint.now);
        for origin in shown(ledger, known) {
            let cache = known.caches.get(&origin.key.cache).unwrap_or(&unknown);
            survivors.add(ledger, origin, cache.object_size);
        }
        (survivors.ages(), survivors.cohorts(&self.allocs))
    }

    /// Gives rows what is made for those only that are shown.
    fn with_parts(
        &self,
        rows: Vec<(Row, Parts<'_>)>,
        ledger: &Ledger,
        checkpoint: &Checkpoint,
        known: Known<'_>,
    ) -> Vec<Row> {
        let rows = rows.into_iter().enumerate().map(|(at, (row, parts))| {
            let mut survivors = Survivors::new(&self.timeline, checkpoint.now);
            for (origin, cache) in parts.origins {
                survivors.add(ledger, origin, cache.object_size);
            }
            // Their names take reading files.
            let stacks = known.stacks.filter(|_| at < ROWS_WITH_STACKS);
            Row {
                ages: survivors.ages(),
                cohorts: survivors.cohorts(&parts.allocs),
                stacks: stacks.map(|stacks| stack_shares(&parts.stacked, stacks)).unwrap_or_default(),
                ..row
            }
        });
        rows.collect()
    }
}

/// Adds an origin's part to its row: all of its objects, or those of an age.
fn add<'a>(
    group: &mut Group<'a>,
    ledger: &'a Ledger,
    aged: Option<&'a Aged<'a>>,
    origin: &'a Origin,
    cache: &'a CacheInfo,
    processes: &Processes,
) {
    let (objects, names): (_, Vec<_>) = match aged {
        None => (origin.outstanding(), ledger.names(origin).collect()),
        Some(aged) => (aged.objects(origin), aged.names(origin).collect()),
    };
    group.totals.allocs += origin.allocs;
    group.totals.frees += origin.frees;
    group.objects += objects;
    group.bytes += objects * cache.object_size;
    group.oldest = [group.oldest, ledger.oldest(origin)].into_iter().flatten().min();
    if origin.outstanding() > 0 {
        group.origins.push((origin, cache));
    }
    let of_cache = group.caches.entry(&cache.name).or_default();
    of_cache.objects += objects;
    of_cache.bytes += objects * cache.object_size;
    of_cache.allocs += origin.allocs;
    if objects > 0 {
        group.add_process(origin);
        *group.chains.entry(chain(origin.key.task, processes)).or_default() += objects;
        *group.cgroups.entry(origin.key.cgroup).or_default() += objects;
        if origin.key.stack != NO_STACK {
            *group.stacks.entry(origin.key.stack).or_default() += objects;
        }
    }
    *group.comms.entry(who(origin.key.task)).or_default() += objects;
    names.into_iter().for_each(|named| group.places.add(named));
}

/// Calls from different places in one function are the same here.
fn stack_shares(stacked: &Stacked, stacks: &dyn StackNames) -> Vec<StackShare> {
    let mut most: Vec<(StackId, u64)> = stacked.iter().map(|(&id, &objects)| (id, objects)).collect();
    most.sort_unstable_by_key(|&(id, objects)| (std::cmp::Reverse(objects), id));
    most.truncate(MAX_STACKS);
    let mut shares: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for (id, objects) in most.into_iter().filter(|(_, objects)| *objects > 0) {
        *shares.entry(stacks.names(id)).or_default() += objects;
    }
    let mut shares: Vec<StackShare> =
        shares.into_iter().map(|(frames, objects)| StackShare { frames, objects }).collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.objects));
    shares.truncate(MAX_SHARES);
    shares
}

/// Biggest first; equals in a fixed order, so that rows do not jump.
fn by_rank(a: &Row, b: &Row, sort: Sort) -> std::cmp::Ordering {
    let primary = match sort {
        Sort::Bytes => b.bytes.cmp(&a.bytes),
        Sort::Objects => b.objects.cmp(&a.objects),
        Sort::Growth => b.growth_per_s.total_cmp(&a.growth_per_s),
        Sort::Age => b.oldest.cmp(&a.oldest),
    };
    primary
        .then_with(|| b.bytes.cmp(&a.bytes))
        .then_with(|| b.objects.cmp(&a.objects))
        .then_with(|| b.allocs.cmp(&a.allocs))
        .then_with(|| a.keys.cmp(&b.keys))
}

impl Group<'_> {
    fn add_process(&mut self, origin: &Origin) {
        match origin.key.task.tgid {
            FOLDED => self.folded_processes += origin.processes,
            _ => {
                self.processes.insert(origin.key.task.process());
            }
        }
    }

    fn into_row(
        self,
        key: &RowKey,
        before: Totals,
        seconds: f64,
        now: TimeNs,
        directories: Directories<'_>,
    ) -> Row {
        let allocs = self.totals.allocs.saturating_sub(before.allocs) as f64;
        let frees = self.totals.frees.saturating_sub(before.frees) as f64;
        let per_s = |events: f64| if seconds > 0.0 { events / seconds } else { 0.0 };
        let process = self.process(key);
        Row {
            keys: key.iter().map(|part| part.text(directories)).collect(),
            comm: self.comm(key),
            pid: process.map(|process| process.tgid),
            process: process.and_then(|process| info(directories.processes, process)),
            cache: self.cache(key),
            caches: self.caches(),
            trend: Trend::TooEarly,
            started_by: self.started_by(directories.processes),
            cgroups: self.cgroups(directories.cgroups),
            call_site: call_site(key, directories.call_sites),
            alloc_context: alloc_context(key, directories),
            stacked_objects: 0,
            stacks: Vec::new(),
            processes: self.processes.len() as u64 + self.folded_processes,
            objects: self.objects,
            bytes: self.bytes,
            partial_objects: self.partial_objects,
            allocs: self.totals.allocs,
            frees: self.totals.frees,
            allocs_per_s: per_s(allocs),
            frees_per_s: per_s(frees),
            // Not of the two rates: what rounds differently would move rows that grow alike.
            growth_per_s: per_s(allocs - frees),
            oldest: self.oldest.map(|oldest| Duration::from_nanos(now.saturating_sub(oldest))),
            ages: Vec::new(),
            cohorts: Vec::new(),
            named_objects: self.places.objects(),
            negatives: self.places.negatives(),
            names: self.places.into_groups(MAX_NAMES),
        }
    }

    /// The row's command name: a process that changed its name goes by the one that holds most.
    fn comm(&self, key: &RowKey) -> Option<Vec<u8>> {
        let of_key = key.iter().find_map(|part| match *part {
            Part::Comm(comm, is_kthread) | Part::Ancestors(comm, is_kthread, _) => Some((comm, is_kthread)),
            _ => None,
        });
        let is_of_process = key.iter().any(|part| matches!(part, Part::Process(_)));
        let mut holders = self.comms.iter().filter(|(_, objects)| **objects > 0).map(|(comm, _)| *comm);
        let only_or_most = match (of_key, is_of_process) {
            (Some(comm), _) => Some(comm),
            (None, true) if self.process(key).is_none() => None,
            (None, true) => self.comms.iter().max_by_key(|(_, objects)| **objects).map(|(comm, _)| *comm),
            (None, false) => holders.next().filter(|_| holders.next().is_none()),
        };
        only_or_most.map(label)
    }

    fn process(&self, key: &RowKey) -> Option<ProcessId> {
        let of_key =
            key.iter().find_map(|part| if let Part::Process(process) = part { Some(*process) } else { None });
        let mut holders = self.processes.iter().copied();
        match of_key {
            Some(process) => Some(process).filter(|process| process.tgid != FOLDED),
            None if self.folded_processes > 0 => None,
            None => holders.next().filter(|_| holders.next().is_none()),
        }
    }

    fn cache(&self, key: &RowKey) -> Option<String> {
        let of_key =
            key.iter().find_map(|part| if let Part::Cache(name) = part { Some(name.clone()) } else { None });
        let mut caches = self.caches.iter().filter(|(_, of)| of.objects > 0).map(|(name, _)| name);
        of_key.or_else(|| caches.next().filter(|_| caches.next().is_none()).map(ToString::to_string))
    }

    fn caches(&self) -> Vec<CacheShare> {
        let share = |(name, of): (&&str, &OfCache)| {
            let OfCache { objects, bytes, allocs } = *of;
            CacheShare { name: (*name).to_owned(), objects, bytes, allocs }
        };
        let outstanding = self.caches.iter().filter(|(_, of)| of.objects > 0);
        let mut caches: Vec<CacheShare> = outstanding.map(share).collect();
        caches.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        caches.truncate(MAX_SHARES);
        caches
    }

    fn started_by(&self, processes: &Processes) -> Vec<Ancestors> {
        let comms = |chain| processes.chain(chain).map(|comm| comm.as_bytes().to_vec()).collect();
        // That nobody is known to have started them says something only beside others.
        if self.chains.keys().all(|&chain| chain == NO_CHAIN) {
            return Vec::new();
        }
        let chains = self.chains.iter().map(|(&chain, &objects)| Ancestors { comms: comms(chain), objects });
        let mut chains: Vec<Ancestors> = chains.collect();
        chains.sort_by(|a, b| b.objects.cmp(&a.objects).then_with(|| a.comms.cmp(&b.comms)));
        chains.truncate(MAX_SHARES);
        chains
    }

    fn cgroups(&self, names: &Cgroups) -> Vec<CgroupShare> {
        let path = |id| names.path(id).map(<[u8]>::to_vec);
        let cgroups = self.cgroups.iter().map(|(&id, &objects)| CgroupShare { id, path: path(id), objects });
        let mut cgroups: Vec<CgroupShare> = cgroups.collect();
        cgroups.sort_by(|a, b| b.objects.cmp(&a.objects).then(a.id.cmp(&b.id)));
        cgroups.truncate(MAX_SHARES);
        cgroups
    }
}

fn info(processes: &Processes, id: ProcessId) -> Option<ProcessInfo> {
    let process = processes.get(id)?;
    let command = process.command.as_deref();
    Some(ProcessInfo {
        program: command.map(|command| command.path.to_vec()).unwrap_or_default(),
        command_line: command.map(|command| command.line()).unwrap_or_default(),
        has_ended: process.has_ended,
    })
}

fn call_site(key: &RowKey, names: Option<&dyn CallSites>) -> Option<CallSite> {
    let address =
        key.iter().find_map(|part| if let Part::CallSite(address) = part { Some(*address) } else { None });
    let address = address.filter(|&address| address != 0)?;
    Some(CallSite { address, symbol: names.and_then(|names| names.name(address)) })
}

/// Whose allocations are shown.
pub(super) fn shown<'a>(ledger: &'a Ledger, known: Known<'a>) -> impl Iterator<Item = &'a Origin> {
    ledger.origins().filter(move |origin| (known.is_shown)(&origin.key))
}

/// Totals by cache, biggest first.
fn caches(ledger: &Ledger, checkpoint: &Checkpoint, known: Known<'_>) -> Vec<CacheTotals> {
    let traced =
        reconcile::traced(ledger, known.caches, &checkpoint.losses, checkpoint.trust.recursion_misses);
    let total_of = |cache: &CacheInfo| CacheTotals::of(cache, checkpoint, traced.get(&cache.name));
    let requested = known.caches.values().filter(|cache| cache.is_requested);
    let mut totals: HashMap<&str, CacheTotals> =
        requested.map(|cache| (cache.name.as_str(), total_of(cache))).collect();
    for origin in shown(ledger, known) {
        let Some(cache) = known.caches.get(&origin.key.cache) else { continue };
        let total = totals.entry(&cache.name).or_insert_with(|| total_of(cache));
        total.allocs += origin.allocs;
        total.frees += origin.frees;
        total.outstanding_objects += origin.outstanding();
        total.outstanding_bytes += origin.outstanding() * cache.object_size;
    }
    for (address, lost) in &checkpoint.losses {
        let Some(cache) = known.caches.get(address) else { continue };
        let total = totals.entry(&cache.name).or_insert_with(|| total_of(cache));
        total.lost_allocs = total.lost_allocs.saturating_add(lost.allocs);
        total.lost_frees = total.lost_frees.saturating_add(lost.frees);
    }
    let mut totals: Vec<_> = totals.into_values().collect();
    totals.sort_by(|a, b| b.outstanding_bytes.cmp(&a.outstanding_bytes).then_with(|| a.name.cmp(&b.name)));
    totals
}

impl CacheTotals {
    /// Totals of a cache without events.
    fn of(cache: &CacheInfo, checkpoint: &Checkpoint, traced: Option<&Traced>) -> Self {
        let slabinfo = checkpoint.slabinfo.get(&cache.name);
        let growth = checkpoint.growth.get(&cache.name);
        Self {
            name: cache.name.clone(),
            aliases: cache.aliases.clone(),
            object_size: cache.object_size,
            reclaimable: cache.reclaimable,
            allocs: 0,
            frees: 0,
            outstanding_objects: 0,
            outstanding_bytes: 0,
            lost_allocs: 0,
            lost_frees: 0,
            slabinfo_objects: slabinfo.map(|slabinfo| slabinfo.objects),
            slabinfo_objects_per_s: slabinfo.and_then(|slabinfo| slabinfo.objects_per_s),
            partial: traced.and_then(|traced| Partial::find(traced, growth)),
            growth: growth.copied(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
