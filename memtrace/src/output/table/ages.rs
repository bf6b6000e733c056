//! How old objects are, and what is left of each part of the session: below the table of the final report.

use std::time::Duration;

use super::{Keep, Line, Tone};
use crate::{
    text::{escape, human, width},
    view::{AgeBucket, Cohort, Row, Snapshot},
};

/// The first rows, by what is left of what they allocated.
const ROWS: usize = 5;
/// Of names, and of a part of the session: with eight parts, 80 cells.
const NAME: usize = 16;
const PART: usize = human::COUNT_WIDTH + 1;
/// In front of a bar, and of a bar for all objects.
const FIGURES: usize = NAME + 2 + human::COUNT_WIDTH + 2 + human::BYTES_WIDTH + 2 + SHARE.len() + 2;
const BAR: usize = 20;
const SHARE: &str = "SHARE";

pub(super) fn lines(snapshot: &Snapshot, width: Option<usize>) -> Vec<Line> {
    if !snapshot.is_final {
        return Vec::new();
    }
    let width = width.unwrap_or(usize::MAX);
    let mut lines = ages(&snapshot.ages, width);
    lines.extend(cohorts(snapshot, width));
    lines
}

fn ages(buckets: &[AgeBucket], width: usize) -> Vec<Line> {
    let all: u64 = buckets.iter().map(|bucket| bucket.objects).sum();
    if all == 0 {
        return Vec::new();
    }
    let longest = width.saturating_sub(FIGURES).min(BAR) as f64;
    let line = |age: &str, objects: &str, bytes: &str, share: &str, bar: &str| {
        let [objects, bytes, share] =
            [(objects, human::COUNT_WIDTH), (bytes, human::BYTES_WIDTH), (share, SHARE.len())]
                .map(|(cell, width)| width::pad_left(cell, width));
        format!("{}  {objects}  {bytes}  {share}  {bar}", width::pad_right(age, NAME))
    };
    let of_age = buckets.iter().map(|bucket| {
        let share = bucket.objects as f64 / all as f64;
        let (objects, bytes) = (human::count(bucket.objects), human::bytes(bucket.bytes));
        let bar = "█".repeat((share * longest).round() as usize);
        line(&age(bucket), &objects, &bytes, &human::percent(share), &bar)
    });
    section(line("AGE", "OBJECTS", "BYTES", SHARE, ""), of_age)
}

/// A line for all, one for each of the first rows. Nothing where there is nothing to compare, or no room.
fn cohorts(snapshot: &Snapshot, width: usize) -> Vec<Line> {
    let parts = &snapshot.cohorts;
    let is_idle = parts.iter().all(|part| part.allocs == 0);
    if parts.len() < 2 || is_idle || width < NAME + PART * parts.len() {
        return Vec::new();
    }
    let starts = parts.iter().map(|part| since(part.from));
    let allocated = parts.iter().map(|part| human::count(part.allocs));
    let rows = snapshot.rows.iter().filter(|row| !row.cohorts.is_empty()).take(ROWS);
    let all = [line("objects", allocated), line("kept", kept(parts))];
    let rows = rows.map(|row| line(&format!("  {}", name(row)), kept(&row.cohorts)));
    section(line("ALLOCATED FROM", starts), all.into_iter().chain(rows))
}

fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| width::pad_left(&cell, PART)).collect();
    width::pad_right(&width::cut(name, NAME), NAME) + &cells
}

fn kept(parts: &[Cohort]) -> impl Iterator<Item = String> {
    parts.iter().map(|part| part.kept().map_or_else(|| "-".to_owned(), human::percent))
}

fn name(row: &Row) -> String {
    row.keys.iter().map(|key| escape::terminal(key)).collect::<Vec<_>>().join(", ")
}

fn section(head: String, lines: impl Iterator<Item = String>) -> Vec<Line> {
    let lines = lines.map(|line| Line::new(line.trim_end(), Tone::Normal, Keep::Age));
    let head = Line::new(head.trim_end(), Tone::Head, Keep::Age);
    [Line::new("", Tone::Normal, Keep::Age), head].into_iter().chain(lines).collect()
}

/// `under 1 s`, `3 to 10 s`, `30 s to 1 m`, `over 30 d`.
fn age(bucket: &AgeBucket) -> String {
    let start = since(bucket.at_least);
    let Some(end) = bucket.less_than.map(since) else { return format!("over {start}") };
    match (start.split_once(' '), end.split_once(' ')) {
        _ if bucket.at_least.is_zero() => format!("under {end}"),
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} to {end}"),
        _ => format!("{start} to {end}"),
    }
}

/// In the largest unit of which there is one, with a tenth where it is not whole.
fn since(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let (unit, name) = units.into_iter().find(|&(unit, _)| seconds >= unit).unwrap_or((1.0, "s"));
    let tenths = (seconds / unit * 10.0).round() / 10.0;
    format!("{tenths} {name}")
}
