//! The list of caches as a table for people.

use std::{fmt::Write, time::Duration};

use unicode_width::UnicodeWidthStr;

use super::report::{Growth, Report, Row, Sums};
use crate::{
    procfs::slab::{Counts, Meminfo},
    text::{escape, human},
};

/// The name's column may become this narrow before other columns go.
const NAME_ROOM: usize = 24;

const GAP: &str = "  ";

/// What one line of the table is about: a cache, or several added up.
#[derive(Default)]
struct Line {
    name: Name,
    size: Option<u64>,
    counts: Option<Counts>,
    bytes: Option<u64>,
    share: Option<f64>,
    reclaimable: Option<bool>,
    growth: Option<Growth>,
    aliases: String,
    /// Stands for what is not known, or has no sum.
    blank: &'static str,
}

struct Column {
    title: &'static str,
    cells: Vec<String>,
    width: usize,
    /// What goes first where the window is narrow; None stays.
    spare: Option<u8>,
}

/// `width` is the window's; None cuts nothing.
pub fn render(report: &Report, with_aliases: bool, width: Option<usize>) -> String {
    let lines = lines(report);
    let mut columns = columns(&lines, report.interval);
    let name_width = fit(&lines, &mut columns, width);
    let mut text = String::new();
    let merged = if with_aliases { "MERGED" } else { "" };
    write_line(
        &mut text,
        "CACHE",
        name_width,
        columns.iter().map(|column| (column.title, column.width)),
        merged,
    );
    for (index, line) in lines.iter().enumerate() {
        let cells = columns.iter().map(|column| (column.cells[index].as_str(), column.width));
        let aliases = if with_aliases { line.aliases.as_str() } else { "" };
        write_line(&mut text, &line.name.cut(name_width), name_width, cells, aliases);
    }
    let notes = report.notes.iter().map(|note| escape::terminal(note.as_bytes()).into_owned());
    for sentence in report.meminfo.map(|info| compare(report, info)).into_iter().chain(notes) {
        let _ = write!(text, "\n{sentence}\n");
    }
    text
}

/// The name to the left, the cells to the right in their widths, what is `last` as long as it is.
fn write_line<'a>(
    text: &mut String,
    name: &str,
    name_width: usize,
    cells: impl Iterator<Item = (&'a str, usize)>,
    last: &str,
) {
    let pad = |width: usize, cell: &str| " ".repeat(width.saturating_sub(cell.width()));
    let mut line = format!("{name}{}", pad(name_width, name));
    for (cell, width) in cells {
        let _ = write!(line, "{GAP}{}{cell}", pad(width, cell));
    }
    let _ = write!(line, "{GAP}{last}");
    let _ = writeln!(text, "{}", line.trim_end());
}

/// Drops columns until the names have room, and says how much.
fn fit(lines: &[Line], columns: &mut Vec<Column>, width: Option<usize>) -> usize {
    let longest = lines.iter().map(|line| line.name.width()).max().unwrap_or(0);
    let Some(width) = width else { return longest };
    loop {
        let others: usize = columns.iter().map(|column| GAP.len() + column.width).sum();
        let room = width.saturating_sub(others);
        let spare = columns.iter().enumerate().filter(|(_, column)| column.spare.is_some());
        match spare.min_by_key(|(_, column)| column.spare) {
            Some((index, _)) if room < longest.min(NAME_ROOM) => drop(columns.remove(index)),
            _ => return longest.min(room.max(NAME_ROOM / 2)),
        }
    }
}

/// A name, and what must not be cut from it.
#[derive(Default)]
struct Name {
    name: String,
    merged: String,
}

impl Name {
    fn width(&self) -> usize {
        self.name.width() + self.merged.width()
    }

    fn cut(&self, width: usize) -> String {
        if self.width() <= width {
            return format!("{}{}", self.name, self.merged);
        }
        let room = width.saturating_sub(self.merged.width() + 1);
        let mut short = self.name.clone();
        while short.width() > room && short.pop().is_some() {}
        format!("{short}…{}", self.merged)
    }
}

fn lines(report: &Report) -> Vec<Line> {
    let is_counted = report.rows.iter().any(|row| row.cache.counts.is_some());
    let sums = |sums: &Sums, name: String| Line {
        name: Name { name, merged: String::new() },
        counts: is_counted.then_some(sums.counts),
        bytes: is_counted.then_some(sums.bytes),
        share: sums.counts.active_share(),
        growth: sums.growth,
        ..Line::default()
    };
    let rows = report.rows.iter().map(of_cache);
    let rest = report.rest.map(|rest| sums(&rest, format!("{} more", rest.caches)));
    let total = sums(&report.total, format!("total of {}", report.total.caches));
    rows.chain(rest).chain([total]).collect()
}

fn of_cache(row: &Row) -> Line {
    let cache = &row.cache;
    let merged = match cache.aliases.len() {
        0 => String::new(),
        more => format!(" (+{more} merged)"),
    };
    let aliases: Vec<_> = cache.aliases.iter().map(|alias| escape::terminal(alias.as_bytes())).collect();
    Line {
        name: Name { name: escape::terminal(cache.name.as_bytes()).into_owned(), merged },
        size: cache.slab_size,
        counts: cache.counts,
        bytes: row.bytes,
        share: cache.counts.and_then(Counts::active_share),
        reclaimable: cache.reclaimable,
        growth: row.growth,
        aliases: aliases.join(", "),
        blank: "-",
    }
}

fn columns(lines: &[Line], interval: Option<Duration>) -> Vec<Column> {
    let column = |title: &'static str, spare, text: &dyn Fn(&Line) -> Option<String>| {
        let cells: Vec<String> =
            lines.iter().map(|line| text(line).unwrap_or_else(|| line.blank.to_owned())).collect();
        let width = cells.iter().map(|cell| cell.width()).max().unwrap_or(0).max(title.len());
        Column { title, cells, width, spare }
    };
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let mut columns = vec![
        column("SIZE", None, &|line| line.size.map(human::bytes)),
        column("OBJECTS", None, &|line| line.counts.map(|counts| human::count(counts.active_objects))),
        column("ACTIVE", Some(0), &|line| line.share.map(human::percent)),
        column("MEMORY", None, &|line| line.bytes.map(human::bytes)),
        column("RECLAIM", Some(1), &|line| line.reclaimable.map(yes_no)),
    ];
    if let Some(interval) = interval {
        columns.push(column("OBJECTS/S", None, &|line| {
            line.growth.map(|growth| human::growth(growth.objects_per_s(interval)))
        }));
        columns.push(column("MEMORY/S", None, &|line| {
            line.growth.map(|growth| bytes_per_s(growth.bytes_per_s(interval)))
        }));
    }
    columns
}

/// `+4.0 KiB/s`, `-1.2 MiB/s`, `0 B/s`.
fn bytes_per_s(per_s: f64) -> String {
    let size = human::bytes(per_s.abs().round() as u64);
    let sign = match per_s {
        _ if size == "0 B" => "",
        ..0.0 => "-",
        _ => "+",
    };
    format!("{sign}{size}/s")
}

/// How much of the host's slab memory the caches have. Not all of it is in caches: kmalloc of more than two pages takes
/// pages, and these count as slab since Linux commit 6a486c0ad4dc ("mm, sl[ou]b: improve memory accounting") (in v5.8).
fn compare(report: &Report, meminfo: Meminfo) -> String {
    let [slab, reclaimable, not] = [meminfo.slab, meminfo.sreclaimable, meminfo.sunreclaim].map(human::bytes);
    let host = format!("Slab in /proc/meminfo: {slab} ({reclaimable} reclaimable, {not} not)");
    let is_counted = report.rows.iter().any(|row| row.cache.counts.is_some());
    if meminfo.slab == 0 || !is_counted {
        return host;
    }
    let share = human::percent(report.total.bytes as f64 / meminfo.slab as f64);
    match &report.pattern {
        Some(_) => format!("{host}\nThese caches have {share} of it"),
        None => {
            format!("{host}\nThe caches have {share} of it; kmalloc of more than two pages is in no cache")
        }
    }
}
