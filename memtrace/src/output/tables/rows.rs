//! The rows of a report: who holds objects.

use super::keys;
use crate::{
    output::{
        model::{
            Cell, Column, Kind, Name, Room,
            Sums::{All, Total},
            Table,
        },
        phrases::{self, place},
    },
    text::{human, time::rfc3339},
    view::{By, CacheTotals, Row, Snapshot, Sort, key},
};

/// Worth more than the columns after it, which make room for that much.
const PLACE: Kind = Kind::Text(Room { least: 16, good: 30, most: 100 });
const STARTED_BY: Kind = Kind::text(16, keys::MAX_CHAIN);
const CGROUP: Kind = Kind::text(16, 40);

type Of<'a> = Column<'a, Row>;

pub fn table(snapshot: &Snapshot) -> Table {
    let columns = columns(snapshot);
    let rest = snapshot.rest.map(|rest| {
        let sum = Row { objects: rest.objects, bytes: rest.bytes, ..Row::default() };
        (rest.rows, sum)
    });
    // The total only repeats a row that stands alone.
    let lines = snapshot.rows.len() + usize::from(rest.is_some());
    let total = (lines > 1).then(|| snapshot.total());
    Table {
        is_live: true,
        ..Table::new("rows", &columns, &snapshot.rows).with_rest(&columns, rest).with_total(&columns, total)
    }
}

/// In the order of CSV, where those that people see have the same.
fn columns(snapshot: &Snapshot) -> Vec<Of<'_>> {
    let by = &snapshot.by;
    let merged = |by: By, key: &[u8]| {
        let is_it = |cache: &&CacheTotals| cache.name.as_bytes() == key;
        let cache = (by == By::Cache).then(|| snapshot.caches.iter().find(is_it)).flatten();
        cache.map_or_else(String::new, |cache| phrases::merged(cache.aliases.len()))
    };
    let mut columns = source(snapshot);
    columns.extend(keys::columns(by, |row: &Row| &row.keys, merged));
    columns.extend(keys::command(by, |row: &Row| row.comm.as_ref()));
    columns.extend(figures(snapshot));
    columns.extend(who(snapshot));
    columns.extend(what());
    for column in columns.iter_mut().filter(|column| column.head.id == sorted_by(snapshot.sort)) {
        column.head.rank = 1;
    }
    columns
}

/// The column of an order: it gets the room before others.
pub fn sorted_by(sort: Sort) -> &'static str {
    match sort {
        Sort::Bytes => "bytes",
        Sort::Objects => "objects",
        Sort::Growth => "growth_per_s",
        Sort::Age => "oldest_ns",
    }
}

/// Where and when; in CSV each line says it.
fn source(snapshot: &Snapshot) -> Vec<Of<'_>> {
    vec![
        Of::machine("host", |_| Cell::name(snapshot.host.as_bytes())).sums(All),
        Of::machine("time", |_| Cell::words(rfc3339(snapshot.time))).sums(All),
        Of::machine("elapsed_ns", |_| Cell::Duration(snapshot.elapsed)).sums(All),
        Of::machine("sampling_period", |_| Cell::Number(snapshot.sampling.period.into())).sums(All),
    ]
}

/// How many, how fast.
fn figures(snapshot: &Snapshot) -> Vec<Of<'_>> {
    let sampling = snapshot.sampling;
    let Row { objects: outstanding, objects_until_end: until_end, .. } = snapshot.total();
    let objects = if sampling.is_on() { Kind::Estimate } else { Kind::Count };
    vec![
        Of::new("objects", "OBJECTS", objects, move |row| Cell::Objects(row.objects, sampling))
            .csv()
            .rank(4)
            .sums(All)
            .detail("Objects"),
        Of::bytes("bytes", "BYTES", |row| row.bytes).csv().rank(2).sums(All).detail("Bytes"),
        Of::new("traced", "TRACED", Kind::word(phrases::PARTIAL.len()), |row| {
            snapshot.is_partial(row).then(|| Cell::words(phrases::PARTIAL))
        })
        .rank(2)
        .only_if(snapshot.rows.iter().any(|row| snapshot.is_partial(row))),
        Of::machine("partial_objects", |row| Cell::Count(row.partial_objects)),
        Of::count("objects_until_end", "UNTIL END", |row| row.objects_until_end)
            .csv()
            .rank(if until_end > outstanding / 10 { 4 } else { 12 })
            .only_if(until_end > 0),
        Of::detail_only("May be free, in partial caches", |row| Cell::nonzero(row.partial_objects)),
        Of::machine("allocs", |row| Cell::Count(row.allocs)).detail("Allocations"),
        Of::machine("frees", |row| Cell::Count(row.frees)).detail("Frees"),
        Of::rate("allocs_per_s", "ALLOCS", |row| row.allocs_per_s)
            .csv()
            .rank(11)
            .sums(Total)
            .detail("Allocation rate"),
        Of::rate("frees_per_s", "FREES", |row| row.frees_per_s)
            .csv()
            .rank(12)
            .sums(Total)
            .detail("Free rate"),
        Of::growth("growth_per_s", "GROWTH", |row| row.growth_per_s)
            .csv()
            .rank(3)
            .sums(Total)
            .detail("Growth"),
        Of::new("trend", "TREND", Kind::word(6), |row| Cell::Trend(row.trend)).csv().rank(7),
        Of::machine("survival", |row| Cell::Share(row.survival())),
        Of::machine("finding", |row| {
            snapshot.finding_of(row).map(|of| Cell::words(format!("{} {}", of.kind.into_str(), of.cache)))
        }),
        Of::duration("oldest_ns", "OLDEST", |row| row.oldest).csv().rank(8).sums(Total).detail("Oldest"),
        Of::share("kept", "KEPT", Row::survival).rank(9).sums(Total).detail("Kept"),
    ]
}

/// Who allocated.
fn who(snapshot: &Snapshot) -> Vec<Of<'_>> {
    let by = &snapshot.by;
    let any = |is: fn(&Row) -> bool| snapshot.rows.iter().any(is);
    vec![
        Of::machine("comm", |row| row.comm.as_deref().map(Cell::name)),
        Of::machine("pid", |row| row.pid.map(|pid| Cell::Number(pid.into()))).detail("PID"),
        Of::machine("program", |row| Some(Cell::name(&*row.process.as_ref()?.program))).detail("Program"),
        Of::machine("command_line", |row| Some(Cell::name(&*row.process.as_ref()?.command_line)))
            .detail("Command line"),
        Of::detail_only("Process", |row| {
            row.process.as_ref().filter(|process| process.has_ended).map(|_| Cell::words("has ended"))
        }),
        // A process may stand behind several rows, so they have no total.
        Of::new("processes", "PROCS", Kind::Figure, |row| Cell::Count(row.processes))
            .csv()
            .rank(13)
            .only_if(!by.contains(By::Pid))
            .detail("Processes"),
        Of::new("where", "WHERE", PLACE, |row| Some(Cell::Name(place::name(row.names.first()?, row))))
            .rank(5)
            .only_if(any(|row| !row.names.is_empty())),
        Of::new("started_by", "STARTED BY", STARTED_BY, started_by)
            .csv()
            .rank(6)
            .only_if(!by.contains(By::Ancestors) && any(|row| !row.started_by.is_empty())),
        Of::machine("started_by_objects", |row| Some(Cell::Count(row.started_by.first()?.objects))),
        Of::new("in_cgroup", "CGROUP", CGROUP, cgroup)
            .rank(10)
            .only_if(!by.contains(By::Cgroup) && snapshot.has_several_cgroups()),
        Of::machine("cgroup", |row| Some(Cell::name(row.cgroups.first()?.path.as_deref()?))),
        Of::machine("cgroup_objects", |row| Some(Cell::Count(row.cgroups.first()?.objects))),
    ]
}

/// Details of what is held, one by one.
fn what<'a>() -> Vec<Of<'a>> {
    vec![
        Of::machine("cache", |row| Some(Cell::name(row.caches.first()?.name.as_bytes()))),
        Of::machine("cache_objects", |row| Some(Cell::Count(row.caches.first()?.objects))),
        Of::machine("cache_bytes", |row| Some(Cell::Count(row.caches.first()?.bytes))),
        Of::machine("call_site", |row| Some(Cell::name(row.call_site.as_ref()?.text()))).detail("Call site"),
        Of::machine("directory", |row| Some(Cell::name(place::directory(row.names.first()?)))),
        Of::machine("pattern", |row| Some(Cell::name(&*row.names.first()?.pattern))),
        Of::machine("pattern_objects", |row| Some(Cell::Count(row.names.first()?.objects))),
        Of::machine("example", |row| Some(Cell::name(&*row.names.first()?.example))),
        Of::machine("filesystem", |row| Some(Cell::name(row.names.first()?.filesystem.as_deref()?))),
        Of::machine("named_objects", |row| Cell::Count(row.named_objects)),
        Of::machine("negative_share", |row| Some(Cell::Share(row.negatives?.share()))),
        Of::machine("stack", |row| Some(Cell::name(row.stacks.first()?.frames.join(" < ")))),
        Of::machine("stack_objects", |row| Some(Cell::Count(row.stacks.first()?.objects))),
        Of::machine("stacked_objects", |row| Cell::Count(row.stacked_objects)),
    ]
}

/// Who started most of a row's processes, and of which share of its objects, unless it is all.
fn started_by(row: &Row) -> Option<Cell> {
    let most = row.started_by.first()?;
    if most.comms.is_empty() {
        return Some(Cell::Unknown);
    }
    let name = Name { bytes: phrases::chain(&most.comms), ..Name::default() };
    Some(Cell::Name(name.tail(share(most.objects, row))))
}

/// The cgroup of most of a row's objects.
fn cgroup(row: &Row) -> Option<Cell> {
    let most = row.cgroups.first()?;
    let name = Name { bytes: key::cgroup(most.id, most.path.as_deref()), ..Name::default() };
    Some(Cell::Name(name.tail(share(most.objects, row))))
}

fn share(objects: u64, row: &Row) -> String {
    if objects == row.objects { String::new() } else { human::percent(objects as f64 / row.objects as f64) }
}
