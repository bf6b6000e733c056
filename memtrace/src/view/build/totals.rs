//! The ledger's origins, added up by slab cache.

use std::collections::HashMap;

use crate::{
    stream::ledger::Ledger,
    view::{
        checkpoint::Checkpoint,
        lookups::{CacheInfo, Lookups},
        reconcile::{self, Partial, Traced},
        snapshot::CacheTotals,
    },
};

/// Totals by cache, biggest first.
pub fn cache_totals(ledger: &Ledger, checkpoint: &Checkpoint, lookups: Lookups<'_>) -> Vec<CacheTotals> {
    let traced =
        reconcile::traced(ledger, lookups.caches, &checkpoint.losses, checkpoint.trust.recursion_misses);
    let total_of = |cache: &CacheInfo| without_events(cache, checkpoint, traced.get(&cache.name));
    let requested = lookups.caches.values().filter(|cache| cache.is_requested);
    let mut totals: HashMap<&str, CacheTotals> =
        requested.map(|cache| (cache.name.as_str(), total_of(cache))).collect();
    for origin in lookups.shown(ledger) {
        let Some(cache) = lookups.caches.get(&origin.key.cache) else { continue };
        let total = totals.entry(&cache.name).or_insert_with(|| total_of(cache));
        total.allocs += origin.allocs;
        total.frees += origin.frees;
        total.outstanding_objects += origin.outstanding();
        total.outstanding_bytes += origin.outstanding() * cache.object_size;
    }
    for (address, lost) in &checkpoint.losses {
        let Some(cache) = lookups.caches.get(address) else { continue };
        let total = totals.entry(&cache.name).or_insert_with(|| total_of(cache));
        total.lost_allocs = total.lost_allocs.saturating_add(lost.allocs);
        total.lost_frees = total.lost_frees.saturating_add(lost.frees);
    }
    let mut totals: Vec<_> = totals.into_values().collect();
    totals.sort_by(|a, b| b.outstanding_bytes.cmp(&a.outstanding_bytes).then_with(|| a.name.cmp(&b.name)));
    totals
}

/// Totals of a cache without events.
fn without_events(cache: &CacheInfo, checkpoint: &Checkpoint, traced: Option<&Traced>) -> CacheTotals {
    let slabinfo = checkpoint.slabinfo.get(&cache.name);
    let growth = checkpoint.growth.get(&cache.name);
    // Where the kernel was asked which objects are allocated, no unseen free is left.
    let suspected = traced.filter(|_| !checkpoint.trust.is_verified());
    CacheTotals {
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
        partial: suspected.and_then(|traced| Partial::find(traced, growth)),
        growth: growth.copied(),
    }
}
