//! From the ledger to a [`Snapshot`]: grouping, rates, order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use super::{
    Ancestors, CacheShare, CacheTotals, CallSite, CgroupShare, Keys, Meminfo, OwnCost, ProcessInfo, Rest,
    Row, Sampling, Settled, Snapshot, Sort, StackShare, Trend, Trust,
    key::{Directories, Part, chain, circumstances, label, who},
    places::Places,
    reconcile::{self, Growth, Partial, Traced},
    tree,
    trend::History,
    verdict,
};
use crate::{
    cgroup::Cgroups,
    event::{Address, CgroupId, Comm, NO_STACK, ProcessId, StackId, TimeNs},
    kernel::{gfp::GfpNames, symbols::Symbols},
    knowledge::incidents::Incidents,
    ledger::{Aged, FOLDED, Ledger, Origin},
    process::{ChainId, NO_CHAIN, Processes},
    stack::Stacks,
};

/// Most name groups in a row.
const MOST_NAMES: usize = 20;
/// Most chains of ancestors in a row, and most cgroups.
const MOST_SHARES: usize = 10;
/// So many rows have stacks, made of so many different ones at most.
const ROWS_WITH_STACKS: usize = 20;
const MOST_STACKS: usize = 100;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
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

/// What /proc/slabinfo says of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slabinfo {
    pub objects: u64,
    pub objects_per_s: Option<f64>,
    /// By how much the kernel's estimate may be wrong, beside [`CacheInfo::slack`].
    pub inexact: u64,
}

/// Events of a cache that did not arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    pub allocs: u64,
    pub frees: u64,
}

/// What a snapshot needs besides the ledger.
pub struct Facts<'a> {
    pub is_final: bool,
    pub time: std::time::SystemTime,
    /// Now, on the clock of the events.
    pub now: TimeNs,
    pub elapsed: Duration,
    /// Process whose allocations are nobody's business: memtrace.
    pub own_tgid: u32,
    pub settled: Option<Settled>,
    pub sampling: Sampling,
    pub host: &'a str,
    pub kernel: &'a str,
    pub meminfo: Option<Meminfo>,
    pub own_cost: OwnCost,
    pub caches: &'a Caches,
    pub processes: &'a Processes,
    pub cgroups: &'a Cgroups,
    /// None where they are not needed or not to be had.
    pub symbols: Option<&'a Symbols>,
    /// None where they are not asked for.
    pub stacks: Option<&'a Stacks>,
    /// None where they are not needed or not to be had.
    pub gfp_names: Option<&'a GfpNames>,
    /// What was seen before.
    pub incidents: &'a Incidents,
    /// Lost events by the cache's address.
    pub losses: &'a HashMap<Address, Losses>,
    /// By the cache's name.
    pub slabinfo: &'a HashMap<String, Slabinfo>,
    /// By the cache's name, now.
    pub traced: &'a HashMap<String, Traced>,
    /// By the cache's name, as of the last reading of slabinfo; empty where it is not compared.
    pub growth: &'a HashMap<String, Growth>,
    pub trust: Trust,
    pub notes: Vec<String>,
}

/// Makes snapshots, and remembers the last one's totals for the rates.
pub struct Builder {
    request: Request,
    previous: HashMap<RowKey, Previous>,
    previous_elapsed: Duration,
}

/// Outstanding objects by stack.
type Stacked = HashMap<StackId, u64>;

/// A part for each key that was asked for.
type RowKey = Vec<Part>;

/// What is remembered of a row from one snapshot to the next.
#[derive(Default)]
struct Previous {
    totals: Totals,
    history: History,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    allocs: u64,
    frees: u64,
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
    /// Outstanding objects and bytes by cache.
    caches: HashMap<&'a str, (u64, u64)>,
    places: Places<'a>,
}

impl Builder {
    pub fn new(request: Request) -> Self {
        Self { request, previous: HashMap::new(), previous_elapsed: Duration::ZERO }
    }

    /// The state of the session now. Rates are over the time since the last call; in the final snapshot over all.
    pub fn snapshot(&mut self, ledger: &Ledger, facts: Facts<'_>) -> Snapshot {
        let unknown = CacheInfo::default();
        let directories = Directories {
            processes: facts.processes,
            cgroups: facts.cgroups,
            symbols: facts.symbols,
            gfp_names: facts.gfp_names,
        };
        let caches = caches(ledger, &facts);
        let partial: HashSet<&str> =
            caches.iter().filter(|cache| cache.partial.is_some()).map(|cache| cache.name.as_str()).collect();
        let aged = self.request.older.map(|age| {
            let time = facts.now.saturating_sub(age.as_nanos() as u64);
            ledger.allocated_until(time)
        });
        let mut groups: HashMap<RowKey, Group<'_>> = HashMap::new();
        for origin in others(ledger, &facts) {
            let cache = facts.caches.get(&origin.key.cache).unwrap_or(&unknown);
            let key = self.request.by.iter().map(|by| Part::of(by, &origin.key, &cache.name, directories));
            let group = groups.entry(key.collect()).or_default();
            let before = group.objects;
            add(group, ledger, aged.as_ref(), origin, cache, facts.processes);
            if partial.contains(cache.name.as_str()) {
                group.partial_objects += group.objects - before;
            }
        }
        let seconds =
            if facts.is_final { facts.elapsed } else { facts.elapsed - self.previous_elapsed }.as_secs_f64();
        let mut rows: Vec<(Row, Stacked)> = Vec::with_capacity(groups.len());
        let mut totals = HashMap::with_capacity(groups.len());
        for (key, mut group) in groups {
            let Previous { totals: before, mut history } = self.previous.remove(&key).unwrap_or_default();
            let before = if facts.is_final { Totals::default() } else { before };
            let stacks = std::mem::take(&mut group.stacks);
            let mut row = group.into_row(&key, before, seconds, facts.now, directories);
            history.add(facts.elapsed, row.objects);
            row.trend = history.trend(row.allocs);
            row.stacked_objects = stacks.values().sum();
            totals.insert(key, Previous { totals: Totals { allocs: row.allocs, frees: row.frees }, history });
            rows.push((row, stacks));
        }
        self.previous = totals;
        let verdict = verdict::of(
            rows.iter().map(|(row, _)| row),
            &caches,
            facts.meminfo,
            &facts.trust,
            facts.incidents,
        );
        self.previous_elapsed = facts.elapsed;
        let rest = self.order(&mut rows);
        let rows = with_stacks(rows, facts.stacks);
        let is_final = facts.is_final;
        let directories =
            if is_final { tree::directories(ledger, others(ledger, &facts)) } else { Vec::new() };
        let mut notes = facts.notes;
        notes.extend(reconcile::note(&caches));
        let trust = Trust { slabinfo_agreement: reconcile::agreement(&caches), ..facts.trust };
        Snapshot {
            is_final: facts.is_final,
            time: facts.time,
            elapsed: facts.elapsed,
            settled: facts.settled,
            host: facts.host.to_owned(),
            kernel: facts.kernel.to_owned(),
            by: self.request.by.clone(),
            sort: self.request.sort,
            older: self.request.older,
            sampling: facts.sampling,
            stacks_period: facts.stacks.map(|stacks| stacks.period),
            meminfo: facts.meminfo,
            own_cost: facts.own_cost,
            caches,
            rows,
            rest,
            verdict,
            directories,
            trust,
            notes,
        }
    }

    /// Sorts and cuts; returns what was cut.
    fn order(&self, rows: &mut Vec<(Row, Stacked)>) -> Option<Rest> {
        let sort = self.request.sort;
        rows.sort_by(|(a, _), (b, _)| by_rank(a, b, sort));
        if rows.len() <= self.request.top {
            return None;
        }
        let cut = rows.split_off(self.request.top);
        let rest = Rest {
            rows: cut.len() as u64,
            objects: cut.iter().map(|(row, _)| row.objects).sum(),
            bytes: cut.iter().map(|(row, _)| row.bytes).sum(),
        };
        Some(rest)
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
    if objects > 0 {
        group.add_process(origin);
        let (of_cache, bytes) = group.caches.entry(&cache.name).or_default();
        *of_cache += objects;
        *bytes += objects * cache.object_size;
        *group.chains.entry(chain(origin.key.task, processes)).or_default() += objects;
        *group.cgroups.entry(origin.key.cgroup).or_default() += objects;
        if origin.key.stack != NO_STACK {
            *group.stacks.entry(origin.key.stack).or_default() += objects;
        }
    }
    *group.comms.entry(who(origin.key.task)).or_default() += objects;
    names.into_iter().for_each(|named| group.places.add(named));
}

/// Gives the first rows the names of their stacks: it takes reading files.
fn with_stacks(rows: Vec<(Row, Stacked)>, stacks: Option<&Stacks>) -> Vec<Row> {
    let Some(stacks) = stacks else { return rows.into_iter().map(|(row, _)| row).collect() };
    let named = |(at, (row, stacked)): (usize, (Row, Stacked))| {
        let stacks = if at < ROWS_WITH_STACKS { stack_shares(&stacked, stacks) } else { Vec::new() };
        Row { stacks, ..row }
    };
    rows.into_iter().enumerate().map(named).collect()
}

/// Calls from different places in one function are the same here.
fn stack_shares(stacked: &Stacked, stacks: &Stacks) -> Vec<StackShare> {
    let mut most: Vec<(StackId, u64)> = stacked.iter().map(|(&id, &objects)| (id, objects)).collect();
    most.sort_unstable_by_key(|&(id, objects)| (std::cmp::Reverse(objects), id));
    most.truncate(MOST_STACKS);
    let mut shares: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for (id, objects) in most.into_iter().filter(|(_, objects)| *objects > 0) {
        *shares.entry(stacks.names(id)).or_default() += objects;
    }
    let mut shares: Vec<StackShare> =
        shares.into_iter().map(|(frames, objects)| StackShare { frames, objects }).collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.objects));
    shares.truncate(MOST_SHARES);
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
            call_site: call_site(key, directories.symbols),
            circumstances: circumstances(key, directories),
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
            named_objects: self.places.objects(),
            negatives: self.places.negatives(),
            names: self.places.into_groups(MOST_NAMES),
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
        let mut caches = self.caches.keys();
        of_key.or_else(|| caches.next().filter(|_| caches.next().is_none()).map(ToString::to_string))
    }

    fn caches(&self) -> Vec<CacheShare> {
        let share = |(&name, &(objects, bytes)): (&&str, &(u64, u64))| CacheShare {
            name: name.to_owned(),
            objects,
            bytes,
        };
        let mut caches: Vec<CacheShare> = self.caches.iter().map(share).collect();
        caches.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        caches.truncate(MOST_SHARES);
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
        chains.truncate(MOST_SHARES);
        chains
    }

    fn cgroups(&self, names: &Cgroups) -> Vec<CgroupShare> {
        let path = |id| names.path(id).map(<[u8]>::to_vec);
        let cgroups = self.cgroups.iter().map(|(&id, &objects)| CgroupShare { id, path: path(id), objects });
        let mut cgroups: Vec<CgroupShare> = cgroups.collect();
        cgroups.sort_by(|a, b| b.objects.cmp(&a.objects).then(a.id.cmp(&b.id)));
        cgroups.truncate(MOST_SHARES);
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

fn call_site(key: &RowKey, symbols: Option<&Symbols>) -> Option<CallSite> {
    let address =
        key.iter().find_map(|part| if let Part::CallSite(address) = part { Some(*address) } else { None });
    let address = address.filter(|&address| address != 0)?;
    Some(CallSite { address, symbol: symbols.and_then(|symbols| symbols.name(address)) })
}

/// Whose allocations are shown.
fn others<'a>(ledger: &'a Ledger, facts: &Facts<'_>) -> impl Iterator<Item = &'a Origin> {
    let own = facts.own_tgid;
    ledger.origins().filter(move |origin| origin.key.task.tgid != own)
}

/// Totals by cache, biggest first.
fn caches(ledger: &Ledger, facts: &Facts<'_>) -> Vec<CacheTotals> {
    let requested = facts.caches.values().filter(|cache| cache.is_requested);
    let mut totals: HashMap<&str, CacheTotals> =
        requested.map(|cache| (cache.name.as_str(), CacheTotals::of(cache, facts))).collect();
    for origin in others(ledger, facts) {
        let Some(cache) = facts.caches.get(&origin.key.cache) else { continue };
        let total = totals.entry(&cache.name).or_insert_with(|| CacheTotals::of(cache, facts));
        total.allocs += origin.allocs;
        total.frees += origin.frees;
        total.outstanding_objects += origin.outstanding();
        total.outstanding_bytes += origin.outstanding() * cache.object_size;
    }
    for (address, lost) in facts.losses {
        let Some(cache) = facts.caches.get(address) else { continue };
        let total = totals.entry(&cache.name).or_insert_with(|| CacheTotals::of(cache, facts));
        total.lost_allocs += lost.allocs;
        total.lost_frees += lost.frees;
    }
    let mut totals: Vec<_> = totals.into_values().collect();
    totals.sort_by(|a, b| b.outstanding_bytes.cmp(&a.outstanding_bytes).then_with(|| a.name.cmp(&b.name)));
    totals
}

impl CacheTotals {
    /// Totals of a cache without events.
    fn of(cache: &CacheInfo, facts: &Facts<'_>) -> Self {
        let slabinfo = facts.slabinfo.get(&cache.name);
        let growth = facts.growth.get(&cache.name);
        let traced = facts.traced.get(&cache.name);
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
mod tests;
