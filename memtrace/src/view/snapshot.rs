//! One report, as plain data.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    By, Finding,
    ages::{AgeBucket, Cohort},
    alloc_context::AllocContext,
    census::Census,
    checkpoint::{OwnCost, Settled, Trust},
    finding::Verdict,
    key::Keys,
    names::{Directory, NameGroup, Negatives},
    reconcile::{Growth, Partial},
    sampling::Sampling,
    trend::Trend,
};
use crate::procfs::meminfo::SlabMemory;

/// What rows are ordered by, biggest (or oldest) first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum Sort {
    /// Bytes outstanding
    Bytes,
    /// Objects outstanding
    Objects,
    /// Net growth per second
    Growth,
    /// Age of the oldest outstanding object
    Age,
}

/// One report: the whole state of a session at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The session has ended: probes are detached and the ring is drained.
    pub is_final: bool,
    pub time: SystemTime,
    /// How long allocations have been traced; frees are followed for longer at the end.
    pub elapsed: Duration,
    /// None before the end, and where frees were not followed beyond it.
    pub settled: Option<Settled>,
    pub host: String,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// What is left out, as options that say what is not; empty where nothing is. Which caches there are is in `caches`.
    pub filter: String,
    pub by: Keys,
    pub sort: Sort,
    /// Only objects at least this old are counted in the rows' `objects` and `bytes` (`--older`).
    pub older: Option<Duration>,
    /// Where it is on, counts of objects, allocations and frees are estimates, and so are bytes and rates.
    pub sampling: Sampling,
    /// One allocation in so many tells its stack; None where none does.
    pub stacks_period: Option<u32>,
    /// None where /proc/meminfo cannot be read.
    pub meminfo: Option<SlabMemory>,
    pub own_cost: OwnCost,
    /// The traced caches that saw an event, and those named without a glob, biggest outstanding first.
    pub caches: Vec<CacheTotals>,
    /// Sorted, the first `--top` of them.
    pub rows: Vec<Row>,
    /// The rows that `--top` cut, added up; None when all rows are shown.
    pub rest: Option<Rest>,
    /// What all rows come to: who leaks or floods, if anybody does. None while it is too early to tell.
    pub verdict: Option<Verdict>,
    /// How old all outstanding objects are, own ones left out, whatever `older` says: the youngest first.
    pub ages: Vec<AgeBucket>,
    /// What was allocated in each part of the session, and what is left of it.
    pub cohorts: Vec<Cohort>,
    /// Of the final report: where most dentries are, parents before what is in them.
    pub directories: Vec<Directory>,
    /// What the slab held at the start. None where that is not known, or not yet.
    pub census: Option<Arc<Census>>,
    /// What it held lately, by cache and cgroup. None where censuses are not taken again and again. No recording has this.
    pub latest_census: Option<Arc<Census>>,
    pub trust: Trust,
    /// One sentence each: what is limited in this session and why (names unavailable, ledger full, process ended, ...).
    pub notes: Vec<String>,
}

/// With a smaller share of its objects in caches that are partial, a row means what it says.
const MIN_PARTIAL: f64 = 0.1;

impl Snapshot {
    /// When tracing began. Never before 1970.
    pub fn start(&self) -> SystemTime {
        before(self.end(), self.elapsed)
    }

    /// When allocations ceased to be traced.
    pub fn end(&self) -> SystemTime {
        before(self.time, self.settled.map(|settled| settled.time).unwrap_or_default())
    }

    /// Only the first rows; the others are added to the rest.
    pub fn cut_to(mut self, rows: usize) -> Self {
        let cut = self.rows.split_off(rows.min(self.rows.len()));
        if cut.is_empty() {
            return self;
        }
        let rest = self.rest.unwrap_or_default();
        self.rest = Some(cut.iter().fold(rest, |rest, row| Rest {
            rows: rest.rows + 1,
            objects: rest.objects.saturating_add(row.objects),
            bytes: rest.bytes.saturating_add(row.bytes),
        }));
        self
    }

    /// All caches added up.
    pub fn totals(&self) -> Totals {
        let sum = |of: fn(&CacheTotals) -> u64| self.caches.iter().map(of).fold(0, u64::saturating_add);
        Totals {
            allocs: sum(|cache| cache.allocs),
            frees: sum(|cache| cache.frees),
            objects: sum(|cache| cache.outstanding_objects),
            bytes: sum(|cache| cache.outstanding_bytes),
        }
    }

    /// All rows added up, shown or not. Of those that `--top` cut only objects and bytes are known.
    pub fn total(&self) -> Row {
        let (rows, rest) = (&self.rows, self.rest.unwrap_or_default());
        let count = |of: fn(&Row) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
        let rate = |of: fn(&Row) -> f64| rows.iter().map(of).sum();
        Row {
            objects: count(|row| row.objects).saturating_add(rest.objects),
            bytes: count(|row| row.bytes).saturating_add(rest.bytes),
            objects_until_end: count(|row| row.objects_until_end),
            allocs: count(|row| row.allocs),
            frees: count(|row| row.frees),
            allocs_per_s: rate(|row| row.allocs_per_s),
            frees_per_s: rate(|row| row.frees_per_s),
            growth_per_s: rate(|row| row.growth_per_s),
            oldest: rows.iter().filter_map(|row| row.oldest).max(),
            ..Row::default()
        }
    }

    /// What the row is found to do, the first of it.
    pub fn finding_of(&self, row: &Row) -> Option<&Finding> {
        self.verdict.as_ref()?.findings.iter().find(|finding| finding.keys == row.keys)
    }

    /// Whether so much of what it holds may be free that this changes what it says.
    pub fn is_partial(&self, row: &Row) -> bool {
        if self.by.contains(By::Cache) {
            let is_its = |cache: &&CacheTotals| row.cache.as_ref() == Some(&cache.name);
            return self.caches.iter().find(is_its).is_some_and(|cache| cache.partial.is_some());
        }
        row.partial_objects > 0 && row.partial_objects as f64 >= row.objects as f64 * MIN_PARTIAL
    }

    /// Where all rows are of one, it tells nothing.
    pub fn has_several_cgroups(&self) -> bool {
        let mut cgroups = self.rows.iter().flat_map(|row| &row.cgroups).map(|cgroup| cgroup.id);
        let first = cgroups.next();
        cgroups.any(|id| Some(id) != first)
    }
}

fn before(time: SystemTime, earlier: Duration) -> SystemTime {
    time.checked_sub(earlier).filter(|&time| time > UNIX_EPOCH).unwrap_or(UNIX_EPOCH)
}

/// What was traced of several caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub allocs: u64,
    pub frees: u64,
    /// Outstanding.
    pub objects: u64,
    pub bytes: u64,
}

/// One slab cache: what this session saw of it and what the kernel says.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheTotals {
    pub name: String,
    /// Other caches that the kernel merged into this one: their objects cannot be told apart.
    pub aliases: Vec<String>,
    /// Memory that one object takes, in bytes, the kernel's padding included.
    pub object_size: u64,
    /// The kernel can reclaim this memory under pressure. None where sysfs does not say.
    pub reclaimable: Option<bool>,
    /// Traced since attach.
    pub allocs: u64,
    /// Of the objects allocated since attach.
    pub frees: u64,
    pub outstanding_objects: u64,
    pub outstanding_bytes: u64,
    /// Of the lost events, those of this cache: allocations that are missing above, and objects that may be free already.
    pub lost_allocs: u64,
    pub lost_frees: u64,
    /// `active_objs` of /proc/slabinfo: all objects, also those from before attach. None where it cannot be read.
    pub slabinfo_objects: Option<u64>,
    /// How fast `slabinfo_objects` moves, from the last two readings.
    pub slabinfo_objects_per_s: Option<f64>,
    /// Some of its frees are not seen: what is outstanding may be free.
    pub partial: Option<Partial>,
    /// Since attach, by slabinfo and by what was traced. None where the two cannot be compared, or not yet.
    pub growth: Option<Growth>,
}

/// Who holds objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// What the row is grouped by, for each of [`Snapshot::by`]: the command name, the process id, the cache's name.
    /// Kernel threads come in brackets already (`[kswapd0]`), the idle task as `[swapper]`.
    pub keys: Vec<Vec<u8>>,
    /// None where what the row counts was not allocated under one command name; a process that changed its name goes by
    /// the one that holds most.
    pub comm: Option<Vec<u8>>,
    /// None where what the row counts is not one process's.
    pub pid: Option<u32>,
    /// None where what the row counts is not one process's, or nothing is known of it.
    pub process: Option<ProcessInfo>,
    /// None where what the row counts is not of one cache.
    pub cache: Option<String>,
    /// Of which caches the row's outstanding objects are, those of most bytes first.
    pub caches: Vec<CacheShare>,
    /// How its outstanding objects move.
    pub trend: Trend,
    /// Who started those that allocated the row's outstanding objects: the most frequent first.
    pub started_by: Vec<Ancestors>,
    /// The cgroups of those that did, the most frequent first.
    pub cgroups: Vec<CgroupShare>,
    /// How many of the row's objects tell their stack, and the stacks, the most frequent first.
    pub stacked_objects: u64,
    pub stacks: Vec<StackShare>,
    /// None where what the row counts was not allocated at one place, or places are not told apart.
    pub call_site: Option<CallSite>,
    pub alloc_context: AllocContext,
    /// How many processes allocated the row's outstanding objects.
    pub processes: u64,
    /// Allocated since attach and not freed.
    pub objects: u64,
    pub bytes: u64,
    /// How many of the objects are of caches that are [`CacheTotals::partial`]: they may be free.
    pub partial_objects: u64,
    /// Beside `objects`: held when tracing ended, and freed while frees were followed for a while, because the process ended.
    /// 0 with `older`.
    pub objects_until_end: u64,
    /// Since attach.
    pub allocs: u64,
    pub frees: u64,
    /// Per second, over the last interval; in the final snapshot over the whole session.
    pub allocs_per_s: f64,
    pub frees_per_s: f64,
    /// `allocs_per_s - frees_per_s`.
    pub growth_per_s: f64,
    /// Age of the oldest outstanding object.
    pub oldest: Option<Duration>,
    /// How old its outstanding objects are, and what is left of each part of the session, whatever `--older` says.
    pub ages: Vec<AgeBucket>,
    pub cohorts: Vec<Cohort>,
    /// How many of the row's objects have a name: all that can, or a sample of them. `names` are shares of these.
    pub named_objects: u64,
    /// For how many objects those stand: as many as `names` would come to if none were left out.
    pub placed_objects: u64,
    /// Of its dentries that were looked at. None where there are none.
    pub negatives: Option<Negatives>,
    /// What the row's objects are called, the most frequent first; empty where nothing is named.
    pub names: Vec<NameGroup>,
}

impl Row {
    /// Share of the row's allocations that are still outstanding, 0 to 1.
    pub fn survival(&self) -> f64 {
        if self.allocs == 0 {
            0.0
        } else {
            (self.allocs - self.frees.min(self.allocs)) as f64 / self.allocs as f64
        }
    }
}

/// What is known of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Path of its program; empty where it is not known.
    pub program: Vec<u8>,
    /// Its arguments with blanks in between, cut where it is long; empty where it is not known.
    pub command_line: Vec<u8>,
    pub has_ended: bool,
}

/// Outstanding objects of one slab cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheShare {
    pub name: String,
    pub objects: u64,
    pub bytes: u64,
    /// Of this cache, since attach, freed or not.
    pub allocs: u64,
}

/// Outstanding objects of processes that were started by the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestors {
    /// Command names: of the process that started them, of the one that started that, and so on. Empty where nobody is known.
    pub comms: Vec<Vec<u8>>,
    pub objects: u64,
}

/// Outstanding objects that were allocated by tasks of one cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupShare {
    /// Its inode number.
    pub id: u64,
    /// In its hierarchy; None where it is not known.
    pub path: Option<Vec<u8>>,
    pub objects: u64,
}

/// Outstanding objects that the same calls led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackShare {
    /// Functions, the innermost first: of the kernel, then with their file in brackets of the process.
    pub frames: Vec<String>,
    pub objects: u64,
}

/// A place in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSite {
    pub address: u64,
    /// `__d_alloc+0x2b`, with the module where it is in one; None where the kernel does not tell.
    pub symbol: Option<String>,
}

impl CallSite {
    /// Its name, or else its address.
    pub fn text(&self) -> String {
        self.symbol.clone().unwrap_or_else(|| format!("{:#x}", self.address))
    }
}

/// Rows that are not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    pub rows: u64,
    pub objects: u64,
    pub bytes: u64,
}
