//! What changed between two reports, as a block of text.

use super::parts::{fit, part, wrapped};
use super::{Frame, Keep, Line, Style, Tone, clean, grid, place, verdict};
use crate::{
    text::{escape, human, width},
    view::{
        Difference, Sort, Verdict,
        diff::{CacheChange, Change, Rates, RowChange, Seen, Side},
    },
};

/// A command name in full: 15 bytes and the brackets of a kernel thread.
const KEY_WIDTH: usize = 17;
const WHERE_WIDTH: usize = 24;
/// Of many caches, how many have a line.
const CACHES_SHOWN: usize = 8;

/// The block as one text, each line ended by a newline. All of it is shown, however high the window is.
pub fn render(difference: &Difference, frame: Frame, style: Style) -> String {
    lines(difference, frame.width).iter().map(|line| line.paint(style) + "\n").collect()
}

fn lines(difference: &Difference, width: Option<usize>) -> Vec<Line> {
    let mut lines = vec![title(difference, width)];
    lines.extend(sides(difference, width));
    lines.push(Line::new(format!("  change  {}", total(&difference.total)), Tone::Normal, Keep::Always));
    lines.push(Line::blank());
    if difference.rows.is_empty() && difference.rest.is_none() {
        let text = match difference.unchanged {
            0 => "nothing is outstanding in either".to_owned(),
            rows => format!("nothing changed: {} rows hold what they held", human::grouped(rows)),
        };
        lines.push(Line::new(text, Tone::Normal, Keep::Always));
    } else {
        lines.extend(table(&row_columns(difference), width));
    }
    if !difference.caches.is_empty() {
        lines.push(Line::blank());
        lines.extend(table(&cache_columns(&difference.caches), width));
    }
    lines.push(Line::blank());
    lines.extend(verdicts(difference, width));
    for note in &difference.notes {
        let note = format!("note: {}", clean(note));
        lines.extend(wrapped(&note, width).map(|line| Line::new(line, Tone::Warning, Keep::Note)));
    }
    for line in &mut lines {
        line.text = width::cut(&line.text, width.unwrap_or(usize::MAX)).into_owned();
    }
    lines
}

fn title(difference: &Difference, width: Option<usize>) -> Line {
    let sort = match difference.sort {
        Sort::Bytes | Sort::Age => "most changed bytes first",
        Sort::Objects => "most changed objects first",
        Sort::Growth => "most changed growth first",
    };
    let parts = [part(0, "memtrace diff"), part(1, format!("by {}", difference.by.names())), part(2, sort)];
    Line::new(fit(&parts, width), Tone::Title, Keep::Always)
}

fn sides(difference: &Difference, width: Option<usize>) -> Vec<Line> {
    let Difference { before, after, total, .. } = difference;
    let sides = [("before", before, total.before), ("after", after, total.after)];
    let columns: [Vec<String>; 3] = [
        sides.map(|(_, side, _)| escape::terminal(&side.label).into_owned()).to_vec(),
        sides.map(|(_, _, held)| format!("{} outstanding", human::grouped(held.objects))).to_vec(),
        sides.map(|(_, _, held)| human::bytes(held.bytes)).to_vec(),
    ];
    let widths =
        columns.each_ref().map(|cells| cells.iter().map(|cell| width::cells(cell)).max().unwrap_or(0));
    let line = |(at, (name, side, _)): (usize, (&str, &Side, _))| {
        let parts = [
            part(0, format!("  {}", width::pad_right(name, "before".len()))),
            part(1, width::pad_right(&columns[0][at], widths[0])),
            part(0, width::pad_left(&columns[1][at], widths[1])),
            part(0, width::pad_left(&columns[2][at], widths[2])),
            part(3, human::duration(side.elapsed)),
            part(2, when(side)),
            part(4, clean(&side.host)),
            part(5, clean(&side.kernel)),
        ];
        Line::new(fit(&parts, width), Tone::Normal, Keep::Always)
    };
    sides.into_iter().enumerate().map(line).collect()
}

pub(in crate::output) fn when(side: &Side) -> String {
    let time = side.time.max(std::time::SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// `+1,234 objects (+12%), +1.9 MiB (+12%)`.
pub(in crate::output) fn total(change: &Change) -> String {
    if change.objects() == 0 && change.bytes() == 0 {
        return "in all, as much is outstanding after as before".to_owned();
    }
    format!(
        "{} objects ({}), {} ({})",
        human::count_change(change.objects()),
        human::relative_change(change.objects_share()),
        human::bytes_change(change.bytes()),
        human::relative_change(change.bytes_share())
    )
}

/// In words for a column: `new` where nothing was before, `gone` where nothing is left.
pub(in crate::output) fn share(share: Option<f64>, seen: Seen) -> String {
    match (share, seen) {
        (_, Seen::Before) => "gone".to_owned(),
        (None, _) | (_, Seen::After) => "new".to_owned(),
        (share, Seen::Both) => human::relative_change(share),
    }
}

fn table(columns: &[grid::Column], width: Option<usize>) -> Vec<Line> {
    let tones = std::iter::once(Tone::Head).chain(std::iter::repeat(Tone::Normal));
    let lines = grid::lines(columns, width).into_iter().zip(tones);
    lines.map(|(line, tone)| Line::new(line, tone, Keep::Always)).collect()
}

fn figures(title: &str, rank: u8, least: usize, cells: impl Iterator<Item = String>) -> grid::Column {
    grid::Column { title: title.to_owned(), cells: cells.collect(), is_text: false, rank, least }
}

fn texts(title: String, rank: u8, least: usize, cells: impl Iterator<Item = String>) -> grid::Column {
    grid::Column { title, cells: cells.collect(), is_text: true, rank, least }
}

/// The rows, then what is not shown.
fn row_columns(difference: &Difference) -> Vec<grid::Column> {
    let rows = &difference.rows;
    let mut columns = Vec::new();
    for (at, by) in difference.by.iter().enumerate() {
        let key =
            |row: &RowChange| escape::terminal(row.keys.get(at).map_or(&[], Vec::as_slice)).into_owned();
        let label = match (&difference.rest, at) {
            (Some(rest), 0) => format!("… {} more", human::grouped(rest.rows)),
            _ => String::new(),
        };
        let more = difference.rest.map(|_| label);
        columns.push(texts(by.name().to_uppercase(), 0, KEY_WIDTH, rows.iter().map(key).chain(more)));
    }
    let changes = rows.iter().map(|row| (row.change, row.seen));
    let changes: Vec<(Change, Seen)> =
        changes.chain(difference.rest.map(|rest| (rest.change, Seen::Both))).collect();
    let (objects, bytes) = change_columns(&changes, difference.sort);
    columns.extend(bytes);
    columns.extend(objects);
    let blank = difference.rest.map(|_| String::new());
    let growth =
        |rates: Option<Rates>| rates.map_or_else(|| "-".to_owned(), |rates| human::growth(rates.growth));
    let cells = |of: &dyn Fn(&RowChange) -> String| -> Vec<String> {
        rows.iter().map(of).chain(blank.clone()).collect()
    };
    let before = cells(&|row| growth(row.rates_before));
    let after = cells(&|row| growth(row.rates_after));
    columns.push(figures("GREW BY", 6, human::GROWTH_WIDTH, before.into_iter()));
    columns.push(figures("GROWS BY", 4, human::GROWTH_WIDTH, after.into_iter()));
    if rows.iter().any(|row| row.place.is_some()) {
        let place = |row: &RowChange| {
            row.place
                .as_ref()
                .map_or_else(String::new, |group| escape::terminal(&place::name(group)).into_owned())
        };
        columns.push(texts("WHERE".to_owned(), 5, WHERE_WIDTH, cells(&place).into_iter()));
    }
    columns
}

/// Of objects and of bytes: the change, its share, before and after. What rows are ordered by comes first.
fn change_columns(changes: &[(Change, Seen)], sort: Sort) -> (Vec<grid::Column>, Vec<grid::Column>) {
    let column = |title, rank, least, of: &dyn Fn(&Change, Seen) -> String| {
        figures(title, rank, least, changes.iter().map(|(change, seen)| of(change, *seen)))
    };
    let by_objects = sort == Sort::Objects;
    let objects = vec![
        column("±OBJECTS", if by_objects { 1 } else { 3 }, human::COUNT_CHANGE_WIDTH, &|change, _| {
            human::count_change(change.objects())
        }),
        column("OBJECTS", 7, human::COUNT_WIDTH, &|change, _| human::count(change.after.objects)),
    ];
    let bytes = vec![
        column("±BYTES", if by_objects { 3 } else { 1 }, human::BYTES_CHANGE_WIDTH, &|change, _| {
            human::bytes_change(change.bytes())
        }),
        column("±%", 2, human::RELATIVE_WIDTH, &|change, seen| share(change.bytes_share(), seen)),
        column("BEFORE", 4, human::BYTES_WIDTH, &|change, _| human::bytes(change.before.bytes)),
        column("AFTER", 3, human::BYTES_WIDTH, &|change, _| human::bytes(change.after.bytes)),
    ];
    (objects, bytes)
}

fn cache_columns(caches: &[CacheChange]) -> Vec<grid::Column> {
    let shown = &caches[..caches.len().min(CACHES_SHOWN)];
    let hidden = &caches[shown.len()..];
    let rest = (!hidden.is_empty())
        .then(|| hidden.iter().fold(Change::default(), |sum, cache| sum.plus(cache.change)));
    let name = |cache: &CacheChange| {
        let partial = if cache.is_partial { " (partial)" } else { "" };
        format!("{}{partial}", clean(&cache.name))
    };
    let more = rest.map(|_| format!("… {} more", human::grouped(hidden.len() as u64)));
    let mut columns = vec![texts("CACHE".to_owned(), 0, 30, shown.iter().map(name).chain(more))];
    let changes = shown.iter().map(|cache| (cache.change, cache.seen));
    let changes: Vec<_> = changes.chain(rest.map(|change| (change, Seen::Both))).collect();
    let (objects, bytes) = change_columns(&changes, Sort::Bytes);
    columns.extend(bytes);
    columns.extend(objects);
    columns
}

/// What each report came to.
fn verdicts(difference: &Difference, width: Option<usize>) -> Vec<Line> {
    let sides = [("before", &difference.before), ("after", &difference.after)];
    let claim = |(name, side): (&str, &Side)| {
        let (text, tone) = match &side.verdict {
            None => ("no telling yet".to_owned(), Tone::Quiet),
            Some(verdict) => {
                let tone = if matches!(verdict, Verdict::Leak(_)) { Tone::Alarm } else { Tone::Quiet };
                (verdict::claim(verdict, verdict::TERMINAL), tone)
            }
        };
        let text = format!("verdict {name}: {text}");
        wrapped(&text, width).map(|line| Line::new(line, tone, Keep::Trust)).collect::<Vec<_>>()
    };
    sides.into_iter().flat_map(claim).collect()
}

#[cfg(test)]
mod tests;
