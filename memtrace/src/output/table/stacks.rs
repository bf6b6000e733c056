//! The calls that led to the first rows' objects.

use super::parts::wrapped;
use super::{Keep, Line, Tone, clean};
use crate::{
    text::{escape, human},
    view::{Row, Snapshot, StackShare},
};

/// Rows with stacks, and stacks of each.
const ROWS: usize = 3;
const OF_EACH: usize = 3;

pub(super) fn lines(snapshot: &Snapshot, width: Option<usize>) -> Vec<Line> {
    let Some(period) = snapshot.stacks_period else { return Vec::new() };
    let rows = snapshot.rows.iter().filter(|row| !row.stacks.is_empty()).take(ROWS);
    let mut lines: Vec<Line> = rows.flat_map(|row| of_row(row, period, width)).collect();
    if !lines.is_empty() {
        lines.insert(0, Line::blank());
    }
    lines
}

fn of_row(row: &Row, period: u32, width: Option<usize>) -> Vec<Line> {
    let who = row.keys.iter().map(|key| escape::terminal(key)).collect::<Vec<_>>().join(", ");
    let told = human::grouped(row.stacked_objects);
    let head = format!("stacks  {who}: {told} objects, 1 in {period}");
    let mut lines = vec![Line::new(head, Tone::Head, Keep::Stack)];
    for share in row.stacks.iter().take(OF_EACH) {
        let text = format!("  {} {}", percent(share, row), clean(&share.frames.join(" < ")));
        lines.extend(wrapped(&text, width).map(|line| Line::new(line, Tone::Normal, Keep::Stack)));
    }
    lines
}

fn percent(share: &StackShare, row: &Row) -> String {
    human::percent(share.objects as f64 / row.stacked_objects.max(1) as f64)
}
