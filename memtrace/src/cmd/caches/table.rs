//! The list of caches as a table for people.

use super::report::{Growth, Report, Row, Sums};
use crate::{
    output::{
        model::{Block, Cell, Column, Content, Kind, Name, Room, Sentence, Table},
        phrases,
        render::terminal::{self, Frame, Style},
    },
    procfs::{meminfo::SlabMemory, slab::Counts},
    text::human,
};

const NAME: Kind = Kind::Text(Room { least: 12, good: 24, most: usize::MAX });
const MERGED: Kind = Kind::Text(Room { least: 12, good: 24, most: usize::MAX });

/// What one line of the table is about: a cache, or several added up.
struct Line {
    name: Cell,
    size: Option<u64>,
    counts: Option<Counts>,
    bytes: Option<u64>,
    share: Option<f64>,
    reclaimable: Option<bool>,
    growth: Option<Growth>,
    aliases: Cell,
    /// Stands for what is not known, or has no sum.
    missing: Cell,
}

pub fn render(report: &Report, with_aliases: bool, frame: Frame) -> String {
    let lines = lines(report);
    let mut blocks = vec![Block::table(Table::new("caches", &columns(report, with_aliases), &lines))];
    let notes = report.notes.iter().map(Sentence::outside);
    let comparison = report.meminfo.map(|meminfo| share_of_slab(report, meminfo)).unwrap_or_default();
    for sentences in std::iter::once(comparison).chain(notes.map(|note| vec![note])) {
        blocks.push(Block::new(Content::Section("")));
        blocks.extend(sentences.into_iter().map(Block::sentence));
    }
    terminal::text(&blocks, frame, Style::Plain)
}

fn columns(report: &Report, with_aliases: bool) -> Vec<Column<'_, Line>> {
    type Of<'a> = Column<'a, Line>;
    fn or<T>(value: Option<T>, line: &Line, cell: impl FnOnce(T) -> Cell) -> Cell {
        value.map_or_else(|| line.missing.clone(), cell)
    }
    let mut columns = vec![
        Of::new("cache", "CACHE", NAME, |line| line.name.clone()),
        Of::new("size", "SIZE", Kind::Figure, |line| or(line.size, line, Cell::Bytes)).rank(3),
        Of::new("objects", "OBJECTS", Kind::Figure, |line| {
            or(line.counts, line, |counts| Cell::Count(counts.active_objects))
        })
        .rank(2),
        Of::new("active", "USED", Kind::Figure, |line| or(line.share, line, Cell::Share)).rank(7),
        Of::new("memory", "MEMORY", Kind::Figure, |line| or(line.bytes, line, Cell::Bytes)).rank(1),
        Of::new("reclaim", "RECLAIM", Kind::Figure, |line| or(line.reclaimable, line, Cell::YesNo)).rank(6),
    ];
    if let Some(interval) = report.interval {
        columns.extend([
            Of::new("objects_per_s", "OBJECTS/S", Kind::Figure, move |line| {
                or(line.growth, line, |growth| Cell::Growth(growth.objects_per_s(interval)))
            })
            .rank(5),
            Of::new("memory_per_s", "MEMORY/S", Kind::Figure, move |line| {
                or(line.growth, line, |growth| Cell::BytesGrowth(growth.bytes_per_s(interval)))
            })
            .rank(4),
        ]);
    }
    columns.push(Of::new("merged", "MERGED", MERGED, |line| line.aliases.clone()).only_if(with_aliases));
    columns
}

fn lines(report: &Report) -> Vec<Line> {
    let is_counted = report.rows.iter().any(|row| row.cache.counts.is_some());
    let sums = |sums: &Sums, label: String| Line {
        name: Cell::Words(label),
        size: None,
        counts: is_counted.then_some(sums.counts),
        bytes: is_counted.then_some(sums.bytes),
        share: sums.counts.active_share(),
        reclaimable: None,
        growth: sums.growth,
        aliases: Cell::Blank,
        missing: Cell::Blank,
    };
    let rest = report.rest.map(|rest| sums(&rest, phrases::more(rest.caches)));
    let total = sums(&report.total, format!("total of {}", report.total.caches));
    report.rows.iter().map(of_cache).chain(rest).chain([total]).collect()
}

fn of_cache(row: &Row) -> Line {
    let cache = &row.cache;
    let name = Name { bytes: cache.name.clone().into_bytes(), ..Name::default() };
    Line {
        name: Cell::Name(name.tail(phrases::merged(cache.aliases.len()))),
        size: cache.slab_size,
        counts: cache.counts,
        bytes: row.bytes,
        share: cache.counts.and_then(Counts::active_share),
        reclaimable: cache.reclaimable,
        growth: row.growth,
        aliases: Cell::name(cache.aliases.join(", ")),
        missing: Cell::Unknown,
    }
}

/// How much of the host's slab memory the caches have. Not all of it is in caches: kmalloc of more than two pages takes
/// pages, and these count as slab since Linux commit 6a486c0ad4dc ("mm, sl[ou]b: improve memory accounting") (in v5.8).
fn share_of_slab(report: &Report, meminfo: SlabMemory) -> Vec<Sentence> {
    let [slab, reclaimable, unreclaimable] =
        [meminfo.slab, meminfo.sreclaimable, meminfo.sunreclaim].map(human::bytes);
    let host =
        format!("Slab in /proc/meminfo: {slab} ({reclaimable} reclaimable, {unreclaimable} unreclaimable)");
    let is_counted = report.rows.iter().any(|row| row.cache.counts.is_some());
    if meminfo.slab == 0 || !is_counted {
        return vec![host.into()];
    }
    let share = human::percent(report.total.bytes as f64 / meminfo.slab as f64);
    let caches = match &report.pattern {
        Some(_) => format!("These caches account for {share} of it"),
        None => {
            format!("The caches account for {share} of it; kmalloc of more than two pages is in no cache")
        }
    };
    vec![host.into(), caches.into()]
}
