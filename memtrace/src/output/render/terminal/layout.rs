//! A table in a window: which columns fit, how wide they are, and what is cut.

use crate::{
    output::model::{Cell, Head, Kind, Name, Part, Room, Table},
    text::{escape, width},
};

/// Between two columns.
const GAP: usize = 2;
/// So much of a name stays beside its aside.
const BESIDE_ASIDE: usize = 24;
const BAR: usize = 20;
const INDENT: usize = 2;

/// A column about to be drawn.
struct Column<'a> {
    head: &'a Head,
    width: usize,
    /// More is of no use.
    useful: usize,
    is_taken: bool,
}

/// The titles, then each line. Nothing where there is nothing, or not all of what has to be whole fits.
pub(super) fn lines(table: &Table, width: Option<usize>) -> Vec<(Option<Part>, String)> {
    if table.is_empty() {
        return Vec::new();
    }
    let (heads, lines) = table.for_people();
    let cells = |at: usize| lines.iter().filter_map(move |line| line.cells.get(at));
    let room = width.unwrap_or(usize::MAX);
    let stands_still = table.is_live && width.is_some();
    let column = |(at, head)| column(head, cells(at), table, stands_still);
    let mut columns: Vec<Column> = heads.into_iter().enumerate().map(column).collect();
    lay_out(&mut columns, room, table.is_headless);
    if table.is_whole && columns.iter().any(|column| column.width > 0 && !column.is_taken) {
        return Vec::new();
    }
    let draw = |cell: &dyn Fn(usize, &Column) -> String| {
        let taken = columns.iter().enumerate().filter(|(_, column)| column.is_taken);
        let cells: Vec<String> = taken.map(|(at, column)| column.pad(&cell(at, column))).collect();
        width::cut(cells.join(&" ".repeat(GAP)).trim_end(), room).into_owned()
    };
    let titles = || draw(&|_, column| width::cut(&column.head.title, column.width).into_owned());
    let titles = (!table.is_headless).then(titles).map(|titles| (None, titles));
    let body =
        lines.iter().map(|line| (Some(line.part), draw(&|at, column| fit(&line.cells[at], column.width))));
    titles.into_iter().chain(body).collect()
}

/// Its width is at first the least that it gets. Of a table that stands still it does not depend on what the cells hold, so that
/// columns do not come and go in a window.
fn column<'a, 'c>(
    head: &'a Head,
    cells: impl Iterator<Item = &'c Cell>,
    table: &Table,
    stands_still: bool,
) -> Column<'a> {
    let title = if table.is_headless { 0 } else { width::cells(&head.title) };
    let need = cells.map(cells_of).max().unwrap_or(0).max(title);
    let (width, useful) = match head.kind {
        Kind::Text(Room { good, most, .. }) if stands_still => (good, need.min(most)),
        Kind::Text(Room { good, most, .. }) => (need.min(good), need.min(most)),
        Kind::Bar => (BAR, BAR),
        kind if table.is_live => (need.max(kind.least_width()), need),
        _ => (need, need),
    };
    Column { head, width, useful, is_taken: false }
}

/// Takes the columns that fit, the most important first, then widens the texts. Of facts beside each other, none stands without
/// those that matter more.
fn lay_out(columns: &mut [Column<'_>], room: usize, are_facts: bool) {
    let has_something = |&at: &usize| columns[at].width > 0;
    let mut order: Vec<usize> = (0..columns.len()).filter(has_something).collect();
    order.sort_by_key(|&at| columns[at].head.rank);
    let (mut left, mut gap) = (room, 0);
    for &at in &order {
        let column = &mut columns[at];
        let free = left.saturating_sub(gap);
        column.width = column.width.min(most(column.head, room, free));
        // The first one is there in any case.
        if gap == 0 || (column.width <= free && free > 0) {
            column.is_taken = true;
            left = free.saturating_sub(column.width);
            gap = GAP;
        } else if are_facts {
            break;
        }
    }
    for at in order {
        let column = &mut columns[at];
        if column.is_taken {
            let more = column.useful.saturating_sub(column.width).min(left);
            column.width += more;
            left -= more;
        }
    }
}

/// How much a column may have of what is free, for now.
fn most(head: &Head, room: usize, free: usize) -> usize {
    match head.kind {
        Kind::Bar if free > 0 => free,
        // In a narrow window, names give way to figures.
        Kind::Text(_) if head.rank == 0 => (room / 3).max(8),
        Kind::Text(Room { least, .. }) if free >= least => free,
        _ => usize::MAX,
    }
}

impl Column<'_> {
    fn pad(&self, cell: &str) -> String {
        if self.head.kind.is_text() {
            width::pad_right(cell, self.width)
        } else {
            width::pad_left(cell, self.width)
        }
    }
}

fn cells_of(cell: &Cell) -> usize {
    match cell {
        Cell::Name(name) => {
            let beside = |text: &str, gap| if text.is_empty() { 0 } else { gap + width::cells(text) };
            width::cells(&shown(name)) + beside(&name.tail, 1) + beside(&name.aside, 2)
        }
        cell => width::cells(&cell.text()),
    }
}

/// The cell's text in at most so many cells of the terminal.
fn fit(cell: &Cell, width: usize) -> String {
    match cell {
        Cell::Name(name) => fit_name(name, width),
        Cell::Bar(share) => "█".repeat((share.clamp(0.0, 1.0) * width as f64).round() as usize),
        cell => width::cut(&cell.text(), width).into_owned(),
    }
}

/// Where it does not fit, the aside goes first, then part of the name; the tail stays.
fn fit_name(name: &Name, width: usize) -> String {
    let beside = |gap: &str, text: &str| if text.is_empty() { String::new() } else { format!("{gap}{text}") };
    let (text, tail, aside) = (shown(name), beside(" ", &name.tail), beside("  ", &name.aside));
    let without_aside = width.saturating_sub(width::cells(&tail));
    let (room, aside) = match without_aside.checked_sub(width::cells(&aside)) {
        Some(room) if room >= width::cells(&text).min(BESIDE_ASIDE) => (room, aside),
        _ => (without_aside, String::new()),
    };
    let text = if name.is_path {
        let indent = (name.depth * INDENT).min(room);
        format!("{:indent$}{}", "", width::cut_path(&text[name.depth * INDENT..], room - indent))
    } else {
        width::cut(&text, room).into_owned()
    };
    width::cut(&format!("{text}{tail}{aside}"), width).into_owned()
}

/// Of a tree, below what stands above it.
fn shown(name: &Name) -> String {
    let own = name.bytes.get(name.within..).unwrap_or_default();
    format!("{:indent$}{}", "", escape::terminal(own), indent = name.depth * INDENT)
}
