//! The mouse, where the user wants it: what is pointed at is what keys would have gone to.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{
    body::{self, Body},
    history::History,
    keys::Key,
    press::{Ask, Seen, entered, go, moved, turned},
    state::{Selection, State, View},
};

/// Lines that a notch of the wheel moves.
const NOTCH: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button, in this cell.
    Click {
        column: u16,
        row: u16,
    },
    WheelUp,
    WheelDown,
}

/// What is in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    View(View),
    /// An item of the list.
    Item(usize),
    /// On the bar.
    Moment(usize),
}

impl Mouse {
    /// None for what means nothing.
    pub fn of(event: MouseEvent) -> Option<Self> {
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                Some(Self::Click { column: event.column, row: event.row })
            }
            MouseEventKind::ScrollUp => Some(Self::WheelUp),
            MouseEventKind::ScrollDown => Some(Self::WheelDown),
            _ => None,
        }
    }
}

/// As if this key was pressed several times.
pub fn turn_wheel(state: &mut State, key: Key, seen: Seen<'_>) -> Option<Ask> {
    (0..NOTCH).find_map(|_| moved(state, key, seen))
}

/// A click selects, and opens what is selected.
pub fn click(state: &mut State, target: Target, seen: Seen<'_>) -> Option<Ask> {
    state.message = None;
    // What is typed waits for keys.
    if state.prompt.is_some() {
        return None;
    }
    match target {
        Target::View(view) => turned(state, view),
        Target::Moment(number) => go(state, seen, |history: &History, _| history.near(number)),
        Target::Item(at) => {
            let Body::List(list) = body::body(state, seen.history, seen.width) else { return None };
            if body::selected(state, &list.items) == at {
                return entered(state, seen);
            }
            let id = list.items.get(at)?.id.clone();
            state.select(Selection { at, id });
            None
        }
    }
}
