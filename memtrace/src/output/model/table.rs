//! Columns and lines, whatever the rows were.

use super::{Cell, Column, Head, Sums};
use crate::output::phrases;

/// A line is as long as there are heads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// In CSV and in HTML.
    pub id: &'static str,
    pub heads: Vec<Head>,
    pub rows: Vec<Vec<Cell>>,
    /// Rows that are not shown: how many, and what they come to.
    pub rest: Option<(u64, Vec<Cell>)>,
    /// All rows added up.
    pub total: Option<Vec<Cell>>,
    /// A terminal shows no titles.
    pub is_headless: bool,
    /// Columns keep their widths when cells change.
    pub is_live: bool,
    /// It is of no use without all of its columns.
    pub is_whole: bool,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Row,
    Rest,
    Total,
}

/// A line with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub part: Part,
    pub cells: Vec<Cell>,
}

impl Table {
    pub fn new<'r, T: 'r>(
        id: &'static str,
        columns: &[Column<'_, T>],
        rows: impl IntoIterator<Item = &'r T>,
    ) -> Self {
        let cells = |row: &T| columns.iter().map(|column| column.cell(row)).collect();
        Table {
            id,
            heads: columns.iter().map(|column| column.head.clone()).collect(),
            rows: rows.into_iter().map(cells).collect(),
            ..Table::default()
        }
    }

    /// So many rows are not shown, and come to `sum`.
    pub fn with_rest<T>(mut self, columns: &[Column<'_, T>], rest: Option<(u64, T)>) -> Self {
        self.rest = rest.map(|(rows, sum)| (rows, summed(columns, &sum, Sums::All)));
        self
    }

    /// All rows, shown or not. Of rows that are not shown, less may be known than of the others.
    pub fn with_total<T>(mut self, columns: &[Column<'_, T>], total: Option<T>) -> Self {
        let known = if self.rest.is_some() { Sums::All } else { Sums::Total };
        self.total = total.map(|sum| summed(columns, &sum, known));
        self
    }

    pub fn headless(self) -> Self {
        Table { is_headless: true, ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.rest.is_none()
    }

    /// Only the first rows; the others are added to the rest.
    pub fn cut_to(mut self, rows: usize) -> Self {
        if rows >= self.rows.len() {
            return self;
        }
        let hidden = self.rows.split_off(rows);
        let (before, mut sum) = self.rest.take().unwrap_or((0, vec![Cell::Blank; self.heads.len()]));
        for cells in &hidden {
            for ((sum, cell), head) in sum.iter_mut().zip(cells).zip(&self.heads) {
                if head.sums == Sums::All {
                    *sum = std::mem::take(sum).plus(cell);
                }
            }
        }
        self.rest = Some((before + hidden.len() as u64, sum));
        self
    }

    /// What people see: the heads that are for them, and all lines, those at the end with their labels.
    pub fn for_people(&self) -> (Vec<&Head>, Vec<Line>) {
        let label = self.heads.iter().position(|head| head.is_key && head.kind.is_text());
        let shown = |cells: &[Cell], part, words: Option<String>| {
            let mut cells = cells.to_vec();
            if let (Some(at), Some(words)) = (label, words) {
                cells[at] = Cell::Words(words);
            }
            let mut heads = self.heads.iter();
            cells.retain(|_| heads.next().is_some_and(|head| head.is_for_people));
            Line { part, cells }
        };
        let rows = self.rows.iter().map(|cells| shown(cells, Part::Row, None));
        let rest = self.rest.iter().map(|(rows, cells)| shown(cells, Part::Rest, Some(phrases::more(*rows))));
        let total = self.total.iter().map(|cells| shown(cells, Part::Total, Some("total".to_owned())));
        let heads = self.heads.iter().filter(|head| head.is_for_people).collect();
        (heads, rows.chain(rest).chain(total).collect())
    }
}

fn summed<T>(columns: &[Column<'_, T>], sum: &T, at_least: Sums) -> Vec<Cell> {
    let cell = |column: &Column<'_, T>| {
        if column.head.sums >= at_least { column.cell(sum) } else { Cell::Blank }
    };
    columns.iter().map(cell).collect()
}
