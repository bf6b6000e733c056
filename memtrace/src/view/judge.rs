//! Judges rows: who leaks, who floods, what merely fills caches?
//!
//! A finding needs one cache of a row that grows steadily by objects that stay ([`super::survival`]). What the cache holds says
//! what that means; what is uncertain is listed with it.

use std::time::Duration;

use super::{
    checkpoint::Trust,
    finding::{Doubt, Ended, Finding, Kind, KnownIncident, TooFew, Verdict},
    lookups::CacheInfo,
    names::{Class, NameGroup},
    snapshot::{CacheTotals, Row},
    survival::{Course, Survival},
    trend::Slope,
};
use crate::{
    knowledge::{
        caches,
        incidents::{Evidence, Incidents},
    },
    procfs::{
        meminfo::SlabMemory,
        slab::{root_name, size_of_kmalloc},
    },
};

/// slabinfo counts free objects in per-CPU lists too: a share of a smaller growth would mean little.
const MIN_GROWTH: i64 = 500;

/// With fewer matching signs, an incident merely fills the same cache.
const MIN_SIGNS: usize = 2;

/// Losses up to this share of all events do not change what a row says.
const FEW_LOST: f64 = 0.001;

/// Dentries of which so many are of names that do not exist are made for nothing.
const FLOOD_IS_NEGATIVE: f64 = 0.5;

/// The kernel takes a flood back when memory is short. One that would need longer to get there is not worth a claim.
const FLOOD_FILLS_IN: Duration = Duration::from_secs(30 * 24 * 3600);

/// A leak that would need years is not worth one either.
const LEAK_FILLS_IN: Duration = Duration::from_secs(3 * 365 * 24 * 3600);

/// An object that a timer frees looks kept until then: only what outlives it so many times is.
const TIMES_OF_TIMER: u32 = 2;

/// Of caches that merely fill, how many are named.
const MAX_CACHES: usize = 5;

/// `kmalloc-*` says little of what is held: another cache of the same row with this share of its bytes says more.
const TELLING_SHARE: f64 = 0.05;

/// Too little time for a finding.
const TOO_EARLY: Duration = Duration::from_millis(5500);

/// With a smaller share of all that is outstanding, what is over is not worth a word.
const MIN_ENDED: f64 = 0.01;

/// The caches that many parts of the kernel share.
const KMALLOC: &str = "kmalloc-";

/// A slab has more objects, of most caches.
const OBJECTS_OF_A_SLAB: u64 = 8;

/// What a row has in one cache, and what survives of it.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    pub cache: &'a CacheInfo,
    pub survival: Survival,
}

/// What is known of the session whose rows are judged.
pub struct SessionFacts<'a> {
    pub caches: &'a [CacheTotals],
    pub meminfo: Option<SlabMemory>,
    pub trust: &'a Trust,
    pub incidents: &'a Incidents,
    /// One object in so many is followed.
    pub period: u32,
    pub elapsed: Duration,
}

/// One cache of a row, which grows.
struct Grown<'a> {
    row: &'a Row,
    cache: &'a CacheInfo,
    survival: &'a Survival,
    kind: Kind,
    slope: Slope,
}

/// None while it is too early to say.
pub fn verdict<'a>(
    rows: impl Iterator<Item = (&'a Row, &'a [Held<'a>])>,
    session: &SessionFacts<'_>,
) -> Option<Verdict> {
    if session.elapsed < TOO_EARLY {
        return None;
    }
    let (mut findings, mut few, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for (row, held) in rows {
        ended.extend(session.ended(row, held));
        let (grown, too_few) = session.grown(row, held);
        findings.extend(session.findings(grown));
        few.extend(too_few);
    }
    // What leaks comes back with its holder only, so it weighs more; and of a leak and a flood that are as fast, not each report should
    // name another one first.
    let weight = |kind| if kind == Kind::Leak { 2 } else { 1 };
    let strength =
        |finding: &Finding| (finding.is_accusation(), finding.bytes_per_s as u64 * weight(finding.kind));
    findings.sort_by(|a, b| strength(b).cmp(&strength(a)).then_with(|| a.keys.cmp(&b.keys)));
    let accused = findings.iter().filter(|finding| finding.is_accusation()).count();
    findings.truncate(accused + MAX_CACHES);
    let too_few = few.into_iter().filter(|_| accused == 0).max_by_key(|few| few.objects);
    let ended = ended.into_iter().filter(|_| accused == 0).max_by_key(|ended| ended.bytes);
    Some(Verdict { findings, too_few, ended })
}

impl SessionFacts<'_> {
    /// The caches of a row that grow, and one that may.
    fn grown<'a>(&self, row: &'a Row, held: &'a [Held<'a>]) -> (Vec<Grown<'a>>, Option<TooFew>) {
        let (mut all, mut few) = (Vec::new(), Vec::new());
        for Held { cache, survival } in held.iter().filter(|held| !self.is_partial(held.cache)) {
            let grown = |slope| Grown { row, cache, survival, kind: kind(cache, row), slope };
            match survival.course(self.period) {
                Course::Steady(slope) => all.push(grown(slope)),
                Course::TooFew(slope) => few.push(grown(slope)),
                Course::No => {}
            }
        }
        let is_word = |grown: &Grown<'_>| self.is_worth_it(grown) && !may_be_of_slabs(grown);
        all.retain(is_word);
        let too_few = few.iter().find(|grown| grown.kind != Kind::Cache);
        let too_few = too_few.filter(|few| !few.cache.name.starts_with(KMALLOC));
        let too_few = too_few.map(|few| self.too_few(row, few.cache, few.survival));
        // Where enough grows to tell, what grows beside it does too, and may say more: a file and its security module's data.
        let grows_beside = |few: &Grown<'_>| is_word(few) && all.iter().any(|grown| grown.kind == few.kind);
        few.retain(grows_beside);
        all.append(&mut few);
        (all, too_few)
    }

    /// Its objects may be free: the kernel frees some without telling.
    fn is_partial(&self, cache: &CacheInfo) -> bool {
        self.caches.iter().any(|totals| totals.name == cache.name && totals.partial.is_some())
    }

    fn too_few(&self, row: &Row, cache: &CacheInfo, survival: &Survival) -> TooFew {
        TooFew {
            keys: row.keys.clone(),
            comm: row.comm.clone(),
            cache: cache.name.clone(),
            objects: survival.objects(),
            elapsed: self.elapsed,
        }
    }

    /// Of its caches, the one that took most.
    fn ended(&self, row: &Row, held: &[Held<'_>]) -> Option<Ended> {
        let all_bytes: u64 = self.caches.iter().map(|totals| totals.outstanding_bytes).sum();
        let of_cache = |Held { cache, survival }: &Held<'_>| {
            let is_held = kind(cache, row) != Kind::Cache && !cache.name.starts_with(KMALLOC);
            let until = survival.ended(self.period).filter(|_| is_held && !self.is_partial(cache))?;
            let bytes = survival.objects() * cache.object_size;
            (bytes as f64 >= all_bytes as f64 * MIN_ENDED).then(|| Ended {
                keys: row.keys.clone(),
                comm: row.comm.clone(),
                cache: cache.name.clone(),
                objects: survival.objects(),
                bytes,
                until,
            })
        };
        held.iter().filter_map(of_cache).max_by_key(|ended| ended.bytes)
    }

    fn is_worth_it(&self, grown: &Grown<'_>) -> bool {
        let timer = names(grown.cache).filter_map(|name| caches::find(name)?.timer_s).max();
        let outlives_timer =
            timer.is_none_or(|timer| grown.survival.time() >= Duration::from_secs(timer) * TIMES_OF_TIMER);
        let matters_within = match grown.kind {
            Kind::Leak => LEAK_FILLS_IN,
            Kind::Flood => FLOOD_FILLS_IN,
            Kind::Cache => Duration::MAX,
        };
        outlives_timer && self.full_in(grown.bytes_per_s()).is_none_or(|time| time <= matters_within)
    }

    /// One of each kind: what grows together is one thing, an open pipe for example of four caches.
    fn findings(&self, grown: Vec<Grown<'_>>) -> Vec<Finding> {
        let of_kind = |kind| {
            let mut of_kind: Vec<&Grown<'_>> = grown.iter().filter(|grown| grown.kind == kind).collect();
            of_kind.sort_by(|a, b| b.bytes_per_s().total_cmp(&a.bytes_per_s()));
            let telling = telling(&of_kind)?;
            let with = of_kind.iter().map(|grown| &grown.cache.name);
            let with = with.filter(|name| **name != telling.cache.name).cloned().collect();
            Some(self.finding(telling, with))
        };
        [Kind::Leak, Kind::Flood, Kind::Cache].into_iter().filter_map(of_kind).collect()
    }

    fn finding(&self, grown: &Grown<'_>, with: Vec<String>) -> Finding {
        let Grown { row, cache, survival, kind, slope } = *grown;
        let totals = self.caches.iter().find(|totals| totals.name == cache.name);
        let (objects, bytes_per_s) = (survival.objects(), grown.bytes_per_s());
        let bytes = (objects * cache.object_size) as f64;
        let all_bytes: u64 = self.caches.iter().map(|totals| totals.outstanding_bytes).sum();
        Finding {
            kind,
            keys: row.keys.clone(),
            comm: row.comm.clone(),
            started_by: row.started_by.first().map(|ancestors| ancestors.comms.clone()).unwrap_or_default(),
            processes: row.processes,
            cache: cache.name.clone(),
            aliases: cache.aliases.clone(),
            share_of_cache: if row.bytes == 0 { 1.0 } else { (bytes / row.bytes as f64).min(1.0) },
            with,
            objects,
            slope,
            bytes_per_s,
            kept: survival.kept(),
            place: place(cache, row).cloned(),
            negative: negative(cache, row),
            explains: totals.and_then(|totals| explained(objects, totals)),
            slab_growth_share: (bytes / all_bytes.max(1) as f64).min(1.0),
            // A cache may count as reclaimable, and yet no object of it can be taken back while somebody holds it: open sockets.
            is_reclaimable: if kind == Kind::Leak { Some(false) } else { cache.reclaimable },
            full_in: self.full_in(bytes_per_s),
            doubts: doubts(self.trust)
                .into_iter()
                .chain(totals.and_then(|totals| replaced(objects, totals)))
                .collect(),
            known: self.known(row, cache, kind),
        }
    }

    fn full_in(&self, bytes_per_s: f64) -> Option<Duration> {
        let available = self.meminfo?.available?;
        Duration::try_from_secs_f64(available as f64 / bytes_per_s).ok()
    }

    /// Who merely fills caches has none.
    fn known(&self, row: &Row, cache: &CacheInfo, kind: Kind) -> Vec<KnownIncident> {
        if kind == Kind::Cache {
            return Vec::new();
        }
        let place = place(cache, row);
        let ancestors = row.started_by.first().map(|ancestors| &ancestors.comms[..]).unwrap_or_default();
        let evidence = Evidence {
            caches: names(cache).map(str::to_owned).collect(),
            chain: row.comm.iter().chain(ancestors).cloned().collect(),
            name: place.map(|place| place.example.clone()),
            parent: place.map(|place| place.path.clone().unwrap_or_else(|| place.parent.clone())),
            functions: row.call_site.iter().filter_map(|site| site.symbol.clone()).collect(),
            negative: row.negatives.map(|negatives| negatives.share()),
        };
        let alike = self.incidents.like(&evidence).into_iter().filter(|like| like.matched.len() >= MIN_SIGNS);
        alike.map(|like| KnownIncident::from(&like)).collect()
    }
}

impl Grown<'_> {
    fn bytes_per_s(&self) -> f64 {
        self.slope.per_s * self.cache.object_size as f64
    }
}

/// The one that says most about what is held, of those of most bytes first: one that is of one kind of object alone.
fn telling<'a, 'b>(grown: &[&'a Grown<'b>]) -> Option<&'a Grown<'b>> {
    let first = *grown.first()?;
    let counts = |grown: &&&Grown<'_>| grown.bytes_per_s() >= first.bytes_per_s() * TELLING_SHARE;
    let is_named = |grown: &&&Grown<'_>| !grown.cache.name.starts_with(KMALLOC);
    let is_alone = |grown: &&&Grown<'_>| is_named(grown) && grown.cache.aliases.is_empty();
    let mut telling = grown.iter().filter(counts);
    let named = telling.clone().find(is_named);
    Some(telling.find(is_alone).or(named).copied().unwrap_or(first))
}

/// For each new slab of objects that are charged to cgroups, the kernel allocates an array (`alloc_slab_obj_exts`, before 6.10
/// `memcg_alloc_slab_cgroups`) in a cache of kmalloc's. Whoever needs the slab is not the one who holds it. Where a row
/// allocated so many other objects for each that it seems to keep there, it may be that.
fn may_be_of_slabs(grown: &Grown<'_>) -> bool {
    let is_array = size_of_kmalloc(&grown.cache.name).is_some();
    is_array
        && grown.row.allocs.saturating_sub(grown.survival.allocs())
            >= grown.survival.objects() * OBJECTS_OF_A_SLAB
}

fn names(cache: &CacheInfo) -> impl Iterator<Item = &str> {
    std::iter::once(&cache.name).chain(&cache.aliases).map(String::as_str)
}

/// Of merged caches nobody can tell whose objects are: the one whose name they go by counts.
fn kind(cache: &CacheInfo, row: &Row) -> Kind {
    if let Some(negative) = negative(cache, row) {
        return if negative >= FLOOD_IS_NEGATIVE { Kind::Flood } else { Kind::Cache };
    }
    let is_bookkeeping = match names(cache).find_map(caches::find) {
        Some(known) => known.bookkeeping_of.is_some(),
        None => cache.reclaimable == Some(true),
    };
    if is_bookkeeping { Kind::Cache } else { Kind::Leak }
}

/// Where most of what a row has of this cache is. It may have files open in one place, and ask for names in another.
fn place<'a>(cache: &CacheInfo, row: &'a Row) -> Option<&'a NameGroup> {
    let is = |is: fn(&str) -> bool| names(cache).any(|name| is(root_name(name)));
    let classes: &[Option<Class>] = if is(|name| name == "dentry" || name.starts_with("kmalloc-rcl-")) {
        &[Some(Class::Dentry), None]
    } else if is(|name| ["filp", "lsm_file_cache"].contains(&name)) {
        &[Some(Class::File)]
    } else if is(|name| name == "sock_inode_cache" || caches::is_of_sockets(name)) {
        &[Some(Class::Socket), Some(Class::File)]
    } else {
        // Nobody can tell which of the row's names go with it.
        return row.names.first();
    };
    classes.iter().find_map(|class| row.names.iter().find(|group| group.kind == *class))
}

fn negative(cache: &CacheInfo, row: &Row) -> Option<f64> {
    let negatives = row.negatives.filter(|_| root_name(&cache.name) == "dentry")?;
    Some(negatives.share())
}

/// Which part of what slabinfo says that the cache grew by.
fn explained(objects: u64, cache: &CacheTotals) -> Option<f64> {
    let growth = cache.growth.map(|growth| growth.slabinfo).filter(|growth| *growth >= MIN_GROWTH)?;
    Some((objects as f64 / growth as f64).min(1.0))
}

/// Where at least half as many objects of before were freed as are found to be added.
fn replaced(objects: u64, cache: &CacheTotals) -> Option<Doubt> {
    let growth = cache.growth?;
    let freed = u64::try_from(i64::try_from(growth.outstanding).ok()?.saturating_sub(growth.traced)).ok()?;
    (freed >= objects.div_ceil(2)).then_some(Doubt::Replaced(freed))
}

fn doubts(trust: &Trust) -> Vec<Doubt> {
    let lost = (trust.lost_allocs + trust.lost_frees) as f64 / trust.emitted.max(1) as f64;
    let doubts = [
        (lost > FEW_LOST).then_some(Doubt::Lost { share: lost }),
        (trust.missed() > 0).then_some(Doubt::Missed(trust.missed())),
        (trust.refused > 0).then_some(Doubt::Refused),
    ];
    doubts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
