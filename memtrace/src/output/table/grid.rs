//! Columns of different worth beside each other: those that fit, the most important first.

use crate::text::width;

/// Between two columns.
const GAP: usize = 2;

/// A column; all of one grid have as many cells.
pub(super) struct Column {
    pub title: String,
    pub cells: Vec<String>,
    pub is_text: bool,
    /// Those with the least get the room first; those with 0 always have some.
    pub rank: u8,
    /// Cells of the terminal that it wants at least; a text gets more where there is room, if it needs it.
    pub least: usize,
}

impl Column {
    fn need(&self) -> usize {
        let cells = self.cells.iter().chain([&self.title]);
        cells.map(|cell| width::cells(cell)).max().unwrap_or(0)
    }

    fn draw(&self, cell: &str, width: usize) -> String {
        let cell = width::cut(cell, width);
        if self.is_text { width::pad_right(&cell, width) } else { width::pad_left(&cell, width) }
    }
}

/// The head, then a line for each cell. `width` is the window's; None where there is none.
pub(super) fn lines(columns: &[Column], width: Option<usize>) -> Vec<String> {
    let widths = widths(columns, width.unwrap_or(usize::MAX));
    let line = |cell: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().zip(&widths);
        let cells: Vec<String> =
            cells.filter_map(|(column, width)| Some(column.draw(&cell(column), (*width)?))).collect();
        cells.join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let head = line(&|column| column.title.clone());
    std::iter::once(head).chain((0..rows).map(|at| line(&|column| column.cells[at].clone()))).collect()
}

/// None for columns that do not fit.
fn widths(columns: &[Column], room: usize) -> Vec<Option<usize>> {
    let mut left = room;
    let mut widths: Vec<Option<usize>> = vec![None; columns.len()];
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|&at| columns[at].rank);
    for &at in &order {
        let column = &columns[at];
        let gap = if widths.iter().any(Option::is_some) { GAP } else { 0 };
        let least =
            if column.is_text { column.need().min(column.least) } else { column.need().max(column.least) };
        // In a narrow window, names give way to figures.
        let least = if column.rank == 0 { least.min((room / 3).max(8)) } else { least };
        if least.saturating_add(gap) <= left {
            widths[at] = Some(least);
            left -= least + gap;
        }
    }
    for &at in &order {
        let Some(width) = &mut widths[at] else { continue };
        let more = columns[at].need().saturating_sub(*width).min(left);
        *width += more;
        left -= more;
    }
    widths
}
