//! What changed between two reports: the two, their rows, their slab caches.

use super::keys;
use crate::{
    output::{
        json,
        model::{Cell, Column, Kind, Name, Sums::All, Table},
        phrases::{self, partial, place},
    },
    text::{human, time::rfc3339_seconds},
    view::{
        By, Difference, Sort,
        diff::{CacheChange, Change, Held, Rates, RowChange, Seen, Side},
    },
};

type Of<'a> = Column<'a, RowChange>;

/// The two reports.
pub fn sides(difference: &Difference) -> Table {
    type Report<'a> = (&'static str, &'a Side, Held);
    type Of<'a> = Column<'a, Report<'a>>;
    let columns: [Of<'_>; 8] = [
        Of::new("side", "", Kind::Words, |of| Cell::words(of.0)).key(),
        Of::new("label", "REPORT", Kind::Words, |of| Cell::name(&*of.1.label)).rank(1),
        Of::new("objects", "OBJECTS", Kind::Figure, |of| {
            Cell::words(format!("{} outstanding", human::grouped(of.2.objects)))
        }),
        Of::new("bytes", "BYTES", Kind::Figure, |of| Cell::Bytes(of.2.bytes)),
        Of::new("elapsed", "TRACED FOR", Kind::Figure, |of| Cell::Duration(of.1.elapsed)).rank(3),
        Of::new("time", "UP TO", Kind::Words, |of| Cell::words(rfc3339_seconds(of.1.time))).rank(2),
        Of::new("host", "HOST", Kind::Words, |of| Cell::name(of.1.host.as_bytes())).rank(4),
        Of::new("kernel", "KERNEL", Kind::Words, |of| Cell::name(of.1.kernel.as_bytes())).rank(5),
    ];
    let Difference { before, after, total, .. } = difference;
    let sides = [("  before", before, total.before), ("  after", after, total.after)];
    Table::new("sides", &columns, &sides).headless()
}

pub fn rows(difference: &Difference) -> Table {
    let by = &difference.by;
    let changed = |row: &RowChange| (row.change, row.seen);
    let mut columns = keys::columns(by, |row: &RowChange| &row.keys, |_, _| String::new());
    columns.extend(keys::command(by, |row: &RowChange| row.comm.as_ref()));
    columns.extend(changes(difference.sort, changed));
    columns.extend(rates());
    columns.extend(place(difference));
    let rest = difference.rest.map(|rest| {
        let sum = RowChange { change: rest.change, ..RowChange::default() };
        (rest.rows, sum)
    });
    Table::new("rows", &columns, &difference.rows).with_rest(&columns, rest)
}

/// Those that changed most, so many at most; the others are added up.
pub fn caches(difference: &Difference, max: usize) -> Table {
    let mut columns = vec![
        Column::<CacheChange>::new("cache", keys::title(By::Cache), Kind::text(30, 60), |cache| {
            let mark = if cache.is_partial { format!("({})", partial::MARK) } else { String::new() };
            Cell::Name(Name { bytes: cache.name.clone().into_bytes(), ..Name::default() }.tail(mark))
        })
        .key(),
    ];
    columns.extend(changes(Sort::Bytes, |cache: &CacheChange| (cache.change, cache.seen)));
    columns.extend([
        Column::<CacheChange>::new("slabinfo_before", "SLABINFO BEFORE", Kind::Count, |cache| {
            Cell::known(cache.slabinfo_before, Cell::Count)
        })
        .rank(9),
        Column::<CacheChange>::new("slabinfo_after", "SLABINFO AFTER", Kind::Count, |cache| {
            Cell::known(cache.slabinfo_after, Cell::Count)
        })
        .rank(8),
    ]);
    let (shown, hidden) = difference.caches.split_at(difference.caches.len().min(max));
    let rest = hidden.iter().map(|cache| cache.change).reduce(Change::plus);
    let rest = rest.map(|change| (hidden.len() as u64, CacheChange { change, ..CacheChange::default() }));
    Table::new("caches", &columns, shown).with_rest(&columns, rest)
}

/// Of objects and of bytes: the change, its share, before and after. What rows are ordered by has the room first.
fn changes<'a, T: 'a>(sort: Sort, change: fn(&T) -> (Change, Seen)) -> Vec<Column<'a, T>> {
    let (of_bytes, of_objects) = if sort == Sort::Objects { (3, 1) } else { (1, 3) };
    let with = move |cell: fn(Change, Seen) -> Cell| {
        move |row: &T| {
            let (change, seen) = change(row);
            cell(change, seen)
        }
    };
    let shown =
        move |id, title, kind, rank, cell| Column::new(id, title, kind, with(cell)).rank(rank).sums(All);
    let csv = move |id, cell| Column::machine(id, with(cell)).sums(All);
    vec![
        csv("objects_before", |change, _| Cell::Count(change.before.objects)),
        csv("objects_after", |change, _| Cell::Count(change.after.objects)),
        csv("objects_change", |change, _| Cell::CountChange(change.objects())),
        csv("objects_change_share", |change, _| Cell::some(change.objects_share(), Cell::Share)),
        csv("bytes_before", |change, _| Cell::Count(change.before.bytes)),
        csv("bytes_after", |change, _| Cell::Count(change.after.bytes)),
        csv("bytes_change", |change, _| Cell::CountChange(change.bytes())),
        csv("bytes_change_share", |change, _| Cell::some(change.bytes_share(), Cell::Share)),
        shown("bytes", "±BYTES", Kind::BytesChange, of_bytes, |change, _| Cell::BytesChange(change.bytes())),
        shown("share", "±%", Kind::RelativeChange, 2, |change, seen| {
            Cell::RelativeChange(change.bytes_share(), seen)
        }),
        shown("before", "BEFORE", Kind::Bytes, 4, |change, _| Cell::Bytes(change.before.bytes)),
        shown("after", "AFTER", Kind::Bytes, 3, |change, _| Cell::Bytes(change.after.bytes)),
        shown("objects", "±OBJECTS", Kind::CountChange, of_objects, |change, _| {
            Cell::CountChange(change.objects())
        }),
        shown("objects_share", "±%", Kind::RelativeChange, 10, |change, seen| {
            Cell::RelativeChange(change.objects_share(), seen)
        }),
        shown("objects_now", "OBJECTS", Kind::Count, 7, |change, _| Cell::Count(change.after.objects)),
    ]
}

fn rates<'a>() -> Vec<Of<'a>> {
    let allocs = |rates: Option<Rates>| Cell::some(rates, |rates| Cell::Rate(rates.allocs));
    let growth = |rates: Option<Rates>| Cell::known(rates, |rates| Cell::Growth(rates.growth));
    vec![
        Of::machine("seen", |row| Cell::words(json::seen(row.seen))),
        Of::machine("allocs_per_s_before", move |row| allocs(row.rates_before)),
        Of::machine("allocs_per_s_after", move |row| allocs(row.rates_after)),
        Of::new("growth_per_s_before", "GROWTH BEFORE", Kind::Growth, move |row| growth(row.rates_before))
            .csv()
            .rank(6),
        Of::new("growth_per_s_after", "GROWTH AFTER", Kind::Growth, move |row| growth(row.rates_after))
            .csv()
            .rank(4),
    ]
}

fn place(difference: &Difference) -> Vec<Of<'_>> {
    vec![
        Of::machine("comm", |row| Cell::some(row.comm.as_deref(), Cell::name)),
        Of::machine("started_by", |row| {
            Cell::some(row.started_by.as_ref(), |most| Cell::name(phrases::chain(&most.comms)))
        }),
        Of::machine("directory", |row| {
            Cell::some(row.place.as_ref(), |group| Cell::name(place::directory(group)))
        }),
        Of::machine("pattern", |row| Cell::some(row.place.as_ref(), |group| Cell::name(&*group.pattern))),
        Of::new("where", "WHERE", Kind::text(24, usize::MAX), |row| {
            Cell::some(row.place.as_ref(), |group| Cell::Name(place::of_group(group)))
        })
        .rank(5)
        .only_if(difference.rows.iter().any(|row| row.place.is_some())),
    ]
}
