//! What was traced of a cache beside what the kernel counts.
//!
//! The kernel frees some objects without an event: in bulk, or by `kfree_rcu`. Such objects look outstanding for ever. Two
//! things tell:
//!
//! - An address is handed out again that was outstanding: that object was freed, and nobody said so.
//! - What is outstanding grows, and the cache does not.
//!
//! The second compares with `active_objs` of slabinfo, which counts more than the objects in use: free ones that CPUs keep at
//! hand are active, too. How many these can be at most is known (the *slack*), and no conclusion is drawn from less.

use std::collections::HashMap;

use memtrace_common::event::NO_CACHE;

use super::{CacheTotals, build::Caches, checkpoint::Losses};
use crate::stream::{event::Address, ledger::Ledger};

/// Fewer addresses that were handed out twice prove nothing: a probe may have missed some frees.
const MIN_REUSED: u64 = 16;

/// Nor does a smaller share of all frees. Where `kmem_cache_free` fires late (before v5.12), another CPU may have the object
/// by then, and its allocation comes first: some in a million.
const MIN_SHARE: f64 = 0.001;

/// Fewer objects that slabinfo does not have, or a smaller share of what is outstanding, would not change what figures say.
const MIN_HIDDEN: u64 = 64;
const MIN_HIDDEN_SHARE: f64 = 0.1;

/// Growth of so many times the slack is enough to say how well two figures agree.
const ENOUGH_SLACKS: u64 = 8;

/// Where less of its growth is unexplained, a cache agrees with slabinfo.
const GOOD_DISAGREEMENT: f64 = 0.05;

/// A note names so many caches.
const MAX_NAMED: usize = 5;

/// What was traced of a cache since attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    pub allocs: u64,
    /// Seen, of the objects allocated since attach.
    pub frees: u64,
    /// Seen, of objects from before.
    pub unknown_frees: u64,
    /// Not seen: the object's address was handed out again.
    pub reused: u64,
    /// Events that may be missing: lost, or of probes that the kernel skipped.
    pub missing: u64,
}

impl Traced {
    /// How many more objects the cache has since attach.
    fn growth(&self) -> i64 {
        let freed = self.frees.saturating_add(self.unknown_frees).saturating_add(self.reused);
        difference(self.allocs, freed)
    }

    fn outstanding(&self) -> u64 {
        self.allocs.saturating_sub(self.frees).saturating_sub(self.reused)
    }

    /// Frees that were not seen for sure: each missing event may have been one.
    fn surely_reused(&self) -> u64 {
        self.reused.saturating_sub(self.missing)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            allocs: self.allocs + other.allocs,
            frees: self.frees + other.frees,
            unknown_frees: self.unknown_frees + other.unknown_frees,
            reused: self.reused + other.reused,
            missing: self.missing + other.missing,
        }
    }
}

/// By the caches' names, which several may share. A probe run that the kernel skipped may have been any cache's, and so may
/// a lost event of no known cache.
pub fn traced(
    ledger: &Ledger,
    caches: &Caches,
    losses: &HashMap<Address, Losses>,
    skipped: u64,
) -> HashMap<String, Traced> {
    let lost = |cache: Address| losses.get(&cache).map_or(0, |lost| lost.allocs + lost.frees);
    let missing = |cache: Address| lost(cache) + lost(NO_CACHE) + skipped;
    let mut by_name: HashMap<String, Traced> = HashMap::with_capacity(caches.len());
    for (&address, cache) in caches {
        let reused = ledger.reused(address);
        let unknown_frees = ledger.unknown_frees(address);
        let of_cache = Traced { reused, unknown_frees, missing: missing(address), ..Traced::default() };
        let sum = by_name.entry(cache.name.clone()).or_default();
        *sum = sum.plus(of_cache);
    }
    for origin in ledger.origins() {
        let Some(cache) = caches.get(&origin.key.cache) else { continue };
        let sum = by_name.entry(cache.name.clone()).or_default();
        sum.allocs += origin.allocs;
        sum.frees += origin.frees;
    }
    // To the ledger, an object whose address is handed out again is free.
    for sum in by_name.values_mut() {
        sum.frees = sum.frees.saturating_sub(sum.reused);
    }
    by_name
}

/// A moment at which slabinfo was read. The reading takes some milliseconds, so what was traced is taken before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// `active_objs`.
    pub objects: u64,
    /// So many of these may be free.
    pub slack: u64,
    pub before: Traced,
    pub after: Traced,
}

/// How a cache grew between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Of `active_objs`.
    pub slabinfo: i64,
    /// Allocations less frees, those of objects from before attach too.
    pub traced: i64,
    /// The two may differ by so much though every event was seen.
    pub slack: u64,
    /// At the later reading.
    pub outstanding: u64,
    pub reused: u64,
}

impl Growth {
    pub fn between(start: &Reading, now: &Reading) -> Self {
        let growth = |reading: &Reading| {
            let (before, after) = (reading.before.growth(), reading.after.growth());
            (before.min(after), before.max(after))
        };
        let ((start_least, start_most), (least, most)) = (growth(start), growth(now));
        let slabinfo = difference(now.objects, start.objects);
        let traced = slabinfo.clamp(least.saturating_sub(start_most), most.saturating_sub(start_least));
        Self {
            slabinfo,
            // What slabinfo saw lies somewhere between; that counts which suits it best.
            traced,
            slack: start.slack.max(now.slack).saturating_add(now.after.missing),
            outstanding: now.after.outstanding(),
            reused: now.after.surely_reused(),
        }
    }

    /// How many objects more slabinfo has than were traced.
    pub fn unexplained(&self) -> i64 {
        self.slabinfo.saturating_sub(self.traced)
    }

    /// Whether the two differ by more than slabinfo is inexact.
    pub fn disagrees(&self) -> bool {
        self.unexplained().unsigned_abs() > self.slack
    }

    /// The unexplained share of the growth, 0 to 1; None where too little grew or shrank to tell.
    pub fn disagreement(&self) -> Option<f64> {
        let moved = self.slabinfo.unsigned_abs().max(self.traced.unsigned_abs());
        let is_enough = moved >= self.slack.saturating_mul(ENOUGH_SLACKS) || self.disagrees();
        (is_enough && moved > 0).then(|| (self.unexplained().unsigned_abs() as f64 / moved as f64).min(1.0))
    }

    /// Objects that look outstanding, and that the cache does not have.
    fn hidden(&self) -> u64 {
        let beyond_slack = self.unexplained().min(0).unsigned_abs().saturating_sub(self.slack);
        // Where it is more, the others are from before attach: nobody takes them for outstanding.
        beyond_slack.min(self.outstanding)
    }

    fn hides_much(&self) -> bool {
        let hidden = self.hidden();
        hidden >= MIN_HIDDEN && hidden as f64 >= self.outstanding as f64 * MIN_HIDDEN_SHARE
    }
}

/// How it is known that a cache's frees are not all seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Outstanding addresses are handed out again.
    Reused,
    /// What is outstanding grows, and slabinfo does not.
    Slabinfo,
}

/// The kernel frees some objects of this cache without an event: what is outstanding may be free.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partial {
    pub sign: Sign,
    /// Estimated share of all frees, 0 to 1.
    pub unseen_frees_share: f64,
}

impl Partial {
    /// None where nothing speaks against the figures. `growth` is as of the last reading, where there was one.
    pub fn find(traced: &Traced, growth: Option<&Growth>) -> Option<Self> {
        let seen = traced.frees.saturating_add(traced.unknown_frees);
        let share = |unseen: u64| unseen as f64 / seen.saturating_add(unseen).max(1) as f64;
        let reused = traced.surely_reused();
        let sign = if reused >= MIN_REUSED && share(reused) >= MIN_SHARE {
            Sign::Reused
        } else if growth.is_some_and(Growth::hides_much) {
            Sign::Slabinfo
        } else {
            return None;
        };
        // What was hidden at the reading may have been handed out again since.
        let unseen = growth.map_or(0, |growth| growth.reused.saturating_add(growth.hidden())).max(reused);
        Some(Self { sign, unseen_frees_share: share(unseen) })
    }
}

/// How well the worst of the caches agrees with slabinfo, 0 to 1, without those that are marked; None where none can tell.
pub fn agreement(caches: &[CacheTotals]) -> Option<f64> {
    let worst = whole(caches).filter_map(|(_, growth)| growth.disagreement()).max_by(f64::total_cmp)?;
    Some(1.0 - worst)
}

/// The cache of which slabinfo has most more, or fewer, than was traced, where that is worth a word.
pub fn unexplained(caches: &[CacheTotals]) -> Option<(&CacheTotals, &Growth)> {
    let is_worth_it = |growth: &Growth| growth.disagrees() && growth.disagreement() > Some(GOOD_DISAGREEMENT);
    whole(caches)
        .filter(|(_, growth)| is_worth_it(growth))
        .max_by_key(|(_, growth)| growth.unexplained().unsigned_abs())
}

/// The caches that are compared, without those whose frees are known not to be seen.
fn whole(caches: &[CacheTotals]) -> impl Iterator<Item = (&CacheTotals, &Growth)> {
    caches
        .iter()
        .filter(|cache| cache.partial.is_none())
        .filter_map(|cache| Some((cache, cache.growth.as_ref()?)))
}

/// What the marks mean, for people; None where no cache has one.
pub fn note(caches: &[CacheTotals]) -> Option<String> {
    let named = |cache: &CacheTotals| {
        let about = match cache.partial?.unseen_frees_share * 100.0 {
            percent if percent < 1.0 => "under 1%".to_owned(),
            percent if percent > 99.0 => "over 99%".to_owned(),
            percent => format!("about {percent:.0}%"),
        };
        Some(format!("{about} of {}'s", cache.name))
    };
    let mut names: Vec<String> = caches.iter().filter_map(named).collect();
    let more = names.len().saturating_sub(MAX_NAMED);
    names.truncate(MAX_NAMED);
    if more > 0 {
        names.push(format!("and {more} more caches"));
    }
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!(
            "partial: some frees fire no event on this kernel: {names}; what looks outstanding there may be free"
        )
    })
}

fn difference(a: u64, b: u64) -> i64 {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    signed(a).saturating_sub(signed(b))
}

#[cfg(test)]
mod tests;
