//! Time from left to right: what was outstanding, marks, the peak, what is missing, and where we are.

use ratatui::{buffer::Buffer, layout::Rect};

use super::Pen;
use crate::{
    output::model::Tone,
    text::{human, width},
    top::{
        chart::{self, clock},
        history::History,
        state::State,
    },
};

/// What stands below the chart, each at its moment.
const CURSOR: char = '▲';
const MARK: char = 'm';
const BASELINE: char = 'B';
const PEAK: char = 'p';
/// In the chart, where events are missing.
const GAP: &str = "╳";

pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, history: &History, pen: Pen) {
    let width = usize::from(area.width);
    let values: Vec<Option<u64>> = history.points().map(|(_, point)| point.bytes).collect();
    let column = |number: usize| {
        let at = number.checked_sub(history.first()).filter(|at| *at < values.len())?;
        Some(chart::column(at, values.len(), width))
    };
    let lines = chart::lines(&values, width, 1);
    pen.line(buffer, area, 0, &lines[0], pen.tone(Tone::Normal));
    for (number, _) in history.points().filter(|(_, point)| point.is_after_gap) {
        set(buffer, area, 0, column(number), GAP, pen, Tone::Warning);
    }
    let cursor = column(state.number(history));
    let at_cursor = cursor.and_then(|column| u16::try_from(column).ok());
    if let Some(cell) = at_cursor.and_then(|x| buffer.cell_mut((area.x + x, area.y))) {
        cell.set_style(pen.chosen());
    }
    let last = usize::from(area.height) - 1;
    if last > 0 {
        pen.line(buffer, area, last, &scale(history, width), pen.tone(Tone::Quiet));
    }
    if last < 2 {
        return;
    }
    set(buffer, area, 1, history.peak().and_then(column), &PEAK.to_string(), pen, Tone::Title);
    for mark in &history.marks {
        set(buffer, area, 1, column(mark.moment), &MARK.to_string(), pen, Tone::Title);
    }
    let baseline = state.baseline.as_ref().and_then(|(number, _)| column(*number));
    set(buffer, area, 1, baseline, &BASELINE.to_string(), pen, Tone::Title);
    if state.at.is_some() {
        set(buffer, area, 1, cursor, &CURSOR.to_string(), pen, Tone::Title);
    }
}

/// The first moment of a column; None behind the last one.
pub(super) fn moment(area: Rect, history: &History, column: u16) -> Option<usize> {
    let (column, width) = (usize::from(column - area.x), usize::from(area.width));
    let values = history.points().len();
    let at = if values <= width { column } else { (column * values).div_ceil(width) };
    (at < values).then(|| history.first() + at)
}

fn set(buffer: &mut Buffer, area: Rect, row: u16, column: Option<usize>, text: &str, pen: Pen, tone: Tone) {
    let Some(x) = column.and_then(|column| u16::try_from(column).ok()) else { return };
    let Some(cell) = buffer.cell_mut((area.x + x, area.y + row)) else { return };
    cell.set_symbol(text);
    cell.set_style(pen.tone(tone));
}

/// When it begins and ends, and what the highest bar is.
fn scale(history: &History, width: usize) -> String {
    let ends = history.point(history.first()).zip(history.point(history.last()));
    let Some((first, last)) = ends else { return String::new() };
    let (from, to) = (clock(first.time), clock(last.time));
    let most = history.points().filter_map(|(_, point)| point.bytes).max();
    let most = most.map(|bytes| format!("p: peak, {}", human::bytes(bytes))).unwrap_or_default();
    let used = history.points().len().min(width);
    let least = width::cells(&from) + width::cells(&to) + 2;
    // The end's time stands below the end, where there is room between the two.
    let gap = used.max(least) - width::cells(&from) - width::cells(&to);
    let inside = width::cells(&most) + 4;
    let between = if gap >= inside {
        let left = (gap - width::cells(&most)) / 2;
        width::pad_right(&format!("{:left$}{most}", ""), gap)
    } else {
        " ".repeat(gap)
    };
    let text = format!("{from}{between}{to}");
    let behind = if gap >= inside { String::new() } else { format!("  {most}") };
    width::cut(&format!("{text}{behind}"), width).into_owned()
}
