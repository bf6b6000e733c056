//! From the ledger to a [`Snapshot`]: grouping, rates, order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use super::{
    By, CacheTotals, Meminfo, OwnCost, Rest, Row, Sampling, Settled, Snapshot, Sort, Trust,
    places::Places,
    reconcile::{self, Growth, Partial, Traced},
};
use crate::{
    event::{Address, Comm, Task, TimeNs},
    ledger::{Aged, FOLDED, Ledger, OTHERS, Origin},
};

/// Most name groups in a row.
const MOST_NAMES: usize = 20;

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub by: By,
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
    previous: HashMap<RowKey, Totals>,
    previous_elapsed: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum RowKey {
    Comm(Comm, bool),
    Pid(u32),
    Cache(String),
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
    processes: HashSet<u32>,
    folded_processes: u64,
    /// Outstanding objects by command name, to find the one that holds most.
    comms: BTreeMap<(Comm, bool), u64>,
    caches: HashSet<&'a str>,
    places: Places<'a>,
}

impl Builder {
    pub fn new(request: Request) -> Self {
        Self { request, previous: HashMap::new(), previous_elapsed: Duration::ZERO }
    }

    /// The state of the session now. Rates are over the time since the last call; in the final snapshot over all.
    pub fn snapshot(&mut self, ledger: &Ledger, facts: Facts<'_>) -> Snapshot {
        let unknown = CacheInfo::default();
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
            let group = groups.entry(self.row_key(origin, cache)).or_default();
            let before = group.objects;
            add(group, ledger, aged.as_ref(), origin, cache);
            if partial.contains(cache.name.as_str()) {
                group.partial_objects += group.objects - before;
            }
        }
        let seconds =
            if facts.is_final { facts.elapsed } else { facts.elapsed - self.previous_elapsed }.as_secs_f64();
        let mut rows: Vec<Row> = Vec::with_capacity(groups.len());
        let mut totals = HashMap::with_capacity(groups.len());
        for (key, group) in groups {
            let before = if facts.is_final { None } else { self.previous.get(&key) };
            rows.push(group.into_row(&key, before.copied().unwrap_or_default(), seconds, facts.now));
            let row = rows.last().expect("just pushed");
            totals.insert(key, Totals { allocs: row.allocs, frees: row.frees });
        }
        self.previous = totals;
        self.previous_elapsed = facts.elapsed;
        let rest = self.order(&mut rows);
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
            by: self.request.by,
            sort: self.request.sort,
            older: self.request.older,
            sampling: facts.sampling,
            meminfo: facts.meminfo,
            own_cost: facts.own_cost,
            caches,
            rows,
            rest,
            trust,
            notes,
        }
    }

    fn row_key(&self, origin: &Origin, cache: &CacheInfo) -> RowKey {
        let (comm, is_kthread) = who(origin.key.task);
        match self.request.by {
            By::Comm => RowKey::Comm(comm, is_kthread),
            By::Pid => RowKey::Pid(origin.key.task.tgid),
            By::Cache => RowKey::Cache(cache.name.clone()),
        }
    }

    /// Sorts and cuts; returns what was cut.
    fn order(&self, rows: &mut Vec<Row>) -> Option<Rest> {
        let sort = self.request.sort;
        rows.sort_by(|a, b| by_rank(a, b, sort));
        if rows.len() <= self.request.top {
            return None;
        }
        let cut = rows.split_off(self.request.top);
        let rest = Rest {
            rows: cut.len() as u64,
            objects: cut.iter().map(|row| row.objects).sum(),
            bytes: cut.iter().map(|row| row.bytes).sum(),
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
        group.caches.insert(&cache.name);
    }
    *group.comms.entry(who(origin.key.task)).or_default() += objects;
    names.into_iter().for_each(|named| group.places.add(named));
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
        .then_with(|| a.key.cmp(&b.key))
}

/// Who a task counts as: the idle tasks of all CPUs are one.
fn who(task: Task) -> (Comm, bool) {
    if task.tgid == 0 { (Comm::truncated(b"swapper"), true) } else { (task.comm, task.is_kthread) }
}

/// Kernel threads in brackets, as ps shows them.
fn label((comm, is_kthread): (Comm, bool)) -> Vec<u8> {
    if is_kthread { [b"[", comm.as_bytes(), b"]"].concat() } else { comm.as_bytes().to_vec() }
}

impl Group<'_> {
    fn add_process(&mut self, origin: &Origin) {
        match origin.key.task.tgid {
            FOLDED => self.folded_processes += origin.processes,
            tgid => {
                self.processes.insert(tgid);
            }
        }
    }

    fn into_row(self, key: &RowKey, before: Totals, seconds: f64, now: TimeNs) -> Row {
        let allocs = self.totals.allocs.saturating_sub(before.allocs) as f64;
        let frees = self.totals.frees.saturating_sub(before.frees) as f64;
        let per_s = |events: f64| if seconds > 0.0 { events / seconds } else { 0.0 };
        let comm = self.comm(key);
        Row {
            key: match key {
                RowKey::Comm(comm, is_kthread) => label((*comm, *is_kthread)),
                RowKey::Pid(FOLDED) => OTHERS.to_vec(),
                RowKey::Pid(pid) => pid.to_string().into_bytes(),
                RowKey::Cache(name) => name.clone().into_bytes(),
            },
            comm,
            pid: self.pid(key),
            cache: self.cache(key),
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
        let mut holders = self.comms.iter().filter(|(_, objects)| **objects > 0).map(|(comm, _)| *comm);
        let only_or_most = match key {
            RowKey::Comm(comm, is_kthread) => Some((*comm, *is_kthread)),
            RowKey::Pid(FOLDED) => None,
            RowKey::Pid(_) => self.comms.iter().max_by_key(|(_, objects)| **objects).map(|(comm, _)| *comm),
            RowKey::Cache(_) => holders.next().filter(|_| holders.next().is_none()),
        };
        only_or_most.map(label)
    }

    fn pid(&self, key: &RowKey) -> Option<u32> {
        match key {
            RowKey::Pid(pid) => Some(*pid).filter(|&pid| pid != FOLDED),
            _ if self.processes.len() == 1 && self.folded_processes == 0 => {
                self.processes.iter().next().copied()
            }
            _ => None,
        }
    }

    fn cache(&self, key: &RowKey) -> Option<String> {
        let mut caches = self.caches.iter();
        match key {
            RowKey::Cache(name) => Some(name.clone()),
            _ => caches.next().filter(|_| caches.next().is_none()).map(ToString::to_string),
        }
    }
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
