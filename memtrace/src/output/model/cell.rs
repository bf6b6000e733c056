//! What stands in one cell of a table.

use std::time::Duration;

use crate::{
    output::phrases,
    text::{escape, human, width},
    view::{Sampling, Trend, diff::Seen},
};

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// There is nothing to say.
    #[default]
    Blank,
    /// There is something, but it is not known.
    Unknown,
    /// From outside.
    Name(Name),
    /// Our own words.
    Words(String),
    YesNo(bool),
    Trend(Trend),
    /// A number that names something, such as a pid.
    Number(u64),
    Count(u64),
    /// A count of objects; where sampling is on, an estimate.
    Objects(u64, Sampling),
    Bytes(u64),
    Rate(f64),
    Growth(f64),
    BytesGrowth(f64),
    /// Of a whole, 0 to 1.
    Share(f64),
    /// The same as a bar.
    Bar(f64),
    Duration(Duration),
    CountChange(i64),
    BytesChange(i64),
    /// A change as a share of what was before; None where nothing was.
    RelativeChange(Option<f64>, Seen),
}

/// A name from outside, and what stands beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    pub bytes: Vec<u8>,
    /// Levels of a tree above it, and how many of its bytes they say already.
    pub depth: usize,
    pub within: usize,
    /// Its end says more than its beginning.
    pub is_path: bool,
    /// Our own words behind it; they stay when the name is cut.
    pub tail: String,
    /// More of them, where there is room.
    pub aside: String,
}

impl Name {
    pub fn tail(self, tail: impl Into<String>) -> Self {
        Name { tail: tail.into(), ..self }
    }
}

/// There is nothing to say of what is not there.
impl From<Option<Cell>> for Cell {
    fn from(cell: Option<Cell>) -> Self {
        cell.unwrap_or_default()
    }
}

impl Cell {
    pub fn name(bytes: impl Into<Vec<u8>>) -> Self {
        Cell::Name(Name { bytes: bytes.into(), ..Name::default() })
    }

    pub fn path(bytes: impl Into<Vec<u8>>) -> Self {
        Cell::Name(Name { bytes: bytes.into(), is_path: true, ..Name::default() })
    }

    pub fn words(words: impl Into<String>) -> Self {
        Cell::Words(words.into())
    }

    /// Blank, where there are none.
    pub fn nonzero(count: u64) -> Self {
        if count == 0 { Cell::Blank } else { Cell::Count(count) }
    }

    /// Unknown, where there is no value.
    pub fn known<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Cell::Unknown, cell)
    }

    /// As people read it, harmless on a terminal. Of a name only the name.
    pub fn text(&self) -> String {
        match self {
            Cell::Blank | Cell::Bar(_) => String::new(),
            Cell::Unknown => "-".to_owned(),
            Cell::Name(name) => escape::terminal(&name.bytes).into_owned(),
            Cell::Words(words) => words.clone(),
            Cell::YesNo(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Cell::Trend(trend) => phrases::trend(*trend).to_owned(),
            Cell::Number(number) => number.to_string(),
            Cell::Count(count) => human::count(*count),
            Cell::Objects(objects, sampling) => estimate(*objects, *sampling),
            Cell::Bytes(bytes) => human::bytes(*bytes),
            Cell::Rate(per_s) => human::rate(*per_s),
            Cell::Growth(per_s) => human::growth(*per_s),
            Cell::BytesGrowth(per_s) => human::bytes_growth(*per_s),
            Cell::Share(share) => human::percent(*share),
            Cell::Duration(duration) => human::duration(*duration),
            Cell::CountChange(change) => human::count_change(*change),
            Cell::BytesChange(change) => human::bytes_change(*change),
            Cell::RelativeChange(share, seen) => phrases::relative_change(*share, *seen),
        }
    }

    /// Adds up what can be: rows that are not shown. The first one's kind decides.
    pub(super) fn plus(self, other: &Cell) -> Cell {
        match (self, other) {
            (Cell::Count(a), Cell::Count(b)) => Cell::Count(a.saturating_add(*b)),
            (Cell::Bytes(a), Cell::Bytes(b)) => Cell::Bytes(a.saturating_add(*b)),
            (Cell::Objects(a, sampling), Cell::Objects(b, _)) => {
                Cell::Objects(a.saturating_add(*b), sampling)
            }
            (Cell::Blank, other) => other.clone(),
            (cell, _) => cell,
        }
    }
}

/// How many, and how far that can be wrong, the errors below each other: `12,300   ±4%`.
fn estimate(objects: u64, sampling: Sampling) -> String {
    let count = human::count(objects);
    if !sampling.is_on() {
        return count;
    }
    let error = sampling.error(objects).map(human::error).unwrap_or_default();
    format!("{count} {}", width::pad_left(&error, human::ERROR_WIDTH))
}
