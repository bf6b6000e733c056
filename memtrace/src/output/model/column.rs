//! A column of a table: what it is called, how it is laid out, and what it has of a row. Each is declared once, in
//! [`tables`](crate::output::tables).

use std::{borrow::Cow, time::Duration};

use super::Cell;
use crate::text::human;

/// A column of rows of type T.
pub struct Column<'a, T> {
    pub head: Head,
    value: Box<dyn Fn(&T) -> Cell + 'a>,
}

/// What is known of a column without its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// In CSV, and for styles; it never changes.
    pub id: Cow<'static, str>,
    pub title: Cow<'static, str>,
    /// What it is called among all that is known of one row; empty where it is not among that.
    pub in_detail: &'static str,
    pub kind: Kind,
    /// Columns with the lowest rank get the room first; those with 0 always have some.
    pub rank: u8,
    pub sums: Sums,
    pub is_for_people: bool,
    pub is_for_machines: bool,
    /// What rows are grouped by; the first of them that is a text names the lines at the end.
    pub is_key: bool,
}

/// In which of the lines at the end a column has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Sums {
    No,
    /// In the total, if all rows are known.
    Total,
    /// In the total, and for the rows that are not shown.
    All,
}

/// What a column's cells are. A figure has a greatest width, and its column always has it, so that it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text(Room),
    /// Our own words, whole or not at all.
    Words,
    Bar,
    /// A number that names something, in so many digits.
    Number(usize),
    /// As wide as its cells need.
    Figure,
    Count,
    Estimate,
    Bytes,
    Rate,
    Growth,
    BytesGrowth,
    Share,
    Duration,
    CountChange,
    BytesChange,
    RelativeChange,
}

/// How many cells of a terminal a text wants: it is of no use with less than `least`, pushes out columns of higher rank up to
/// `good`, and is cut at `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub least: usize,
    pub good: usize,
    pub most: usize,
}

impl Kind {
    /// A text that is shown with at least so many cells, and gets more up to a bound.
    pub const fn text(good: usize, most: usize) -> Self {
        Kind::Text(Room { least: good, good, most })
    }

    /// A text that is a word of ours.
    pub const fn word(width: usize) -> Self {
        Kind::text(width, width)
    }

    pub fn is_text(self) -> bool {
        matches!(self, Kind::Text(_) | Kind::Words | Kind::Bar)
    }

    /// In a table that stands still, whatever its cells hold.
    pub fn least_width(self) -> usize {
        match self {
            Kind::Text(_) | Kind::Words | Kind::Bar | Kind::Figure => 0,
            Kind::Number(digits) => digits,
            Kind::Count => human::COUNT_WIDTH,
            Kind::Estimate => human::COUNT_WIDTH + 1 + human::ERROR_WIDTH,
            Kind::Bytes => human::BYTES_WIDTH,
            Kind::Rate => human::RATE_WIDTH,
            Kind::Growth => human::GROWTH_WIDTH,
            Kind::BytesGrowth => human::BYTES_GROWTH_WIDTH,
            Kind::Share => human::PERCENT_WIDTH,
            Kind::Duration => human::DURATION_WIDTH,
            Kind::CountChange => human::COUNT_CHANGE_WIDTH,
            Kind::BytesChange => human::BYTES_CHANGE_WIDTH,
            Kind::RelativeChange => human::RELATIVE_WIDTH,
        }
    }
}

impl<'a, T> Column<'a, T> {
    pub fn new<C: Into<Cell>>(
        id: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
        kind: Kind,
        value: impl Fn(&T) -> C + 'a,
    ) -> Self {
        let head = Head {
            id: id.into(),
            title: title.into(),
            in_detail: "",
            kind,
            rank: 0,
            sums: Sums::No,
            is_for_people: true,
            is_for_machines: false,
            is_key: false,
        };
        Column { head, value: Box::new(move |row| value(row).into()) }
    }

    /// Only for CSV, in which it always is.
    pub fn machine<C: Into<Cell>>(id: &'static str, value: impl Fn(&T) -> C + 'a) -> Self {
        let column = Column::new(id, "", Kind::Figure, value).csv();
        Column { head: Head { is_for_people: false, ..column.head }, ..column }
    }

    /// For CSV as well.
    pub fn csv(mut self) -> Self {
        self.head.is_for_machines = true;
        self
    }

    /// Only among all that is known of one row.
    pub fn detail_only<C: Into<Cell>>(title: &'static str, value: impl Fn(&T) -> C + 'a) -> Self {
        Column::new("", "", Kind::Figure, value).only_if(false).detail(title)
    }

    /// Among all that is known of one row as well.
    pub fn detail(mut self, title: &'static str) -> Self {
        self.head.in_detail = title;
        self
    }

    pub fn rank(mut self, rank: u8) -> Self {
        self.head.rank = rank;
        self
    }

    pub fn sums(mut self, sums: Sums) -> Self {
        self.head.sums = sums;
        self
    }

    pub fn key(mut self) -> Self {
        self.head.is_key = true;
        self
    }

    /// Shown only if there is something to show.
    pub fn only_if(mut self, is_shown: bool) -> Self {
        self.head.is_for_people &= is_shown;
        self
    }

    pub(super) fn cell(&self, row: &T) -> Cell {
        (self.value)(row)
    }
}

/// Columns of figures of one kind; what is not known is a dash.
macro_rules! figures {
    ($($name:ident: $of:ident of $type:ty,)*) => {
        impl<'a, T> Column<'a, T> {$(
            pub fn $name<V: Into<Option<$type>>>(id: &'static str, title: &'static str, value: impl Fn(&T) -> V + 'a) -> Self {
                Self::new(id, title, Kind::$of, move |row| Cell::known(value(row).into(), Cell::$of))
            }
        )*}
    };
}

figures! {
    count: Count of u64,
    bytes: Bytes of u64,
    rate: Rate of f64,
    growth: Growth of f64,
    bytes_growth: BytesGrowth of f64,
    share: Share of f64,
    duration: Duration of Duration,
    count_change: CountChange of i64,
    bytes_change: BytesChange of i64,
}
