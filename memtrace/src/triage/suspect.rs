//! What uses the memory? From a window to findings, the suspect first. Pure: the same window gives the same findings.
//!
//! Each kind of memory is held against what is usual for it, as a share of the host: how big it may be, and how much it may
//! grow in a window before it is worth a look. The kinds differ: a page cache that grows does its work, a slab cache that
//! grows does not. What grows has to do so steadily too ([`Movement::is_steady`]), so that a host's own ups and downs are not
//! taken for growth.

use super::{
    sum::Part,
    window::{CacheRow, Command, Movement, TmpfsRow, Window, difference},
};

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

/// With less available than this, the biggest command is named even if nothing grows.
const SCARCE: f64 = 0.10;
const BIG_COMMAND: f64 = 0.25;

/// Caches and commands in a finding, at most.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The processes' own memory.
    Processes,
    /// Shared memory and tmpfs.
    Shared,
    PageCache,
    Slab(Filling),
    /// Another part of the kernel's memory, or what is unaccounted.
    Kernel(Part),
}

/// What fills the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Names of files, most of which do not exist.
    NegativeDentries,
    Dentries,
    Inodes,
    Files,
    Sockets,
    /// The kmalloc caches, which many parts of the kernel share.
    Kmalloc,
    /// Any other cache.
    Cache,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: Kind,
    /// How big it is.
    pub bytes: u64,
    pub growth: i64,
    /// How much it may grow in a window.
    pub usual_growth: u64,
    /// How big it may be.
    pub usual_bytes: Option<u64>,
    pub grows: bool,
    pub is_big: bool,
    /// Where it is the slab: what grows most, or is biggest.
    pub caches: Vec<CacheRow>,
    /// Where it is processes: those that grow most, or are biggest.
    pub commands: Vec<Command>,
    /// Where it is shared memory.
    pub tmpfs: Vec<TmpfsRow>,
    /// Where it is dentries: how many of them are of names that do not exist, and by how many these grew.
    pub negative: Option<(u64, i64)>,
}

impl Finding {
    /// How many times it is beyond what is usual. Page cache ranks below all others: it is harmless by itself.
    fn weight(&self) -> f64 {
        let growth = if self.grows { self.growth as f64 / self.usual_growth as f64 } else { 0.0 };
        let usual = self.usual_bytes.filter(|_| self.is_big);
        let level = usual.map_or(0.0, |usual| self.bytes as f64 / usual as f64);
        let weight = growth.max(level);
        if self.kind == Kind::PageCache { weight / 1e6 } else { weight }
    }
}

/// What was found, the suspect first; empty where nothing is unusual.
pub fn judge(window: &Window) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [slab(window), processes(window), shared(window), page_cache(window)]
        .into_iter()
        .chain(OTHER_KERNEL_PARTS.map(|part| kernel_part(window, part)))
        .flatten()
        .collect();
    findings.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    findings
}

/// How much slab memory may grow in a window on a host of so much memory.
pub fn usual_slab_growth(total: u64) -> u64 {
    SLAB.growth(total)
}

/// Whether so much slab memory is more than usual.
pub fn is_much_slab(bytes: u64, total: u64) -> bool {
    SLAB.level(total).is_some_and(|usual| bytes >= usual)
}

impl Usual {
    fn growth(self, total: u64) -> u64 {
        ((total as f64 * self.growth_share) as u64).max(self.least_growth)
    }

    fn level(self, total: u64) -> Option<u64> {
        self.level_share.map(|share| (total as f64 * share) as u64)
    }

    /// None where neither its size nor its growth is unusual.
    fn check(self, window: &Window, kind: Kind, bytes: u64, movement: Movement) -> Option<Finding> {
        let total = window.sum().total;
        let (usual_growth, usual_bytes) = (self.growth(total), self.level(total));
        let grows = movement.is_steady() && movement.net.unsigned_abs() >= usual_growth;
        let is_big = usual_bytes.is_some_and(|usual| bytes >= usual && usual > 0);
        (grows || is_big).then(|| Finding {
            kind,
            bytes,
            growth: movement.net,
            usual_growth,
            usual_bytes,
            grows,
            is_big,
            caches: Vec::new(),
            commands: Vec::new(),
            tmpfs: Vec::new(),
            negative: None,
        })
    }
}

fn part(window: &Window, part: Part) -> (u64, Movement) {
    (window.sum().bytes(part), window.movement(|sum| sum.get(part)))
}

fn page_cache(window: &Window) -> Option<Finding> {
    let (bytes, movement) = part(window, Part::PageCache);
    PAGE_CACHE.check(window, Kind::PageCache, bytes, movement)
}

fn kernel_part(window: &Window, of: Part) -> Option<Finding> {
    let usual = match of {
        Part::Unaccounted => UNACCOUNTED,
        Part::HugePages => HUGE_PAGES,
        _ => KERNEL,
    };
    let (bytes, movement) = part(window, of);
    usual.check(window, Kind::Kernel(of), bytes, movement)
}

fn shared(window: &Window) -> Option<Finding> {
    let (bytes, movement) = part(window, Part::Shared);
    let found = SHARED.check(window, Kind::Shared, bytes, movement)?;
    let mut tmpfs = window.tmpfs();
    tmpfs.retain(|tmpfs| is_part(tmpfs.growth, tmpfs.used, &found));
    tmpfs.sort_by_key(|tmpfs| std::cmp::Reverse(if found.grows { tmpfs.growth } else { signed(tmpfs.used) }));
    tmpfs.truncate(MAX_NAMED);
    Some(Finding { tmpfs, ..found })
}

fn processes(window: &Window) -> Option<Finding> {
    let (bytes, movement) = part(window, Part::Processes);
    let own = window.own_growth();
    let movement = Movement { net: movement.net.saturating_sub(own.max(0)), ..movement };
    let found = PROCESSES.check(window, Kind::Processes, bytes, movement);
    let found = found.or_else(|| big_command(window, bytes, movement))?;
    let mut commands = window.commands();
    commands.retain(|command| is_part(command.growth, command.anon, &found));
    commands.sort_by_key(|command| {
        std::cmp::Reverse(if found.grows { command.growth } else { signed(command.anon) })
    });
    commands.truncate(MAX_NAMED);
    Some(Finding { commands, ..found })
}

/// Memory is scarce, and one command has a good part of it.
fn big_command(window: &Window, bytes: u64, movement: Movement) -> Option<Finding> {
    let total = window.sum().total;
    let is_scarce = window.sum().share(window.after.glance.meminfo.available()) < SCARCE;
    let biggest = window.commands().iter().map(|command| command.anon).max().unwrap_or(0);
    if !is_scarce || window.sum().share(biggest) < BIG_COMMAND {
        return None;
    }
    let usual = Usual { level_share: Some(BIG_COMMAND), ..PROCESSES };
    let found = usual.check(window, Kind::Processes, bytes.max(biggest), movement);
    found.filter(|_| total > 0)
}

/// The kernel frees the one kind of slab memory under pressure and not the other: what one of them gives back does not hide
/// that the other grows.
fn slab(window: &Window) -> Option<Finding> {
    let parts = [Part::SlabReclaimable, Part::SlabUnreclaimable];
    let steady = parts.map(|of| part(window, of).1).into_iter().filter(|movement| movement.is_steady());
    let none = Movement::default();
    let movement = steady.fold(none, |sum, movement| Movement {
        net: sum.net + movement.net,
        up: sum.up + movement.up,
        down: sum.down + movement.down,
    });
    let found = SLAB.check(window, Kind::Slab(Filling::Cache), window.sum().slab(), movement)?;
    let mut caches = window.caches();
    let negative = negative(window);
    let filling = filling(&caches, found.grows, negative);
    caches.retain(|cache| is_part(cache.growth, cache.bytes, &found));
    caches
        .sort_by_key(|cache| std::cmp::Reverse(if found.grows { cache.growth } else { signed(cache.bytes) }));
    caches.truncate(MAX_NAMED);
    let is_dentries = matches!(filling, Filling::Dentries | Filling::NegativeDentries);
    Some(Finding { kind: Kind::Slab(filling), caches, negative: negative.filter(|_| is_dentries), ..found })
}

fn is_part(growth: i64, bytes: u64, of: &Finding) -> bool {
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
    let (before, after) = window.before.dentries.zip(window.after.dentries)?;
    Some((after.negative, difference(before.negative, after.negative)))
}

/// Which kind of object has most, of what grew or of what there is. A socket is also an open file (`filp`) and a dentry, an
/// inode mostly also a dentry: so many of these as there are sockets and inodes count for them.
fn filling(caches: &[CacheRow], by_growth: bool, negative: Option<(u64, i64)>) -> Filling {
    let figure = |growth: i64, size: u64| if by_growth { growth.max(0) as f64 } else { size as f64 };
    let bytes = |cache: &CacheRow| figure(cache.growth, cache.bytes);
    let objects = |cache: &CacheRow| figure(cache.objects_growth, cache.objects);
    let of = |is: fn(&str) -> bool| {
        let caches = caches.iter().filter(move |cache| names(cache).any(is));
        caches.fold((0.0, 0.0), |(b, n), cache| (b + bytes(cache), n + objects(cache)))
    };
    let (files, dentries) = (of(|name| name == "filp"), of(|name| name == "dentry"));
    let (inodes, sockets) = (of(is_of_inodes), of(|name| name == "sock_inode_cache"));
    let each = |(bytes, objects): (f64, f64)| if objects > 0.0 { bytes / objects } else { 0.0 };
    // Whoever lists /proc/PID/fd, as monitors do, makes an inode and a dentry for each open file there is.
    let of_proc = of(|name| name == "proc_inode_cache");
    let listed = of_proc.1.min(files.1);
    let inodes = (inodes.0 - listed * each(of_proc), inodes.1 - listed);
    // Names that do not exist have no inode.
    let negative = negative.map_or(0.0, |(all, grew)| figure(grew, all)).min(dentries.1);
    let of_sockets = sockets.1.min(dentries.1 - negative);
    let of_inodes = inodes.1.min(dentries.1 - negative - of_sockets);
    let of_listed = listed.min(dentries.1 - negative - of_sockets - of_inodes);
    let own = dentries.1 - of_sockets - of_inodes - of_listed;
    let sockets_files = sockets.1.min(files.1);
    let has_sockets = if sockets.1 > 0.0 { 1.0 } else { 0.0 };
    let sockets_bytes =
        has_sockets * of(is_of_sockets).0 + sockets_files * each(files) + of_sockets * each(dentries);
    // Long names have memory of their own beside the dentry.
    let long_names = if own > 0.0 { of(|name| name.starts_with("kmalloc-rcl-")).0 } else { 0.0 };
    let of_names = if negative * 2.0 >= own { Filling::NegativeDentries } else { Filling::Dentries };
    let others = caches.iter().filter(|cache| !names(cache).any(is_of_a_kind));
    let candidates = [
        (Filling::Sockets, sockets_bytes),
        (Filling::Files, (files.1 - sockets_files) * each(files)),
        (Filling::Inodes, inodes.0 + of_inodes * each(dentries)),
        (of_names, own * each(dentries) + long_names),
        (Filling::Kmalloc, of(is_kmalloc).0),
        (Filling::Cache, others.map(bytes).fold(0.0, f64::max)),
    ];
    let most = candidates.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    most.filter(|(_, bytes)| *bytes > 0.0).map_or(Filling::Cache, |(filling, _)| filling)
}

fn is_of_a_kind(name: &str) -> bool {
    matches!(name, "filp" | "dentry") || is_of_sockets(name) || is_of_inodes(name) || is_kmalloc(name)
}

fn names(cache: &CacheRow) -> impl Iterator<Item = &str> {
    std::iter::once(cache.name.as_str()).chain(cache.aliases.iter().map(String::as_str))
}

fn is_of_sockets(name: &str) -> bool {
    const PROTOCOLS: [&str; 14] = [
        "UNIX",
        "UNIX-STREAM",
        "TCP",
        "TCPv6",
        "UDP",
        "UDPv6",
        "UDP-Lite",
        "UDPLITEv6",
        "RAW",
        "RAWv6",
        "PING",
        "PINGv6",
        "NETLINK",
        "PACKET",
    ];
    name == "sock_inode_cache" || PROTOCOLS.contains(&name) || name.contains("_sock_")
}

/// What security modules keep for each inode, of whatever filesystem, is none itself.
fn is_of_inodes(name: &str) -> bool {
    let is_inode = name.ends_with("inode_cache") || name.ends_with("_inode");
    is_inode && !["sock_inode_cache", "lsm_inode_cache"].contains(&name)
}

/// Of kmalloc's families, and those of single users (kmem_buckets).
fn is_kmalloc(name: &str) -> bool {
    ["kmalloc-", "dma-kmalloc-", "msg_msg-", "memdup_user-"].iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests;
