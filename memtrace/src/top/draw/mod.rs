//! A state as a screen: what it is of, the view, the bar of time, and what keys do.

mod bar;

use std::ops::Range;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Modifier, Style},
};

use super::{
    body::{self, Body, List},
    chart::clock,
    history::History,
    mouse::Target,
    press::Seen,
    state::{Asks, GROUPS, Prompt, State, View},
};
use crate::{
    evidence::Step,
    output::{
        documents::report,
        model::{Part, Tone},
        phrases,
        render::terminal::{self, Frame as Room, Line, Style as Colours},
    },
    text::{escape, human, width},
};

/// A smaller window shows nothing of use.
const LEAST: (u16, u16) = (40, 10);

/// What is on the screen besides the state and what was seen.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    pub colours: Colours,
    /// How far reading is, while it takes time.
    pub step: Option<Step>,
}

/// The parts of a screen, from above.
struct Parts {
    head: Rect,
    tabs: Rect,
    body: Rect,
    bar: Rect,
    foot: Rect,
}

impl Parts {
    /// Help has all of it.
    fn of(area: Rect, has_help: bool) -> Self {
        if has_help {
            let none = Rect { height: 0, ..area };
            let body = Rect { height: area.height.saturating_sub(1), ..area };
            let foot = Rect { y: area.y + body.height, height: area.height - body.height, ..area };
            return Self { head: none, tabs: none, body, bar: none, foot };
        }
        let bar = match area.height {
            ..14 => 1,
            14..20 => 2,
            _ => 3,
        };
        let head = (area.height / 6).clamp(1, 7);
        let body = area.height.saturating_sub(head + bar + 2);
        let mut y = area.y;
        let mut next = |height| {
            let part = Rect { y, height, ..area };
            y += height;
            part
        };
        Self { head: next(head), tabs: next(1), body: next(body), bar: next(bar), foot: next(1) }
    }
}

/// The part that shows a view, in a window of this size: keys that page through it need to know.
pub fn seen<'h>(area: Rect, state: &State, history: &'h History) -> Seen<'h> {
    let body = Parts::of(area, state.has_help).body;
    Seen { history, width: body.width.into(), height: body.height.into() }
}

pub fn draw(frame: &mut Frame<'_>, state: &State, history: &History, drawing: Drawing) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return too_small(buffer, area);
    }
    let parts = Parts::of(area, state.has_help);
    let pen = Pen { colours: drawing.colours };
    if !state.has_help {
        head(buffer, parts.head, state, history, pen);
        tabs(buffer, parts.tabs, state, history, pen);
        bar::draw(buffer, parts.bar, state, history, pen);
    }
    let (mut is_list, mut has_more) = (false, false);
    match body::body(state, history, parts.body.width.into()) {
        Body::List(list) => {
            is_list = true;
            draw_list(buffer, parts.body, state, &list, pen);
        }
        Body::Text(blocks) => {
            let lines = terminal::lines(&blocks, Room::wide(parts.body.width.into()));
            has_more = lines.len() > state.scroll + usize::from(parts.body.height);
            draw_text(buffer, parts.body, state.scroll, &lines, pen);
        }
    }
    let hints = hints(state, history, is_list, has_more, parts.foot.width.into());
    foot(buffer, parts.foot, state, history, drawing.step, &hints, pen);
}

fn too_small(buffer: &mut Buffer, area: Rect) {
    let (width, height) = LEAST;
    let words = format!("memtrace needs {width}x{height}; this window has {}x{}", area.width, area.height);
    let lines = width::wrap(&words, area.width.into(), 0);
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        buffer.set_stringn(area.x, y, line, area.width.into(), Style::new());
    }
}

/// How tones look.
#[derive(Clone, Copy)]
struct Pen {
    colours: Colours,
}

impl Pen {
    /// The sixteen colours alone, on whatever ground the terminal has.
    fn tone(self, tone: Tone) -> Style {
        let colour = |colour| match self.colours {
            Colours::Plain => Style::new(),
            Colours::Colour => Style::new().fg(colour),
        };
        match tone {
            Tone::Normal => Style::new(),
            Tone::Title => Style::new().add_modifier(Modifier::BOLD),
            Tone::Head => Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
            Tone::Warning => colour(Color::Yellow),
            Tone::Alarm => colour(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn line(self, buffer: &mut Buffer, area: Rect, row: usize, text: &str, style: Style) {
        let Some(y) = u16::try_from(row).ok().filter(|row| *row < area.height) else { return };
        buffer.set_stringn(area.x, area.y + y, text, area.width.into(), style);
    }
}

fn head(buffer: &mut Buffer, area: Rect, state: &State, history: &History, pen: Pen) {
    let Some(moment) = state.moment(history) else {
        return pen.line(buffer, area, 0, "memtrace", pen.tone(Tone::Title));
    };
    let room = Room { width: Some(area.width.into()), height: Some(area.height.into()) };
    let lines = terminal::lines(&report::head(&moment.snapshot), room);
    for (row, line) in lines.iter().enumerate() {
        pen.line(buffer, area, row, line.text(), pen.tone(line.tone()));
    }
}

/// What stands for each view, and where it begins and ends.
fn tab_places(area: Rect, state: &State) -> Vec<(View, String, Range<u16>)> {
    let mut x = area.x;
    let tab = |(number, view): (usize, View)| {
        let is_chosen = view == state.view && !state.has_help;
        // In a narrow window numbers have to do.
        let text = match area.width < 80 && !is_chosen {
            true => format!("{number}"),
            false => format!("{number} {}", view.title()),
        };
        let start = x + u16::from(number > 1);
        x = (start + text.len() as u16).min(area.right());
        (view, text, start..x)
    };
    (1..).zip(View::ALL).map(tab).collect()
}

/// The views, and which moment it is.
fn tabs(buffer: &mut Buffer, area: Rect, state: &State, history: &History, pen: Pen) {
    let mut x = area.x;
    for (view, text, place) in tab_places(area, state) {
        let is_chosen = view == state.view && !state.has_help;
        let style = if is_chosen { pen.chosen() } else { pen.tone(Tone::Quiet) };
        x = place.end;
        buffer.set_stringn(place.start, area.y, &text, place.len(), style);
    }
    let (text, tone) = when(state, history);
    let room = usize::from(area.right() - x).saturating_sub(1);
    let text = width::cut(&text, room);
    let at = area.right() - u16::try_from(width::cells(&text)).unwrap_or(0);
    buffer.set_stringn(at, area.y, &text, room, pen.tone(tone));
}

/// Which moment is shown, and since when what changed.
fn when(state: &State, history: &History) -> (String, Tone) {
    let time = |number: usize| Some(clock(history.point(number)?.time));
    let since = state.baseline.as_ref().and_then(|(number, _)| time(*number));
    let ago = |number: usize| {
        let (point, last) = (history.point(number)?, history.point(history.last())?);
        Some(last.elapsed.saturating_sub(point.elapsed))
    };
    let (mode, tone) = match (state.at, history.is_recording()) {
        (Some(_), true) => ("", Tone::Title),
        (Some(_), false) => ("PAUSED ", Tone::Warning),
        (None, true) if state.follows => ("FOLLOWING ", Tone::Title),
        (None, true) => ("END ", Tone::Title),
        (None, false) => ("LIVE ", Tone::Title),
    };
    let at = state.at.and_then(|number| Some((time(number)?, ago(number)?)));
    let mode = if state.is_recorded { format!("REC {mode}") } else { mode.to_owned() };
    let text = match (since, at) {
        (Some(since), Some((at, _))) => format!("{mode}{since} to {at}"),
        (Some(since), None) => format!("{mode}since {since}"),
        (None, Some((at, ago))) => format!("{mode}{at} -{}", human::duration(ago)),
        (None, None) => mode.trim_end().to_owned(),
    };
    (text, tone)
}

/// Of so many lines, the first that is on the screen, so that the selected one is.
fn first_shown(selected: usize, lines: usize, room: usize) -> usize {
    selected.saturating_sub(room / 2).min(lines.saturating_sub(room))
}

/// What is in this cell of the window, if it can be pointed at.
pub fn target(area: Rect, state: &State, history: &History, (column, row): (u16, u16)) -> Option<Target> {
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return None;
    }
    let parts = Parts::of(area, state.has_help);
    let cell = Position { x: column, y: row };
    if parts.tabs.contains(cell) {
        let places = tab_places(parts.tabs, state);
        return places
            .into_iter()
            .find(|(.., place)| place.contains(&column))
            .map(|(view, ..)| Target::View(view));
    }
    if parts.bar.contains(cell) {
        return bar::moment(parts.bar, history, column).map(Target::Moment);
    }
    let Body::List(list) = body::body(state, history, parts.body.width.into()) else { return None };
    let lines = terminal::table_lines(&list.table, parts.body.width.into());
    let titles = lines.iter().filter(|(part, _)| part.is_none()).count();
    let room = usize::from(parts.body.height).saturating_sub(titles);
    let first = first_shown(body::selected(state, &list.items), lines.len() - titles, room);
    let below = usize::from(row.checked_sub(parts.body.y)?).checked_sub(titles)?;
    Some(first + below).filter(|at| below < room && *at < list.items.len()).map(Target::Item)
}

/// The titles stay, and so much of the lines around the selected one as there is room for.
fn draw_list(buffer: &mut Buffer, area: Rect, state: &State, list: &List, pen: Pen) {
    if list.items.is_empty() {
        let words = match state.shown_filter() {
            "" => "nothing yet".to_owned(),
            filter => format!("no line has '{}' in it", escape::terminal(filter.as_bytes())),
        };
        return pen.line(buffer, area, 0, &words, pen.tone(Tone::Quiet));
    }
    let lines = terminal::table_lines(&list.table, area.width.into());
    let (titles, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(part, _)| part.is_none());
    for (_, text) in &titles {
        pen.line(buffer, area, 0, text, pen.tone(Tone::Head));
    }
    let room = usize::from(area.height).saturating_sub(titles.len());
    let selected = body::selected(state, &list.items);
    let first = first_shown(selected, lines.len(), room);
    for (row, (at, (part, text))) in lines.iter().enumerate().skip(first).take(room).enumerate() {
        let style = match part {
            Some(Part::Row) if at == selected => pen.chosen(),
            Some(Part::Row) | None => Style::new(),
            Some(Part::Rest | Part::Total) => pen.tone(Tone::Quiet),
        };
        let row = row + titles.len();
        // All of the line, so that the eye finds its end.
        let text = if at == selected { width::pad_right(text, area.width.into()) } else { text.clone() };
        pen.line(buffer, area, row, &text, style);
    }
}

fn draw_text(buffer: &mut Buffer, area: Rect, scroll: usize, lines: &[Line], pen: Pen) {
    let last = lines.len().saturating_sub(area.height.into());
    for (row, line) in lines.iter().skip(scroll.min(last)).enumerate() {
        pen.line(buffer, area, row, line.text(), pen.tone(line.tone()));
    }
}

/// What is typed, what came of the last key, or what keys do.
fn foot(
    buffer: &mut Buffer,
    area: Rect,
    state: &State,
    history: &History,
    step: Option<Step>,
    hints: &str,
    pen: Pen,
) {
    if let Some(prompt) = &state.prompt {
        let text = asked(prompt, state, history, area.width.into());
        return pen.line(buffer, area, 0, &text, pen.tone(Tone::Title));
    }
    if let Some(message) = &state.message {
        return say(buffer, area, &escape::terminal(message.as_bytes()), pen);
    }
    if let Some(Step { doing, done, all }) = step {
        let text = format!("{doing} … {}%", 100 * done / all.max(1));
        return pen.line(buffer, area, 0, &text, pen.tone(Tone::Warning));
    }
    pen.line(buffer, area, 0, hints, pen.tone(Tone::Quiet));
}

/// All of a message, over what is above the foot until the next key: of a command line that is cut nothing can be copied.
fn say(buffer: &mut Buffer, foot: Rect, message: &str, pen: Pen) {
    let width = usize::from(foot.width);
    let lines = width::fold(message, width);
    let bottom = foot.bottom();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(bottom - buffer.area.y);
    let area = Rect { y: bottom - height, height, ..foot };
    for (row, line) in lines.iter().enumerate() {
        pen.line(buffer, area, row, &width::pad_right(line, width), pen.tone(Tone::Warning));
    }
}

fn asked(prompt: &Prompt, state: &State, history: &History, width: usize) -> String {
    let typed = escape::terminal(prompt.text.as_bytes());
    let cursor = "_";
    match prompt.asks {
        Asks::Filter => {
            let found = match body::body(state, history, width) {
                Body::List(list) => human::number(list.items.len() as u64, "line"),
                Body::Text(_) => String::new(),
            };
            format!("/{typed}{cursor}  {found}")
        }
        Asks::Caches => format!("slab caches (names or globs, empty for all): {typed}{cursor}"),
        Asks::Time => format!("time (90s, -30s, peak, mark:LABEL): {typed}{cursor}"),
        Asks::Mark => format!("mark: {typed}{cursor}"),
        Asks::Recording => format!("record from now on into (a new file): {typed}{cursor}"),
        Asks::File => format!("write to (.txt .json .ndjson .csv .md): {typed}{cursor}"),
        Asks::Group => {
            let groups = GROUPS.iter().map(|(letter, by)| format!("{letter}:{}", by.into_str()));
            width::cut(&format!("by {}", groups.collect::<Vec<_>>().join(" ")), width).into_owned()
        }
    }
}

/// Those that matter here; as many as there is room for.
fn hints(state: &State, history: &History, is_list: bool, has_more: bool, width: usize) -> String {
    if state.has_help {
        return format!("any key: back{}", if has_more { "  ↓ more" } else { "" });
    }
    let is_page = !state.pages.is_empty();
    let is_live = !history.is_recording();
    let hints = [
        has_more.then_some("↓ more"),
        Some("q quit"),
        Some("? keys"),
        is_page.then_some("Esc back"),
        is_list.then_some("Enter open"),
        (is_live && state.at.is_none()).then_some("Space pause"),
        (is_live && state.at.is_some()).then_some("Space go on"),
        Some("← → time"),
        is_list.then_some("/ filter"),
        (!is_page).then_some("b group"),
        is_list.then_some("< > sort"),
        Some("B compare"),
        Some("w write"),
    ];
    let sort = is_list.then(|| match state.is_reversed {
        true => format!("{}, reversed", phrases::order(state.sort)),
        false => phrases::order(state.sort).to_owned(),
    });
    let filter = Some(&state.filter).filter(|filter| !filter.is_empty());
    let filter = filter.map(|filter| format!("filter: {}", escape::terminal(filter.as_bytes())));
    let mut text = String::new();
    let all = hints.into_iter().flatten().map(str::to_owned);
    for hint in filter.into_iter().chain(all).chain(sort) {
        let more = if text.is_empty() { hint } else { format!("{text}  {hint}") };
        if width::cells(&more) > width {
            break;
        }
        text = more;
    }
    text
}

#[cfg(test)]
mod tests;
