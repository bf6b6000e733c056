//! What changed between two reports: the two, their rows, their slab caches.

use super::keys;
use crate::{
    output::{
        model::{Cell, Column, Kind, Name, Sums::All, Table},
        phrases::{self, place},
    },
    text::{human, time::rfc3339_seconds},
    view::{
        By, Difference, Sort,
        diff::{CacheChange, Change, Held, RowChange, Seen, Side},
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
            let mark = if cache.is_partial { format!("({})", phrases::PARTIAL) } else { String::new() };
            Cell::Name(Name { bytes: cache.name.clone().into_bytes(), ..Name::default() }.tail(mark))
        })
        .key(),
    ];
    columns.extend(changes(Sort::Bytes, |cache: &CacheChange| (cache.change, cache.seen)));
    columns.extend([
        Column::count("slabinfo_before", "SLABINFO BEFORE", |cache: &CacheChange| cache.slabinfo_before)
            .rank(9),
        Column::count("slabinfo_after", "SLABINFO AFTER", |cache: &CacheChange| cache.slabinfo_after).rank(8),
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
        csv("objects_change_share", |change, _| change.objects_share().map(Cell::Share).into()),
        csv("bytes_before", |change, _| Cell::Count(change.before.bytes)),
        csv("bytes_after", |change, _| Cell::Count(change.after.bytes)),
        csv("bytes_change", |change, _| Cell::CountChange(change.bytes())),
        csv("bytes_change_share", |change, _| change.bytes_share().map(Cell::Share).into()),
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
    vec![
        Of::machine("seen", |row| Cell::words(row.seen.into_str())),
        Of::machine("allocs_per_s_before", |row| Some(Cell::Rate(row.rates_before?.allocs))),
        Of::machine("allocs_per_s_after", |row| Some(Cell::Rate(row.rates_after?.allocs))),
        Of::growth("growth_per_s_before", "GROWTH BEFORE", |row| Some(row.rates_before?.growth))
            .csv()
            .rank(6),
        Of::growth("growth_per_s_after", "GROWTH AFTER", |row| Some(row.rates_after?.growth)).csv().rank(4),
    ]
}

fn place(difference: &Difference) -> Vec<Of<'_>> {
    vec![
        Of::machine("comm", |row| row.comm.as_deref().map(Cell::name)),
        Of::machine("started_by", |row| Some(Cell::name(phrases::chain(&row.started_by.as_ref()?.comms)))),
        Of::machine("directory", |row| Some(Cell::name(place::directory(row.place.as_ref()?)))),
        Of::machine("pattern", |row| Some(Cell::name(&*row.place.as_ref()?.pattern))),
        Of::new("where", "WHERE", Kind::text(24, usize::MAX), |row| {
            Some(Cell::Name(place::of_group(row.place.as_ref()?)))
        })
        .rank(5)
        .only_if(difference.rows.iter().any(|row| row.place.is_some())),
    ]
}
