//! The rows of a report: who holds objects.

use super::keys;
use crate::{
    output::{
        model::{
            Cell, Column, Kind, Name, Room,
            Sums::{All, Total},
            Table,
        },
        phrases::{self, partial, place},
    },
    text::{human, time::rfc3339},
    view::{By, CacheTotals, CgroupShare, NameGroup, Row, Snapshot, Sort, key},
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
    let total = (lines > 1).then(|| total(snapshot));
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
    let sum = |of: fn(&Row) -> u64| snapshot.rows.iter().map(of).fold(0, u64::saturating_add);
    let (outstanding, until_end) = (sum(|row| row.objects), sum(|row| row.objects_until_end));
    let objects = if sampling.is_on() { Kind::Estimate } else { Kind::Count };
    vec![
        Of::new("objects", "OBJECTS", objects, move |row| Cell::Objects(row.objects, sampling))
            .csv()
            .rank(4)
            .sums(All)
            .detail("Objects"),
        Of::new("bytes", "BYTES", Kind::Bytes, |row| Cell::Bytes(row.bytes))
            .csv()
            .rank(2)
            .sums(All)
            .detail("Bytes"),
        Of::new("traced", "TRACED", Kind::word(partial::MARK.len()), |row| {
            Cell::words(partial::of_row(snapshot, row))
        })
        .rank(2)
        .only_if(partial::any(snapshot)),
        Of::machine("partial_objects", |row| Cell::Count(row.partial_objects)),
        Of::new("objects_until_end", "UNTIL END", Kind::Count, |row| Cell::Count(row.objects_until_end))
            .csv()
            .rank(if until_end > outstanding / 10 { 4 } else { 12 })
            .only_if(until_end > 0),
        Of::detail_only("May be free, in partial caches", |row| {
            Cell::some(Some(row.partial_objects).filter(|&objects| objects > 0), Cell::Count)
        }),
        Of::machine("allocs", |row| Cell::Count(row.allocs)).detail("Allocations"),
        Of::machine("frees", |row| Cell::Count(row.frees)).detail("Frees"),
        Of::new("allocs_per_s", "ALLOCS", Kind::Rate, |row| Cell::Rate(row.allocs_per_s))
            .csv()
            .rank(11)
            .sums(Total)
            .detail("Allocation rate"),
        Of::new("frees_per_s", "FREES", Kind::Rate, |row| Cell::Rate(row.frees_per_s))
            .csv()
            .rank(12)
            .sums(Total)
            .detail("Free rate"),
        Of::new("growth_per_s", "GROWTH", Kind::Growth, |row| Cell::Growth(row.growth_per_s))
            .csv()
            .rank(3)
            .sums(Total)
            .detail("Growth"),
        Of::new("trend", "TREND", Kind::word(6), |row| Cell::Trend(row.trend)).csv().rank(7),
        Of::machine("survival", |row| Cell::Share(row.survival())),
        Of::machine("finding", |row| Cell::some(finding(snapshot, row), Cell::words)),
        Of::new("oldest_ns", "OLDEST", Kind::Duration, |row| Cell::known(row.oldest, Cell::Duration))
            .csv()
            .rank(8)
            .sums(Total)
            .detail("Oldest"),
        Of::new("kept", "KEPT", Kind::Share, |row| Cell::Share(row.survival()))
            .rank(9)
            .sums(Total)
            .detail("Kept"),
    ]
}

/// What the row is found to do, the first of it: `leak filp`.
fn finding(snapshot: &Snapshot, row: &Row) -> Option<String> {
    let findings = &snapshot.verdict.as_ref()?.findings;
    let of_row = findings.iter().find(|finding| finding.keys == row.keys)?;
    Some(format!("{} {}", of_row.kind.name(), of_row.cache))
}

/// Who allocated.
fn who(snapshot: &Snapshot) -> Vec<Of<'_>> {
    let by = &snapshot.by;
    let any = |is: fn(&Row) -> bool| snapshot.rows.iter().any(is);
    vec![
        Of::machine("comm", |row| Cell::some(row.comm.as_deref(), Cell::name)),
        Of::machine("pid", |row| Cell::some(row.pid, |pid| Cell::Number(pid.into()))).detail("PID"),
        Of::machine("program", |row| {
            Cell::some(row.process.as_ref(), |process| Cell::name(&*process.program))
        })
        .detail("Program"),
        Of::machine("command_line", |row| {
            Cell::some(row.process.as_ref(), |process| Cell::name(&*process.command_line))
        })
        .detail("Command line"),
        Of::detail_only("Process", |row| match &row.process {
            Some(process) if process.has_ended => Cell::words("has ended"),
            _ => Cell::Blank,
        }),
        // A process may stand behind several rows, so they have no total.
        Of::new("processes", "PROCS", Kind::Figure, |row| Cell::Count(row.processes))
            .csv()
            .rank(13)
            .only_if(!by.contains(By::Pid))
            .detail("Processes"),
        Of::new("where", "WHERE", PLACE, |row| {
            Cell::some(row.names.first(), |group| Cell::Name(place::name(group, row)))
        })
        .rank(5)
        .only_if(any(|row| !row.names.is_empty())),
        Of::new("started_by", "STARTED BY", STARTED_BY, started_by)
            .csv()
            .rank(6)
            .only_if(!by.contains(By::Ancestors) && any(|row| !row.started_by.is_empty())),
        Of::machine("started_by_objects", |row| {
            Cell::some(row.started_by.first(), |most| Cell::Count(most.objects))
        }),
        Of::new("in_cgroup", "CGROUP", CGROUP, cgroup)
            .rank(10)
            .only_if(!by.contains(By::Cgroup) && has_several_cgroups(snapshot)),
        Of::machine("cgroup", |row| {
            Cell::some(row.cgroups.first().and_then(|most| most.path.as_deref()), Cell::name)
        }),
        Of::machine("cgroup_objects", |row| {
            Cell::some(row.cgroups.first(), |most| Cell::Count(most.objects))
        }),
    ]
}

/// Details of what is held, one by one.
fn what<'a>() -> Vec<Of<'a>> {
    let cache = |row: &Row| row.caches.first().cloned();
    let group = |cell: fn(&NameGroup) -> Cell| move |row: &Row| Cell::some(row.names.first(), cell);
    vec![
        Of::machine("cache", move |row| Cell::some(cache(row), |most| Cell::name(most.name))),
        Of::machine("cache_objects", move |row| Cell::some(cache(row), |most| Cell::Count(most.objects))),
        Of::machine("cache_bytes", move |row| Cell::some(cache(row), |most| Cell::Count(most.bytes))),
        Of::machine("call_site", |row| {
            Cell::some(row.call_site.as_ref(), |site| {
                Cell::name(site.symbol.clone().unwrap_or_else(|| format!("{:#x}", site.address)))
            })
        })
        .detail("Call site"),
        Of::machine("directory", group(|group| Cell::name(place::directory(group)))),
        Of::machine("pattern", group(|group| Cell::name(&*group.pattern))),
        Of::machine("pattern_objects", group(|group| Cell::Count(group.objects))),
        Of::machine("example", group(|group| Cell::name(&*group.example))),
        Of::machine("filesystem", group(|group| Cell::some(group.filesystem.as_deref(), Cell::name))),
        Of::machine("named_objects", |row| Cell::Count(row.named_objects)),
        Of::machine("negative_share", |row| {
            Cell::some(row.negatives, |dentries| Cell::Share(dentries.share()))
        }),
        Of::machine("stack", |row| {
            Cell::some(row.stacks.first(), |most| Cell::name(most.frames.join(" < ")))
        }),
        Of::machine("stack_objects", |row| Cell::some(row.stacks.first(), |most| Cell::Count(most.objects))),
        Of::machine("stacked_objects", |row| Cell::Count(row.stacked_objects)),
    ]
}

/// Who started most of a row's processes, and of which share of its objects, unless it is all.
pub fn started_by(row: &Row) -> Cell {
    let Some(most) = row.started_by.first() else { return Cell::Blank };
    if most.comms.is_empty() {
        return Cell::Unknown;
    }
    let name = Name { bytes: phrases::chain(&most.comms), ..Name::default() };
    Cell::Name(name.tail(share(most.objects, row)))
}

/// The cgroup of most of a row's objects.
pub fn cgroup(row: &Row) -> Cell {
    let name = |most: &CgroupShare| Name {
        bytes: key::cgroup(most.id, most.path.as_deref()),
        tail: share(most.objects, row),
        ..Name::default()
    };
    Cell::some(row.cgroups.first(), |most| Cell::Name(name(most)))
}

fn share(objects: u64, row: &Row) -> String {
    if objects == row.objects { String::new() } else { human::percent(objects as f64 / row.objects as f64) }
}

/// Where all rows are of one, it tells nothing.
fn has_several_cgroups(snapshot: &Snapshot) -> bool {
    let mut cgroups = snapshot.rows.iter().flat_map(|row| &row.cgroups).map(|cgroup| cgroup.id);
    let first = cgroups.next();
    cgroups.any(|id| Some(id) != first)
}

/// All rows added up, shown or not. Of those that `--top` cut only objects and bytes are known.
fn total(snapshot: &Snapshot) -> Row {
    let (rows, rest) = (&snapshot.rows, snapshot.rest.unwrap_or_default());
    let count = |of: fn(&Row) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
    let rate = |of: fn(&Row) -> f64| rows.iter().map(of).sum();
    Row {
        objects: count(|row| row.objects).saturating_add(rest.objects),
        bytes: count(|row| row.bytes).saturating_add(rest.bytes),
        allocs: count(|row| row.allocs),
        frees: count(|row| row.frees),
        allocs_per_s: rate(|row| row.allocs_per_s),
        frees_per_s: rate(|row| row.frees_per_s),
        growth_per_s: rate(|row| row.growth_per_s),
        oldest: rows.iter().filter_map(|row| row.oldest).max(),
        ..Row::default()
    }
}
