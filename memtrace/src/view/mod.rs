//! What a report shows, as plain data: made from the ledger once per interval, then read by every output.
//!
//! Text that comes from whoever runs on the host (command names, file names) is kept as raw bytes here;
//! each output escapes it for its own medium.

pub mod ages;
pub mod build;
pub mod alloc_context;
pub mod diff;
pub mod event;
pub mod key;
pub mod checkpoint;
pub mod object;
pub mod places;
pub mod profile;
pub mod reconcile;
pub mod sampling;
pub mod series;
pub mod tree;
pub mod trend;
pub mod verdict;

use std::time::{Duration, SystemTime};

use self::reconcile::{Growth, Partial};
pub use self::{
    ages::{AgeBucket, Cohort},
    alloc_context::{AllocContext, Context, GfpFlags},
    checkpoint::Checkpoint,
    diff::Difference,
    key::{By, Keys},
    sampling::Sampling,
    trend::{Slope, Trend},
    verdict::{Known, Suspect, Verdict},
};
use crate::{procfs::slab::Meminfo, stream::event::FileType};

/// What rows are ordered by, biggest (or oldest) first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
    pub by: Keys,
    pub sort: Sort,
    /// Only objects at least this old are counted in the rows' `objects` and `bytes` (`--older`).
    pub older: Option<Duration>,
    /// Where it is on, counts of objects, allocations and frees are estimates, and so are bytes and rates.
    pub sampling: Sampling,
    /// One allocation in so many tells its stack; None where none does.
    pub stacks_period: Option<u32>,
    /// None where /proc/meminfo cannot be read.
    pub meminfo: Option<Meminfo>,
    pub own_cost: OwnCost,
    /// The traced caches that saw an event, and those named without a glob, biggest outstanding first.
    pub caches: Vec<CacheTotals>,
    /// Sorted, the first `--top` of them.
    pub rows: Vec<Row>,
    /// The rows that `--top` cut, added up; None when all rows are shown.
    pub rest: Option<Rest>,
    /// What the rows come to: who leaks, if anybody does. None while there is no telling.
    pub verdict: Option<Verdict>,
    /// How old all outstanding objects are, own ones left out, whatever `older` says: the youngest first.
    pub ages: Vec<AgeBucket>,
    /// What was allocated in each part of the session, and what is left of it.
    pub cohorts: Vec<Cohort>,
    /// Of the final report: where most dentries are, parents before what is in them.
    pub directories: Vec<Directory>,
    pub trust: Trust,
    /// One sentence each: what is limited in this session and why (names unavailable, ledger full, process ended, ...).
    pub notes: Vec<String>,
}

/// At the end, allocations are not traced any more and frees are followed for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// How long.
    pub time: Duration,
    /// Objects that were freed in that time.
    pub freed: u64,
}

/// What memtrace itself takes: at present, in the final snapshot on average. None where it is not known (yet).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OwnCost {
    /// What the probes take of an allocation or a free on the host, in nanoseconds, filtered out or not.
    pub probe_ns_per_event: Option<f64>,
    /// Shares of one CPU: 1.0 is all of it.
    pub probes_cpu: Option<f64>,
    pub userspace_cpu: Option<f64>,
    pub resident_bytes: Option<u64>,
    /// Of maps and programs.
    pub kernel_bytes: Option<u64>,
    /// What both together may take at most.
    pub max_memory: Option<u64>,
    /// A share of one CPU; None: as much as it takes.
    pub max_cpu: Option<f64>,
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

/// Objects in one directory whose names follow one pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameGroup {
    /// Name of the parent directory (`/` for a root).
    pub parent: Vec<u8>,
    /// Its whole path. None where none of the objects was looked at, and so for what follows.
    pub path: Option<Vec<u8>>,
    /// The name with its variable parts replaced: `.<n>_dOeSnotExist_.db`.
    pub pattern: Vec<u8>,
    pub objects: u64,
    /// One real name.
    pub example: Vec<u8>,
    /// The filesystem's type.
    pub filesystem: Option<Vec<u8>>,
    pub kind: Option<Class>,
    /// Of inodes and open files.
    pub file_type: Option<FileType>,
    /// Of those that were looked at.
    pub negatives: Option<Negatives>,
    /// Memory that a dentry's name takes outside of it, in bytes, on average.
    pub name_bytes: u64,
}

/// A directory, with all that is below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Directory {
    pub path: Vec<u8>,
    /// So many bytes of the path are that of the one above in the tree.
    pub within: usize,
    /// How many are above it.
    pub depth: usize,
    /// An estimate, where not all dentries have a name.
    pub objects: u64,
    /// Of all outstanding dentries, 0 to 1.
    pub share: f64,
    pub negatives: Negatives,
    /// The filesystem's type, or one of them.
    pub filesystem: Option<Vec<u8>>,
}

/// Kinds of objects that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Dentry,
    Inode,
    /// An open one.
    File,
    Socket,
}

/// Dentries that remember that there is nothing of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negatives {
    pub looked_at: u64,
    pub negative: u64,
}

impl Negatives {
    /// 0 to 1.
    pub fn share(self) -> f64 {
        if self.looked_at == 0 { 0.0 } else { self.negative as f64 / self.looked_at as f64 }
    }
}

/// Rows that are not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    pub rows: u64,
    pub objects: u64,
    pub bytes: u64,
}

/// How far the figures can be trusted. `emitted = applied + lost_allocs + lost_frees + lost_names`, exactly, once drained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trust {
    /// Events that passed the kernel-side filters.
    pub emitted: u64,
    /// Events that reached the ledger.
    pub applied: u64,
    /// Events that found the ring full.
    pub lost_allocs: u64,
    pub lost_frees: u64,
    pub lost_names: u64,
    /// Frees of objects that were allocated before attach or that the filters left out.
    pub unknown_frees: u64,
    /// Allocations at an address that was outstanding: the kernel freed that object without telling.
    pub reused_pointers: u64,
    /// Events that nobody may have seen, at most: the kernel's recursion guard skipped their probe, and perhaps also its
    /// backup.
    pub recursion_misses: u64,
    /// Allocations that the ledger refused because it is at its bound.
    pub refused: u64,
    /// Objects whose slab cache could not be found.
    pub unresolved: u64,
    /// How well the growth of caches by slabinfo is explained by what was traced, in the worst case: 0 to 1. None where
    /// nothing could be compared, or too little grew or shrank to tell.
    pub slabinfo_agreement: Option<f64>,
}
