//! What uses the memory, and is anybody to blame? From a window, and what was traced in it, to candidates, the suspect first. Pure:
//! the same window gives the same candidates.
//!
//! Each kind of memory is held against what is usual for it, as a share of the host: how big it may be, and how much it may
//! grow in a window before it is worth a word. What grows has to do so steadily too ([`Movement::is_steady`]), so that a host's
//! own ups and downs are not taken for growth.
//!
//! A candidate is accused only where memory is short, or where it leaks or floods so fast that what is available is full within a
//! week. The caches that are bookkeeping of what is read, written or looked up go with the page cache.

use std::time::Duration;

use super::{
    filling::{Filling, filling, goes_with, is_of_arrays, is_of_names},
    shortage::{FullCgroup, Shortage},
    sum::Part,
    tracing::{Claim, Tracing},
    window::{CacheRow, Command, Movement, TmpfsRow, Window, difference},
};
use crate::{knowledge::caches::bookkeeping_of, view::finding};

const MIB: u64 = 1 << 20;

/// What is usual for a kind of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usual {
    /// Growth in a window: this share of all memory, and on small hosts these bytes.
    growth_share: f64,
    least_growth: u64,
    /// Size: this share of all memory; None where any size is normal.
    level_share: Option<f64>,
}

/// At a window of 30 s, a slab cache that grows by more than this fills the host in less than three days. The flood of
/// negative dentries that this was made for (docs/triage.md) took 66 GB at 400 KB/s: 12 MB against 8.
const SLAB: Usual = Usual { growth_share: 1.0 / 8192.0, least_growth: 2 * MIB, level_share: Some(0.20) };
/// Four hours at a window of 30 s. Processes and what they share are usually the most of a host's memory.
const PROCESSES: Usual = Usual { growth_share: 1.0 / 512.0, least_growth: 8 * MIB, level_share: None };
const SHARED: Usual = Usual { level_share: Some(0.30), ..PROCESSES };
/// Reading files fills it, and the kernel frees it when needed: only large growth is worth mentioning.
const PAGE_CACHE: Usual = Usual { growth_share: 1.0 / 64.0, least_growth: 16 * MIB, level_share: None };
const KERNEL: Usual = Usual { growth_share: 1.0 / 1024.0, least_growth: 8 * MIB, level_share: Some(0.10) };
/// Includes pages that were freed and not yet counted.
const UNACCOUNTED: Usual =
    Usual { growth_share: 1.0 / 256.0, least_growth: 32 * MIB, level_share: Some(0.20) };
/// An administrator reserves them; only growth is news.
const HUGE_PAGES: Usual = Usual { level_share: None, ..KERNEL };

/// Where memory is short, processes that have so much of it are named even if nothing grows.
const BIG_PROCESSES: f64 = 0.25;

/// A leak or a flood that takes longer to use up what is available is nothing to be woken for.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// Caches and commands in a candidate, at most.
const MAX_NAMED: usize = 4;
/// A cache that has less of the growth or size than this is not named.
const MIN_PART: f64 = 0.1;

/// Parts that are judged by the same rule.
pub const OTHER_KERNEL_PARTS: [Part; 8] = [
    Part::PageTables,
    Part::KernelStacks,
    Part::PerCpu,
    Part::Vmalloc,
    Part::HugePages,
    Part::Compressed,
    Part::OtherKernel,
    Part::Unaccounted,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub enum Kind {
    /// The processes' own memory.
    Processes,
    /// Shared memory and tmpfs.
    Shared,
    PageCache,
    Slab(Filling),
    /// Another part of the kernel's memory, or what is unaccounted.
    Kernel(Part),
    /// A cgroup that is near its limit.
    Cgroup,
}

impl Kind {
    /// Of the slab, what fills it; of the kernel's other memory, which part.
    pub fn detail(self) -> Option<&'static str> {
        match self {
            Self::Slab(filling) => Some(filling.into_str()),
            Self::Kernel(part) => Some(part.into_str()),
            Self::Processes | Self::Shared | Self::PageCache | Self::Cgroup => None,
        }
    }
}

/// Why a candidate is accused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum Charge {
    /// The kernel cannot take it back while somebody holds it, and it grows.
    Leak,
    /// The kernel can take it back, but it is made faster than it is ever used again.
    Flood,
    /// Memory is short, and this has a part in it.
    Short,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub kind: Kind,
    /// None where it does no harm.
    pub charge: Option<Charge>,
    /// How big it is.
    pub bytes: u64,
    pub growth: i64,
    /// How much it may grow in a window.
    pub usual_growth: u64,
    /// How big it may be.
    pub usual_bytes: Option<u64>,
    pub grows: bool,
    /// In each third of the window: what came at once may be all there is to come.
    pub goes_on: bool,
    pub is_big: bool,
    /// Where it is the slab: what grows most, or is biggest. Of the page cache, its bookkeeping.
    pub caches: Vec<CacheRow>,
    /// Where it is the slab: whose it is, by the trace, who grows fastest first.
    pub claims: Vec<Claim>,
    /// Where it is processes: those that grow most, or are biggest.
    pub commands: Vec<Command>,
    /// Where it is shared memory.
    pub tmpfs: Vec<TmpfsRow>,
    /// Where it is dentries: how many of them are of names that do not exist, and by how many these grew.
    pub negative: Option<(u64, i64)>,
    pub cgroup: Option<FullCgroup>,
}

impl Candidate {
    fn new(kind: Kind, bytes: u64, growth: i64) -> Self {
        Self {
            kind,
            charge: None,
            bytes,
            growth,
            usual_growth: 0,
            usual_bytes: None,
            grows: false,
            goes_on: false,
            is_big: false,
            caches: Vec::new(),
            claims: Vec::new(),
            commands: Vec::new(),
            tmpfs: Vec::new(),
            negative: None,
            cgroup: None,
        }
    }

    /// How many times it is beyond what is usual. Page cache ranks below all others: it is harmless by itself.
    fn weight(&self) -> f64 {
        let is_counted = self.grows || !self.claims.is_empty();
        let growth = if is_counted { self.growth as f64 / self.usual_growth as f64 } else { 0.0 };
        let usual = self.usual_bytes.filter(|_| self.is_big);
        let level = usual.map_or(0.0, |usual| self.bytes as f64 / usual as f64);
        let weight = growth.max(level);
        if self.kind == Kind::PageCache { weight / 1e6 } else { weight }
    }
}

/// What is short, and what was found: whoever is accused comes first.
pub fn judge(window: &Window, tracing: &Tracing) -> (Shortage, Vec<Candidate>) {
    let short = Shortage::of(window);
    let slab = slab(window, tracing);
    let has_flood = slab
        .iter()
        .any(|candidate| candidate.grows && candidate.kind == Kind::Slab(Filling::NegativeDentries));
    let mut candidates: Vec<Candidate> = slab
        .into_iter()
        .chain(
            [processes(window, &short), shared(window), page_cache(window, has_flood)].into_iter().flatten(),
        )
        .chain(OTHER_KERNEL_PARTS.into_iter().filter_map(|part| kernel_part(window, part)))
        .chain(short.cgroups.first().map(full_cgroup))
        .collect();
    if short.is_of_host() {
        candidates
            .iter_mut()
            .for_each(|candidate| candidate.charge = candidate.charge.or(Some(Charge::Short)));
        if candidates.is_empty() {
            candidates.push(biggest(window));
        }
    }
    candidates
        .sort_by(|a, b| b.charge.is_some().cmp(&a.charge.is_some()).then(b.weight().total_cmp(&a.weight())));
    (short, candidates)
}

impl Usual {
    fn growth(self, total: u64) -> u64 {
        ((total as f64 * self.growth_share) as u64).max(self.least_growth)
    }

    fn level(self, total: u64) -> Option<u64> {
        self.level_share.map(|share| (total as f64 * share) as u64)
    }

    /// None where neither its size nor its growth is unusual.
    fn check(self, window: &Window, kind: Kind, bytes: u64, movement: Movement) -> Option<Candidate> {
        let total = window.sum().total;
        let (usual_growth, usual_bytes) = (self.growth(total), self.level(total));
        let grows = movement.is_steady() && movement.net.unsigned_abs() >= usual_growth;
        let is_big = usual_bytes.is_some_and(|usual| bytes >= usual && usual > 0);
        let growth = movement.net;
        (grows || is_big).then(|| Candidate {
            usual_growth,
            usual_bytes,
            grows,
            is_big,
            ..Candidate::new(kind, bytes, growth)
        })
    }
}

fn part(window: &Window, part: Part) -> (u64, Movement) {
    (window.sum().bytes(part), window.movement(|sum| sum.get(part)))
}

/// The page cache, and what the kernel keeps to know its files, names and blocks.
fn page_cache(window: &Window, has_flood: bool) -> Option<Candidate> {
    let (bytes, movement) = part(window, Part::PageCache);
    let mut caches = window.caches();
    caches.retain(|cache| {
        cache.growth > 0 && bookkeeping_of(&cache.name).is_some() && !(has_flood && is_of_names(&cache.name))
    });
    let (kept, grown) = (total(&caches, |cache| cache.bytes), growth(&caches));
    let total = window.sum().total;
    let of_files = PAGE_CACHE.check(window, Kind::PageCache, bytes, movement);
    let of_bookkeeping = || {
        let usual_growth = SLAB.growth(total);
        let grows = grown.unsigned_abs() >= usual_growth;
        grows.then(|| Candidate {
            usual_growth,
            grows,
            ..Candidate::new(Kind::PageCache, bytes, movement.net)
        })
    };
    let found = of_files.or_else(of_bookkeeping)?;
    let (bytes, growth) = (bytes.saturating_add(kept), movement.net.max(0).saturating_add(grown));
    Some(Candidate { bytes, growth, caches: most(caches, grown, |cache| cache.growth), ..found })
}

fn kernel_part(window: &Window, of: Part) -> Option<Candidate> {
    let usual = match of {
        Part::Unaccounted => UNACCOUNTED,
        Part::HugePages => HUGE_PAGES,
        _ => KERNEL,
    };
    let (bytes, movement) = part(window, of);
    let found = usual.check(window, Kind::Kernel(of), bytes, movement)?;
    // Page tables go with processes, huge pages are an administrator's, and what is unaccounted comes and goes with I/O.
    let is_held = matches!(of, Part::KernelStacks | Part::PerCpu | Part::Vmalloc | Part::OtherKernel);
    let goes_on = grew_throughout(window, of);
    let leaks = is_held
        && found.grows
        && goes_on
        && is_soon(window, movement.net as f64 / window.length().as_secs_f64());
    Some(Candidate { charge: leaks.then_some(Charge::Leak), goes_on, ..found })
}

fn grew_throughout(window: &Window, of: Part) -> bool {
    window.grew_throughout(|glance| Some(glance.sum.get(of)))
}

fn shared(window: &Window) -> Option<Candidate> {
    let (bytes, movement) = part(window, Part::Shared);
    let found = SHARED.check(window, Kind::Shared, bytes, movement)?;
    let mut tmpfs = window.tmpfs();
    tmpfs.retain(|tmpfs| is_part(tmpfs.growth, tmpfs.used, &found));
    tmpfs.sort_by_key(|tmpfs| std::cmp::Reverse(if found.grows { tmpfs.growth } else { signed(tmpfs.used) }));
    tmpfs.truncate(MAX_NAMED);
    Some(Candidate { tmpfs, goes_on: grew_throughout(window, Part::Shared), ..found })
}

fn processes(window: &Window, short: &Shortage) -> Option<Candidate> {
    let (bytes, movement) = part(window, Part::Processes);
    let own = window.own_growth();
    let movement = Movement { net: movement.net.saturating_sub(own.max(0)), ..movement };
    let usual = Usual { level_share: short.is_of_host().then_some(BIG_PROCESSES), ..PROCESSES };
    let found = usual.check(window, Kind::Processes, bytes, movement)?;
    let goes_on = grew_throughout(window, Part::Processes);
    Some(Candidate { goes_on, ..of_commands(window, found) })
}

fn of_commands(window: &Window, found: Candidate) -> Candidate {
    let mut commands = window.commands();
    commands.retain(|command| is_part(command.growth, command.anon, &found));
    commands.sort_by_key(|command| {
        std::cmp::Reverse(if found.grows { command.growth } else { signed(command.anon) })
    });
    commands.truncate(MAX_NAMED);
    Candidate { commands, ..found }
}

fn full_cgroup(cgroup: &FullCgroup) -> Candidate {
    let usual_bytes = Some(cgroup.limit.bytes);
    let found = Candidate::new(Kind::Cgroup, cgroup.limit.usage, 0);
    Candidate { charge: Some(Charge::Short), usual_bytes, cgroup: Some(cgroup.clone()), ..found }
}

/// Memory is short though nothing is unusual: the part that has most of it.
fn biggest(window: &Window) -> Candidate {
    let kinds = [(Part::Processes, Kind::Processes), (Part::Shared, Kind::Shared)];
    let others = OTHER_KERNEL_PARTS.map(|part| (part, Kind::Kernel(part)));
    let of = |(of, kind): (Part, Kind)| Candidate::new(kind, part(window, of).0, part(window, of).1.net);
    let slab = Candidate::new(Kind::Slab(Filling::Cache), window.sum().slab(), 0);
    let all = kinds.into_iter().chain(others).map(of).chain([slab]);
    let found = all.max_by_key(|candidate| candidate.bytes).expect("there are several");
    let found = Candidate { charge: Some(Charge::Short), ..found };
    if found.kind == Kind::Processes { of_commands(window, found) } else { found }
}

/// Slab memory that nobody can take back, or that is made for nothing, which grows; and all of it, if that is much.
fn slab(window: &Window, tracing: &Tracing) -> Vec<Candidate> {
    let mut candidates = slab_growth(window, tracing);
    let Some(size) = slab_size(window) else { return candidates };
    match candidates.iter_mut().find(|growth| growth.kind == size.kind) {
        Some(growth) => {
            growth.bytes = size.bytes;
            growth.usual_bytes = size.usual_bytes;
            growth.is_big = true;
        }
        None => candidates.push(size),
    }
    candidates
}

fn slab_size(window: &Window) -> Option<Candidate> {
    let found = SLAB.check(window, Kind::Slab(Filling::Cache), window.sum().slab(), Movement::default())?;
    let (caches, negative) = (window.caches(), negative(window));
    let filling = filling(&caches, false, negative);
    let is_dentries = matches!(filling, Filling::Dentries | Filling::NegativeDentries);
    let caches = most(caches, signed(found.bytes), |cache| signed(cache.bytes));
    Some(Candidate { kind: Kind::Slab(filling), caches, negative: negative.filter(|_| is_dentries), ..found })
}

fn slab_growth(window: &Window, tracing: &Tracing) -> Vec<Candidate> {
    let negative = negative(window);
    let is_flood =
        negative.is_some_and(|(_, grew)| grew > 0 && grew.saturating_mul(2) >= dentry_growth(window));
    let all = window.caches();
    if all.is_empty() {
        return unknown_slab(window).into_iter().collect();
    }
    let mut caches = all.clone();
    caches.retain(|cache| {
        let is_held = bookkeeping_of(&cache.name).is_none() && !is_of_arrays(cache, &all);
        is_held || is_flood && is_of_names(&cache.name)
    });
    let mut claims = tracing.claims().unwrap_or_default();
    claims.retain(|claim| {
        caches.iter().any(|cache| cache.name == claim.cache) && is_soon(window, claim.bytes_per_s)
    });
    if !claims.is_empty() {
        return claimed(window, caches, claims);
    }
    caches.retain(|cache| cache.growth > 0);
    let found = of_caches(window, caches.clone(), Vec::new());
    let leaks = found.grows && leaks_unseen(window, tracing, &caches, found.kind);
    let found = Candidate { charge: found.charge.filter(|_| leaks), goes_on: leaks, ..found };
    Some(found).filter(|found| found.grows).into_iter().collect()
}

/// What is filled together is one candidate; what others do meanwhile is not theirs.
fn claimed(window: &Window, mut caches: Vec<CacheRow>, mut claims: Vec<Claim>) -> Vec<Candidate> {
    claims.sort_by(|a, b| b.bytes_per_s.total_cmp(&a.bytes_per_s));
    let mut candidates = Vec::new();
    while let Some(first) = claims.first().cloned() {
        // A file has a name too; a flood of them is another matter.
        let is_theirs =
            |name: &String| goes_with(name, &first.cache) || first.with.contains(name) && !is_of_names(name);
        let (theirs, others) = claims.into_iter().partition(|claim| is_theirs(&claim.cache));
        let (filled, rest) = caches.into_iter().partition(|cache| is_theirs(&cache.name));
        candidates.push(of_caches(window, filled, theirs));
        (claims, caches) = (others, rest);
    }
    candidates
}

fn of_caches(window: &Window, caches: Vec<CacheRow>, claims: Vec<Claim>) -> Candidate {
    let negative = negative(window);
    let mut filling = filling(&caches, true, negative);
    // Who is accused by the trace is accused of what that saw, whatever others do with names meanwhile.
    let is_flood = match claims.first() {
        Some(claim) => claim.kind == finding::Kind::Flood,
        None => filling == Filling::NegativeDentries,
    };
    let is_claimed = claims.first().is_some_and(|claim| is_of_names(&claim.cache));
    if is_flood && (is_claimed || filling == Filling::Dentries) {
        filling = Filling::NegativeDentries;
    }
    let (bytes, grown) = (total(&caches, |cache| cache.bytes), growth(&caches));
    let usual_growth = SLAB.growth(window.sum().total);
    Candidate {
        charge: Some(if is_flood { Charge::Flood } else { Charge::Leak }),
        usual_growth,
        grows: grown >= signed(usual_growth),
        goes_on: !claims.is_empty(),
        caches: most(caches, grown, |cache| cache.growth),
        claims,
        negative: negative.filter(|_| is_flood),
        ..Candidate::new(Kind::Slab(filling), bytes, grown)
    }
}

/// What the trace cannot tell, the kernel's own counts do: these caches grow throughout.
fn leaks_unseen(window: &Window, tracing: &Tracing, caches: &[CacheRow], kind: Kind) -> bool {
    let unseen: Vec<_> = caches.iter().filter(|cache| !tracing.sees(&cache.name)).collect();
    let names: Vec<_> = unseen.iter().map(|cache| cache.name.as_str()).collect();
    let grown = unseen.iter().map(|cache| cache.growth).sum::<i64>();
    let throughout = if kind == Kind::Slab(Filling::NegativeDentries) {
        window.grew_throughout(|glance| Some(glance.dentries?.negative.cast_signed()))
    } else {
        window.caches_grew_throughout(&names)
    };
    let is_much = grown.unsigned_abs() >= SLAB.growth(window.sum().total);
    is_much && throughout && is_soon(window, grown as f64 / window.length().as_secs_f64())
}

/// Without slabinfo, it is known how much cannot be taken back. Some of that comes with reclaimable slabs: arrays of their
/// objects' cgroups, and what security modules keep for inodes.
fn unknown_slab(window: &Window) -> Option<Candidate> {
    const COMES_WITH: i64 = 4;
    let (bytes, movement) = part(window, Part::SlabUnreclaimable);
    let beside = part(window, Part::SlabReclaimable).1.net.max(0) / COMES_WITH;
    let movement = Movement { net: movement.net.saturating_sub(beside), ..movement };
    let found =
        SLAB.check(window, Kind::Slab(Filling::Cache), bytes, movement).filter(|found| found.grows)?;
    let leaks = window.grew_throughout(|glance| Some(glance.sum.get(Part::SlabUnreclaimable)))
        && is_soon(window, movement.net as f64 / window.length().as_secs_f64());
    Some(Candidate { charge: leaks.then_some(Charge::Leak), goes_on: leaks, ..found })
}

fn is_soon(window: &Window, bytes_per_s: f64) -> bool {
    fills_soon(window.after.glance.meminfo.available(), bytes_per_s)
}

/// Whether what is available is gone soon enough for somebody to be woken.
pub fn fills_soon(available: u64, bytes_per_s: f64) -> bool {
    bytes_per_s * SOON.as_secs_f64() >= available as f64
}

fn total(caches: &[CacheRow], of: fn(&CacheRow) -> u64) -> u64 {
    caches.iter().map(of).fold(0, u64::saturating_add)
}

fn growth(caches: &[CacheRow]) -> i64 {
    caches.iter().map(|cache| cache.growth).fold(0, i64::saturating_add)
}

/// The first few by what they have of a whole, if it is a part of it.
fn most(mut caches: Vec<CacheRow>, whole: i64, of: fn(&CacheRow) -> i64) -> Vec<CacheRow> {
    caches.retain(|cache| of(cache) as f64 >= whole as f64 * MIN_PART);
    caches.sort_by_key(|cache| std::cmp::Reverse(of(cache)));
    caches.truncate(MAX_NAMED);
    caches
}

fn is_part(growth: i64, bytes: u64, of: &Candidate) -> bool {
    if of.grows {
        growth as f64 >= of.growth as f64 * MIN_PART
    } else {
        bytes as f64 >= of.bytes as f64 * MIN_PART
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn negative(window: &Window) -> Option<(u64, i64)> {
    let (before, after) = window.before.glance.dentries.zip(window.after.glance.dentries)?;
    Some((after.negative, difference(before.negative, after.negative)))
}

fn dentry_growth(window: &Window) -> i64 {
    let both = window.before.glance.dentries.zip(window.after.glance.dentries);
    both.map_or(0, |(before, after)| difference(before.all, after.all))
}

#[cfg(test)]
mod tests;
