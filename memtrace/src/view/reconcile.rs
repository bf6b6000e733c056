//! What was traced of a cache, compared with what the kernel counts.
//!
//! The kernel frees some objects without an event: in bulk, or by `kfree_rcu`. Such objects look outstanding for ever. Two
//! signs show that:
//!
//! - An outstanding address is handed out again: that object was freed without an event.
//! - What is outstanding grows, and the cache does not.
//!
//! The second compares with `active_objs` of slabinfo, which also counts free objects in per-CPU slabs and lists. Their number has
//! an upper bound (the *slack*), and no conclusion is drawn from a smaller difference.

mod growth;

use std::collections::HashMap;

use memtrace_common::event::NO_CACHE;

pub use self::growth::{Growth, Partial, Reading, Sign, Traced};
use super::{checkpoint::Losses, lookups::Caches, snapshot::CacheTotals};
use crate::stream::{event::Address, ledger::Ledger};

/// Where less of its growth is unexplained, a cache agrees with slabinfo.
const GOOD_DISAGREEMENT: f64 = 0.05;

/// Caches named in a note at most.
const MAX_NAMED: usize = 5;

/// By name, which several caches may share. A probe run that the kernel skipped may concern any cache, and so may a lost event
/// of an unknown one.
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
        let reused = ledger.unseen_frees(address);
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

/// How well the worst cache agrees with slabinfo, 0 to 1, leaving out partial ones; None where too little moved to say.
pub fn agreement(caches: &[CacheTotals]) -> Option<f64> {
    let worst = whole(caches).filter_map(|(_, growth)| growth.disagreement()).max_by(f64::total_cmp)?;
    Some(1.0 - worst)
}

/// The cache with the largest difference between slabinfo and what was traced, if it is large enough to mention.
pub fn unexplained(caches: &[CacheTotals]) -> Option<(&CacheTotals, &Growth)> {
    let is_notable = |growth: &Growth| growth.disagrees() && growth.disagreement() > Some(GOOD_DISAGREEMENT);
    whole(caches)
        .filter(|(_, growth)| is_notable(growth))
        .max_by_key(|(_, growth)| growth.unexplained().unsigned_abs())
}

/// The caches that are compared, leaving out partial ones.
fn whole(caches: &[CacheTotals]) -> impl Iterator<Item = (&CacheTotals, &Growth)> {
    caches
        .iter()
        .filter(|cache| cache.partial.is_none())
        .filter_map(|cache| Some((cache, cache.growth.as_ref()?)))
}

/// What `partial` means, and for which caches; None where no cache is.
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

#[cfg(test)]
mod tests;
