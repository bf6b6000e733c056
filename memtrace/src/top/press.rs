//! A key makes of what the user wants to see the next thing that they want to see.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    body::{self, Body, Opens},
    history::{History, Mark},
    keys::Key,
    state::{Asks, GROUPS, Prompt, Selection, State, View},
};
use crate::{
    evidence::replay::when,
    output::render::terminal::{self, Frame},
    select::{Select, filter::Filter},
    view::{Keys, Sort},
};

const MINUTE: Duration = Duration::from_secs(60);

const SORTS: [Sort; 4] = [Sort::Bytes, Sort::Objects, Sort::Growth, Sort::Age];

/// Longer ones are of no use.
const MAX_TYPED: usize = 400;

/// What a key wants besides another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Quit,
    Suspend,
    Redraw,
    /// What is seen from now on is grouped, sorted or chosen otherwise.
    Look,
    /// A moment that is not remembered.
    Show(usize),
    Mark(Mark),
    Follow(bool),
    /// Whether the terminal tells of the mouse.
    Mouse(bool),
    Write(PathBuf),
    /// From now on, into a new file.
    Record(PathBuf),
    EndRecording,
    /// Says how to see the same again.
    CommandLine,
}

/// What is on the screen when a key is pressed.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    pub history: &'a History,
    /// Of the part that shows a view.
    pub width: usize,
    pub height: usize,
}

/// The next state, and what else there is to do.
pub fn press(state: &mut State, key: Key, seen: Seen<'_>) -> Option<Ask> {
    state.message = None;
    match key {
        Key::Interrupt => return Some(Ask::Quit),
        Key::Suspend => return Some(Ask::Suspend),
        Key::Redraw => return Some(Ask::Redraw),
        _ => {}
    }
    if let Some(prompt) = state.prompt.take() {
        return typed(state, prompt, key, seen);
    }
    if state.has_help && !matches!(key, Key::Up | Key::Down | Key::PageUp | Key::PageDown) {
        (state.has_help, state.scroll) = (false, 0);
        return None;
    }
    match key {
        Key::Char('q') => Some(Ask::Quit),
        Key::Up | Key::Down | Key::PageUp | Key::PageDown => moved(state, key, seen),
        Key::Char('k') => moved(state, Key::Up, seen),
        Key::Char('j') => moved(state, Key::Down, seen),
        Key::Enter => entered(state, seen),
        Key::Escape => escaped(state),
        Key::Tab => turned(state, state.view.turned(1)),
        Key::BackTab => turned(state, state.view.turned(View::ALL.len() - 1)),
        Key::Char(c @ '1'..='6') => turned(state, View::ALL[c as usize - '1' as usize]),
        Key::Char('<') => sorted(state, SORTS.len() - 1),
        Key::Char('>') => sorted(state, 1),
        Key::Char(c) => letter(state, c, seen),
        Key::Left => go(state, seen, |history, number| history.neighbour(number, false)),
        Key::Right => go(state, seen, |history, number| history.neighbour(number, true)),
        Key::Home => go(state, seen, |history, _| history.beginning()),
        Key::End => now(state, seen),
        _ => None,
    }
}

fn letter(state: &mut State, c: char, seen: Seen<'_>) -> Option<Ask> {
    let prompt = |asks, text: &str| Some(Prompt { asks, text: text.to_owned() });
    match c {
        '?' | 'h' => (state.has_help, state.scroll) = (true, 0),
        'r' => state.is_reversed = !state.is_reversed,
        'i' => state.from_outermost = !state.from_outermost,
        'b' => state.prompt = prompt(Asks::Group, ""),
        '/' => state.prompt = prompt(Asks::Filter, &state.filter),
        'c' => state.prompt = prompt(Asks::Caches, &state.caches.join(",")),
        'g' => state.prompt = prompt(Asks::Time, ""),
        'm' => state.prompt = prompt(Asks::Mark, ""),
        'w' => state.prompt = prompt(Asks::File, ""),
        'B' => set_baseline(state, seen),
        ' ' => return paused(state, seen),
        't' => return go(state, seen, |history, number| history.neighbour(number, false)),
        'T' => return go(state, seen, |history, number| history.neighbour(number, true)),
        '{' => return go(state, seen, |history, number| history.away(number, MINUTE, false)),
        '}' => return go(state, seen, |history, number| history.away(number, MINUTE, true)),
        'f' => return followed(state, seen),
        'y' => return Some(Ask::CommandLine),
        'M' => return mouse(state),
        'R' => return recorded(state, seen),
        _ => {}
    }
    None
}

/// A line up or down, or a page.
pub(super) fn moved(state: &mut State, key: Key, seen: Seen<'_>) -> Option<Ask> {
    let page = seen.height.saturating_sub(1).max(1);
    let step = |at: usize, last: usize| match key {
        Key::Up => at.saturating_sub(1),
        Key::PageUp => at.saturating_sub(page),
        Key::Down => (at + 1).min(last),
        _ => (at + page).min(last),
    };
    match body::body(state, seen.history, seen.width) {
        Body::List(list) => {
            let at = step(body::selected(state, &list.items), list.items.len().saturating_sub(1));
            let id = list.items.get(at).map(|item| item.id.clone()).unwrap_or_default();
            state.select(Selection { at, id });
        }
        Body::Text(blocks) => {
            let lines = terminal::lines(&blocks, Frame::wide(seen.width)).len();
            state.scroll = step(state.scroll, lines.saturating_sub(seen.height));
        }
    }
    None
}

pub(super) fn entered(state: &mut State, seen: Seen<'_>) -> Option<Ask> {
    let Body::List(list) = body::body(state, seen.history, seen.width) else { return None };
    let at = body::selected(state, &list.items);
    let item = list.items.get(at)?;
    match &item.opens {
        Opens::Page(page) => {
            state.pages.push(page.clone());
            state.scroll = 0;
        }
        Opens::Branch => {
            if !state.turned.remove(&item.id) {
                state.turned.insert(item.id.clone());
            }
        }
        Opens::Nothing => {}
    }
    // What was opened stays selected.
    state.select(Selection { at, id: item.id.clone() });
    None
}

/// One step back, of what is in front.
fn escaped(state: &mut State) -> Option<Ask> {
    if state.pages.pop().is_some() {
        state.scroll = 0;
    } else if !state.filter.is_empty() {
        state.filter.clear();
    } else {
        state.baseline = None;
    }
    None
}

pub(super) fn turned(state: &mut State, view: View) -> Option<Ask> {
    state.view = view;
    state.pages.clear();
    state.scroll = 0;
    None
}

fn sorted(state: &mut State, by: usize) -> Option<Ask> {
    let at = SORTS.iter().position(|sort| *sort == state.sort).unwrap_or(0);
    state.sort = SORTS[(at + by) % SORTS.len()];
    Some(Ask::Look)
}

fn set_baseline(state: &mut State, seen: Seen<'_>) {
    let number = state.number(seen.history);
    state.baseline = match (&state.baseline, seen.history.moment(number)) {
        (None, Some(moment)) => Some((number, Arc::clone(moment))),
        _ => None,
    };
}

/// To another moment.
pub(super) fn go(state: &mut State, seen: Seen<'_>, to: impl Fn(&History, usize) -> usize) -> Option<Ask> {
    if seen.history.is_empty() {
        return None;
    }
    let number = to(seen.history, state.number(seen.history));
    // A session goes on behind its latest moment; a recording ends there.
    let is_end = seen.history.is_recording() && number == seen.history.last();
    state.at = if is_end { None } else { Some(number) };
    missing(state, seen)
}

fn now(state: &mut State, seen: Seen<'_>) -> Option<Ask> {
    state.at = None;
    missing(state, seen)
}

/// The moment that is to be shown, if it is not remembered.
fn missing(state: &State, seen: Seen<'_>) -> Option<Ask> {
    let number = state.number(seen.history);
    let is_missing = seen.history.is_recording() && seen.history.moment(number).is_none();
    is_missing.then_some(Ask::Show(number))
}

fn paused(state: &mut State, seen: Seen<'_>) -> Option<Ask> {
    if seen.history.is_recording() {
        state.message = Some("a recording stands still: ← and → go back and forth".to_owned());
        return None;
    }
    if seen.history.is_empty() {
        return None;
    }
    state.at = if state.at.is_none() { Some(seen.history.last()) } else { None };
    None
}

fn followed(state: &mut State, seen: Seen<'_>) -> Option<Ask> {
    if !seen.history.is_recording() {
        state.message = Some("a session is followed anyway: End goes to now".to_owned());
        return None;
    }
    state.follows = !state.follows;
    if state.follows {
        state.at = None;
    }
    Some(Ask::Follow(state.follows))
}

/// Begins a recording, or ends the one that was begun.
fn recorded(state: &mut State, seen: Seen<'_>) -> Option<Ask> {
    if seen.history.is_recording() {
        state.message = Some("this is a recording".to_owned());
        return None;
    }
    if state.is_recorded {
        return Some(Ask::EndRecording);
    }
    state.prompt = Some(Prompt { asks: Asks::Recording, text: String::new() });
    None
}

/// The terminal keeps the mouse for itself, to select and copy, unless it is wanted here.
fn mouse(state: &mut State) -> Option<Ask> {
    state.has_mouse = !state.has_mouse;
    let words =
        if state.has_mouse { "the mouse clicks and scrolls here" } else { "the mouse is the terminal's" };
    state.message = Some(format!("{words}; M changes that"));
    Some(Ask::Mouse(state.has_mouse))
}

/// A key while something is typed.
fn typed(state: &mut State, mut prompt: Prompt, key: Key, seen: Seen<'_>) -> Option<Ask> {
    match key {
        Key::Escape => return None,
        Key::Enter => return done(state, prompt, seen),
        Key::Char(c) if prompt.asks == Asks::Group => return grouped(state, c, seen),
        Key::Char(c) if prompt.text.len() < MAX_TYPED => prompt.text.push(c),
        Key::Backspace => drop(prompt.text.pop()),
        Key::Clear => prompt.text.clear(),
        _ => {}
    }
    state.prompt = Some(prompt);
    None
}

/// What was typed counts.
fn done(state: &mut State, prompt: Prompt, seen: Seen<'_>) -> Option<Ask> {
    let text = prompt.text.trim();
    match prompt.asks {
        Asks::Filter => state.filter = prompt.text,
        Asks::Group => {}
        Asks::Caches => return chosen(state, text, seen),
        Asks::Time => return gone(state, text, seen),
        Asks::Mark => {
            let moment = state.number(seen.history);
            let label = if text.is_empty() { "mark" } else { text };
            state.message = Some(format!("marked: g mark:{label} comes back here"));
            return Some(Ask::Mark(Mark { moment, label: label.as_bytes().to_vec() }));
        }
        Asks::File | Asks::Recording if text.is_empty() => {}
        Asks::Recording => return Some(Ask::Record(PathBuf::from(text))),
        Asks::File => return Some(Ask::Write(PathBuf::from(text))),
    }
    None
}

fn chosen(state: &mut State, text: &str, seen: Seen<'_>) -> Option<Ask> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let caches: Vec<String> = names.map(str::to_owned).collect();
    if let Err(error) = Filter::new(&Select::of_caches(caches.clone())) {
        state.message = Some(error.to_string());
        return None;
    }
    state.caches = caches;
    looked(state, seen)
}

fn gone(state: &mut State, text: &str, seen: Seen<'_>) -> Option<Ask> {
    if text.is_empty() {
        return None;
    }
    match when::parse(text).and_then(|when| seen.history.find(&when)) {
        Ok(number) => go(state, seen, |_, _| number),
        Err(why) => {
            state.message = Some(why);
            None
        }
    }
}

/// Groups by what has this letter; a capital one adds to what there is.
fn grouped(state: &mut State, c: char, seen: Seen<'_>) -> Option<Ask> {
    let Some((_, by)) = GROUPS.iter().find(|(letter, _)| *letter == c.to_ascii_lowercase()) else {
        state.message = Some(format!("nothing is grouped by {}", c.escape_debug()));
        return None;
    };
    let before: Vec<_> = if c.is_ascii_uppercase() { state.by.iter().collect() } else { Vec::new() };
    state.by = Keys::new(before.into_iter().chain([*by])).unwrap_or_else(|| (*by).into());
    looked(state, seen)
}

/// Rows are others now. What a session has seen stays as it was, so it is left; a recording is read anew.
fn looked(state: &mut State, seen: Seen<'_>) -> Option<Ask> {
    state.pages.clear();
    state.scroll = 0;
    state.baseline = None;
    state.at = state.at.filter(|_| seen.history.is_recording());
    Some(Ask::Look)
}

#[cfg(test)]
mod tests;
