//! The traced slab caches: what the session saw of them, beside what the kernel counts.

use crate::{
    output::{
        model::{Cell, Column, Kind, Name, Table},
        phrases::{self, partial},
    },
    text::human,
    view::{CacheTotals, Snapshot},
};

type Of<'a> = Column<'a, CacheTotals>;

pub fn table(snapshot: &Snapshot) -> Table {
    let sampling = snapshot.sampling;
    let columns = [
        Of::new("cache", "CACHE", Kind::text(30, 60), name).key(),
        Of::new("objects", "OBJECTS", Kind::Estimate, move |cache| {
            Cell::Objects(cache.outstanding_objects, sampling)
        })
        .detail("Outstanding"),
        Of::new("bytes", "BYTES", Kind::Bytes, |cache| Cell::Bytes(cache.outstanding_bytes)).detail("Bytes"),
        Of::new("allocs", "ALLOCS", Kind::Count, |cache| Cell::Count(cache.allocs))
            .rank(10)
            .detail("Allocations"),
        Of::new("frees", "FREES", Kind::Count, |cache| Cell::Count(cache.frees)).rank(10).detail("Frees"),
        Of::new("object_size", "EACH", Kind::Bytes, |cache| Cell::Bytes(cache.object_size))
            .rank(10)
            .detail("Object size"),
        Of::new("slabinfo", "SLABINFO", Kind::Count, |cache| {
            Cell::known(cache.slabinfo_objects, Cell::Count)
        })
        .rank(4)
        .detail("In slabinfo"),
        Of::new("slabinfo_grew", "GREW", Kind::CountChange, |cache| {
            Cell::known(cache.growth, |growth| Cell::CountChange(growth.slabinfo))
        })
        .rank(10)
        .detail("Change in slabinfo"),
        Of::detail_only("Change traced", |cache| {
            Cell::some(cache.growth, |growth| Cell::CountChange(growth.traced))
        }),
        Of::new("slabinfo_growth", "GROWTH", Kind::Growth, |cache| {
            Cell::known(cache.slabinfo_objects_per_s, Cell::Growth)
        })
        .rank(4)
        .detail("Growth in slabinfo"),
        Of::detail_only("Lost allocations", |cache| some(cache.lost_allocs)),
        Of::detail_only("Lost frees", |cache| some(cache.lost_frees)),
        Of::detail_only("Unseen frees", |cache| {
            Cell::some(cache.partial, |partial| Cell::words(human::about(partial.unseen_frees_share)))
        }),
        Of::detail_only("Memory", |cache| Cell::words(phrases::reclaimable(cache.reclaimable))),
        Of::new("reclaim", "RECLAIM", Kind::Figure, |cache| Cell::known(cache.reclaimable, Cell::YesNo))
            .rank(4),
        Of::new("traced", "TRACED", Kind::text(6, 40), |cache| match cache.partial {
            None => Cell::words("all"),
            Some(_) => Cell::words(partial::of_cache(cache)),
        })
        .rank(4),
    ];
    Table::new("caches", &columns, &snapshot.caches)
}

fn some(lost: u64) -> Cell {
    Cell::some(Some(lost).filter(|&lost| lost > 0), Cell::Count)
}

/// A line for each, in words: above a report.
pub fn lines(caches: &[CacheTotals], indent: usize) -> Table {
    let columns = [
        Of::new("cache", "", Kind::text(30, usize::MAX), move |cache| match name(cache) {
            Cell::Name(name) => Cell::Name(Name { depth: indent, ..name }),
            cell => cell,
        }),
        Of::new("object_size", "", Kind::Figure, |cache| {
            Cell::words(format!("{} each", human::bytes(cache.object_size)))
        })
        .rank(5),
        Of::new("reclaim", "", Kind::Words, |cache| Cell::words(phrases::reclaimable(cache.reclaimable)))
            .rank(4),
        Of::new("slabinfo", "", Kind::Figure, |cache| {
            Cell::some(cache.slabinfo_objects, |objects| {
                let bytes = human::bytes(objects.saturating_mul(cache.object_size));
                Cell::words(format!("{} in slabinfo ({bytes})", human::grouped(objects)))
            })
        })
        .rank(2),
        Of::new("slabinfo_growth", "", Kind::Figure, |cache| {
            Cell::some(cache.slabinfo_objects_per_s, Cell::Growth)
        })
        .rank(3),
        Of::new("traced", "", Kind::Words, |cache| Cell::words(partial::of_cache(cache))).rank(1),
    ];
    Table::new("caches", &columns, caches).headless()
}

fn name(cache: &CacheTotals) -> Cell {
    let name = Name { bytes: cache.name.clone().into_bytes(), ..Name::default() };
    Cell::Name(name.tail(phrases::merged(cache.aliases.len())))
}
