//! The traced slab caches: what the session saw of them, beside what the kernel counts.

use crate::{
    output::{
        model::{Cell, Column, Kind, Name, Table},
        phrases,
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
        Of::bytes("bytes", "BYTES", |cache| cache.outstanding_bytes).detail("Bytes"),
        Of::count("allocs", "ALLOCS", |cache| cache.allocs).rank(10).detail("Allocations"),
        Of::count("frees", "FREES", |cache| cache.frees).rank(10).detail("Frees"),
        Of::bytes("object_size", "EACH", |cache| cache.object_size).rank(10).detail("Object size"),
        Of::count("slabinfo", "SLABINFO", |cache| cache.slabinfo_objects).rank(4).detail("In slabinfo"),
        Of::count_change("slabinfo_grew", "GREW", |cache| Some(cache.growth?.slabinfo))
            .rank(10)
            .detail("Change in slabinfo"),
        Of::detail_only("Change traced", |cache| Some(Cell::CountChange(cache.growth?.traced))),
        Of::growth("slabinfo_growth", "GROWTH", |cache| cache.slabinfo_objects_per_s)
            .rank(4)
            .detail("Growth in slabinfo"),
        Of::detail_only("Lost allocations", |cache| Cell::nonzero(cache.lost_allocs)),
        Of::detail_only("Lost frees", |cache| Cell::nonzero(cache.lost_frees)),
        Of::detail_only("Unseen frees", |cache| {
            Some(Cell::words(human::about(cache.partial?.unseen_frees_share)))
        }),
        Of::detail_only("Memory", |cache| Cell::words(phrases::reclaimable(cache.reclaimable))),
        Of::new("reclaim", "RECLAIM", Kind::Figure, |cache| Cell::known(cache.reclaimable, Cell::YesNo))
            .rank(4),
        Of::new("traced", "TRACED", Kind::text(6, 40), |cache| match cache.partial {
            None => Cell::words("all"),
            Some(_) => Cell::words(phrases::partial(cache)),
        })
        .rank(4),
    ];
    Table::new("caches", &columns, &snapshot.caches)
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
            let objects = cache.slabinfo_objects?;
            let bytes = human::bytes(objects.saturating_mul(cache.object_size));
            Some(Cell::words(format!("{} in slabinfo ({bytes})", human::grouped(objects))))
        })
        .rank(2),
        Of::new("slabinfo_growth", "", Kind::Figure, |cache| cache.slabinfo_objects_per_s.map(Cell::Growth))
            .rank(3),
        Of::new("traced", "", Kind::Words, |cache| Cell::words(phrases::partial(cache))).rank(1),
    ];
    Table::new("caches", &columns, caches).headless()
}

fn name(cache: &CacheTotals) -> Cell {
    let name = Name { bytes: cache.name.clone().into_bytes(), ..Name::default() };
    Cell::Name(name.tail(phrases::merged(cache.aliases.len())))
}
