//! From groups to rows: rates, trends, names, order.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    time::Duration,
};

use super::group::{Group, OfCache, RowKey, Stacked, Totals};
use crate::{
    attribution::{
        cgroup::Cgroups,
        process::{NO_CHAIN, Processes},
    },
    stream::{
        calls::{CallSites, StackNames},
        event::{ProcessId, StackId, TimeNs},
        ledger::{AllocSpan, FOLDED, Ledger, Origin},
    },
    view::{
        ages::{AllocsUntil, Survivors, Timeline},
        checkpoint::Checkpoint,
        judge::Held,
        key::{KeyPart, alloc_context},
        lookups::{CacheInfo, Lookups},
        snapshot::{Ancestors, CacheShare, CallSite, CgroupShare, ProcessInfo, Rest, Row, Sort, StackShare},
        survival::{Allocs, Clock, FEW_OBJECTS, Survival},
        task::command_label,
        trend::{History, Trend, trend},
    },
};

/// Most name groups in a row.
pub(super) const MAX_NAMES: usize = 20;
/// Most chains of ancestors in a row, and most cgroups.
const MAX_SHARES: usize = 10;
/// Only the first rows have stacks, made of this many different ones at most.
const ROWS_WITH_STACKS: usize = 20;
const MAX_STACKS: usize = 100;

/// What is remembered of all rows from one snapshot to the next.
#[derive(Clone, Default)]
pub struct RowHistory {
    rows: HashMap<RowKey, Previous>,
    elapsed: Duration,
}

#[derive(Clone, Default)]
struct Previous {
    totals: Totals,
    history: History,
    allocs: AllocsUntil,
    /// In each cache.
    of_caches: HashMap<String, Allocs>,
}

/// What a row's details are made of, once it is known which rows are shown.
pub struct RowSources<'a> {
    stacked: Stacked,
    origins: Vec<(&'a Origin, &'a CacheInfo)>,
    allocs: AllocsUntil,
    /// What it has been judged by.
    pub held: Vec<Held<'a>>,
}

impl RowHistory {
    /// The rows in no order. Rates are over the time since the last call; in the final snapshot over all.
    pub fn rows<'a>(
        &mut self,
        groups: HashMap<RowKey, Group<'a>>,
        ledger: &Ledger,
        checkpoint: &Checkpoint,
        timeline: &Timeline,
        lookups: Lookups<'_>,
    ) -> Vec<(Row, RowSources<'a>)> {
        let since = if checkpoint.is_final { Duration::ZERO } else { self.elapsed };
        let seconds = (checkpoint.elapsed - since).as_secs_f64();
        let mut rows = Vec::with_capacity(groups.len());
        let mut remembered = HashMap::with_capacity(groups.len());
        for (key, mut group) in groups {
            let Previous { totals: before, mut history, mut allocs, mut of_caches } =
                self.rows.remove(&key).unwrap_or_default();
            let before = if checkpoint.is_final { Totals::default() } else { before };
            let totals = group.totals;
            let (stacked, origins) = (mem::take(&mut group.stacks), mem::take(&mut group.origins));
            let clock = Clock { start: timeline.start(), elapsed: checkpoint.elapsed };
            remember_allocs(&mut of_caches, &group.caches, self.elapsed, checkpoint.elapsed);
            let held = held(ledger, &group.caches, &origins, &of_caches, clock);
            let mut row = group.into_row(&key, before, seconds, checkpoint.now, lookups);
            history.add(checkpoint.elapsed, row.objects);
            row.trend = trend(&history, row.allocs);
            row.stacked_objects = stacked.values().sum();
            allocs.report(timeline, row.allocs);
            rows.push((row, RowSources { stacked, origins, allocs: allocs.clone(), held }));
            remembered.insert(key, Previous { totals, history, allocs, of_caches });
        }
        (self.rows, self.elapsed) = (remembered, checkpoint.elapsed);
        rows
    }
}

/// With fewer allocations, when they were tells nothing.
const MIN_ALLOCS: u64 = 10;

/// Takes note of how much was allocated in each cache.
fn remember_allocs(
    of_caches: &mut HashMap<String, Allocs>,
    caches: &HashMap<&str, OfCache>,
    before: Duration,
    elapsed: Duration,
) {
    for (&name, of) in caches.iter().filter(|(_, of)| of.allocs >= MIN_ALLOCS) {
        if let Some(allocs) = of_caches.get_mut(name) {
            allocs.add(elapsed, of.allocs);
            continue;
        }
        let mut allocs = Allocs::default();
        allocs.add(before, 0);
        allocs.add(elapsed, of.allocs);
        of_caches.insert(name.to_owned(), allocs);
    }
}

/// What survives in each cache in which there is enough to judge.
fn held<'a>(
    ledger: &Ledger,
    caches: &HashMap<&str, OfCache>,
    origins: &[(&'a Origin, &'a CacheInfo)],
    of_caches: &HashMap<String, Allocs>,
    clock: Clock,
) -> Vec<Held<'a>> {
    let mut spans: BTreeMap<&str, (&CacheInfo, Vec<AllocSpan>)> = BTreeMap::new();
    let is_worth = |cache: &CacheInfo| caches.get(&*cache.name).is_some_and(|of| of.allocs >= FEW_OBJECTS);
    for &(origin, cache) in origins.iter().filter(|(_, cache)| is_worth(cache)) {
        let (_, of_cache) = spans.entry(&cache.name).or_insert((cache, Vec::new()));
        of_cache.extend(ledger.allocated(origin));
    }
    let held = spans.into_iter().filter_map(|(name, (cache, spans))| {
        let survival = Survival::new(&spans, of_caches.get(name)?, caches[name].allocs, clock)?;
        Some(Held { cache, survival })
    });
    held.collect()
}

/// Sorts rows and keeps the first `top`; returns the sum of the others.
pub fn cut(rows: &mut Vec<(Row, RowSources<'_>)>, sort: Sort, top: usize) -> Option<Rest> {
    rows.sort_by(|(a, _), (b, _)| by_rank(a, b, sort));
    if rows.len() <= top {
        return None;
    }
    let cut = rows.split_off(top);
    Some(Rest {
        rows: cut.len() as u64,
        objects: cut.iter().map(|(row, _)| row.objects).sum(),
        bytes: cut.iter().map(|(row, _)| row.bytes).sum(),
    })
}

/// Adds what only shown rows have.
pub fn with_details(
    rows: Vec<(Row, RowSources<'_>)>,
    ledger: &Ledger,
    timeline: &Timeline,
    now: TimeNs,
    stacks: Option<&dyn StackNames>,
) -> Vec<Row> {
    let rows = rows.into_iter().enumerate().map(|(at, (row, sources))| {
        let mut survivors = Survivors::new(timeline, now);
        for (origin, cache) in sources.origins {
            survivors.add(ledger, origin, cache.object_size);
        }
        // To name them means to read files.
        let stacks = stacks.filter(|_| at < ROWS_WITH_STACKS);
        Row {
            ages: survivors.ages(),
            cohorts: survivors.cohorts(&sources.allocs),
            stacks: stacks.map(|stacks| stack_shares(&sources.stacked, stacks)).unwrap_or_default(),
            ..row
        }
    });
    rows.collect()
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
pub fn by_rank(a: &Row, b: &Row, sort: Sort) -> std::cmp::Ordering {
    let primary = match sort {
        Sort::Bytes => b.bytes.cmp(&a.bytes),
        Sort::Objects => b.objects.cmp(&a.objects),
        Sort::Growth => b.growth_per_s.total_cmp(&a.growth_per_s),
        Sort::Age => b.oldest.cmp(&a.oldest),
    };
    primary
        .then_with(|| b.bytes.cmp(&a.bytes))
        .then_with(|| b.objects.cmp(&a.objects))
        .then_with(|| b.objects_until_end.cmp(&a.objects_until_end))
        .then_with(|| b.allocs.cmp(&a.allocs))
        .then_with(|| a.keys.cmp(&b.keys))
}

impl Group<'_> {
    fn into_row(
        mut self,
        key: &RowKey,
        before: Totals,
        seconds: f64,
        now: TimeNs,
        lookups: Lookups<'_>,
    ) -> Row {
        let allocs = self.totals.allocs.saturating_sub(before.allocs) as f64;
        let frees = self.totals.frees.saturating_sub(before.frees) as f64;
        let per_s = |events: f64| if seconds > 0.0 { events / seconds } else { 0.0 };
        let process = self.process(key);
        let placed = mem::take(&mut self.places).placed(MAX_NAMES);
        Row {
            keys: key.iter().map(|part| part.text(lookups)).collect(),
            comm: self.comm(key),
            pid: process.map(|process| process.tgid),
            process: process.and_then(|process| info(lookups.processes, process)),
            cache: self.cache(key),
            caches: self.caches(),
            trend: Trend::TooEarly,
            started_by: self.started_by(lookups.processes),
            cgroups: self.cgroups(lookups.cgroups),
            call_site: call_site(key, lookups.call_sites),
            alloc_context: alloc_context(key, lookups),
            stacked_objects: 0,
            stacks: Vec::new(),
            processes: self.processes.len() as u64 + self.folded_processes,
            objects: self.objects,
            bytes: self.bytes,
            partial_objects: self.partial_objects,
            objects_until_end: self.objects_until_end,
            allocs: self.totals.allocs,
            frees: self.totals.frees,
            allocs_per_s: per_s(allocs),
            frees_per_s: per_s(frees),
            // Not of the two rates: what rounds differently would move rows that grow alike.
            growth_per_s: per_s(allocs - frees),
            oldest: self.oldest.map(|oldest| Duration::from_nanos(now.saturating_sub(oldest))),
            ages: Vec::new(),
            cohorts: Vec::new(),
            named_objects: placed.named,
            placed_objects: placed.stand_for,
            negatives: placed.negatives,
            names: placed.groups,
        }
    }

    /// The row's command name: a process that changed its name goes by the one that holds most.
    fn comm(&self, key: &RowKey) -> Option<Vec<u8>> {
        let of_key = key.iter().find_map(|part| match *part {
            KeyPart::Comm(comm, is_kthread) | KeyPart::Ancestors(comm, is_kthread, _) => {
                Some((comm, is_kthread))
            }
            _ => None,
        });
        let is_of_process = key.iter().any(|part| matches!(part, KeyPart::Process(_)));
        let mut holders = self.comms.iter().filter(|(_, objects)| **objects > 0).map(|(comm, _)| *comm);
        let only_or_most = match (of_key, is_of_process) {
            (Some(comm), _) => Some(comm),
            (None, true) if self.process(key).is_none() => None,
            (None, true) => self.comms.iter().max_by_key(|(_, objects)| **objects).map(|(comm, _)| *comm),
            (None, false) => holders.next().filter(|_| holders.next().is_none()),
        };
        only_or_most.map(command_label)
    }

    fn process(&self, key: &RowKey) -> Option<ProcessId> {
        let of_key = key
            .iter()
            .find_map(|part| if let KeyPart::Process(process) = part { Some(*process) } else { None });
        let mut holders = self.processes.iter().copied();
        match of_key {
            Some(process) => Some(process).filter(|process| process.tgid != FOLDED),
            None if self.folded_processes > 0 => None,
            None => holders.next().filter(|_| holders.next().is_none()),
        }
    }

    fn cache(&self, key: &RowKey) -> Option<String> {
        let of_key = key
            .iter()
            .find_map(|part| if let KeyPart::Cache(name) = part { Some(name.clone()) } else { None });
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
        key.iter().find_map(|part| if let KeyPart::CallSite(address) = part { Some(*address) } else { None });
    let address = address.filter(|&address| address != 0)?;
    Some(CallSite { address, symbol: names.and_then(|names| names.name(address)) })
}
