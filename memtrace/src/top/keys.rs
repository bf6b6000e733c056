//! Keys, as far as they mean something here.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C
    Interrupt,
    /// Ctrl-Z
    Suspend,
    /// Ctrl-L
    Redraw,
    /// Ctrl-U
    Clear,
}

impl Key {
    /// None for what means nothing.
    pub fn of(event: KeyEvent) -> Option<Self> {
        if event.modifiers.contains(KeyModifiers::CONTROL) {
            return match event.code {
                KeyCode::Char('c') => Some(Self::Interrupt),
                KeyCode::Char('z') => Some(Self::Suspend),
                KeyCode::Char('l') => Some(Self::Redraw),
                KeyCode::Char('u') => Some(Self::Clear),
                KeyCode::Char('h') => Some(Self::Backspace),
                _ => None,
            };
        }
        Some(match event.code {
            KeyCode::Char(_) if event.modifiers.contains(KeyModifiers::ALT) => return None,
            KeyCode::Char(c) => Self::Char(c),
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Escape,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            // As in htop.
            KeyCode::F(1) => Self::Char('?'),
            KeyCode::F(3 | 4) => Self::Char('/'),
            KeyCode::F(6) => Self::Char('>'),
            KeyCode::F(10) => Self::Char('q'),
            _ => return None,
        })
    }
}

/// What keys do, for the page of help: each with its group.
pub const HELP: [(&str, &[(&str, &str)]); 4] = [
    (
        "Look",
        &[
            ("1 to 6, Tab", "who, caches, directories, stacks, ages, host"),
            ("↑ ↓ j k", "select a line; PgUp and PgDn a page"),
            ("Enter", "all about the line; open or close a branch"),
            ("Esc", "back"),
            ("i", "stacks: from the allocation, or from where calls began"),
        ],
    ),
    (
        "Choose",
        &[
            ("b", "group by command, process, cgroup, ...; a capital letter adds one"),
            ("< >", "sort by bytes, objects, growth, age"),
            ("r", "turn the order round"),
            ("/", "only lines with this text"),
            ("c", "only these slab caches: names or globs"),
        ],
    ),
    (
        "Time",
        &[
            ("Space", "pause, or go on"),
            ("← → t T", "a moment back or forth"),
            ("{ }", "a minute back or forth"),
            ("Home End", "the first moment; now"),
            ("g", "a time: 90s, -30s, peak, mark:LABEL, 2026-11-25T03:00:00Z"),
            ("B", "from here on show what changed; again: all"),
            ("m", "mark this moment"),
            ("f", "a recording: follow it while it grows"),
        ],
    ),
    (
        "Keep",
        &[
            ("R", "record from now on, until R again or the end"),
            ("w", "write what is shown: .txt .json .ndjson .csv .md"),
            ("y", "the command line that shows this"),
            ("M", "the mouse: click on a line, a view, a time; or the terminal's again"),
            ("q Ctrl-C", "quit, with a last table"),
        ],
    ),
];

/// A script of keys: characters, and names such as `<Enter>` between them.
#[cfg(test)]
pub(super) fn script(text: &str) -> Vec<Key> {
    const NAMES: [(&str, Key); 13] = [
        ("<Enter>", Key::Enter),
        ("<Esc>", Key::Escape),
        ("<Backspace>", Key::Backspace),
        ("<Tab>", Key::Tab),
        ("<BackTab>", Key::BackTab),
        ("<Up>", Key::Up),
        ("<Down>", Key::Down),
        ("<Left>", Key::Left),
        ("<Right>", Key::Right),
        ("<PageDown>", Key::PageDown),
        ("<Home>", Key::Home),
        ("<End>", Key::End),
        ("<C-u>", Key::Clear),
    ];
    let (mut keys, mut rest) = (Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        let named = NAMES.iter().find(|(name, _)| rest.starts_with(name));
        let (key, len) = named.map_or((Key::Char(c), c.len_utf8()), |(name, key)| (*key, name.len()));
        keys.push(key);
        rest = &rest[len..];
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_keys_do_what_they_do_in_htop() {
        for (number, key) in [(1, '?'), (3, '/'), (4, '/'), (6, '>'), (10, 'q')] {
            let event = KeyEvent::new(KeyCode::F(number), KeyModifiers::NONE);
            assert_eq!(Key::of(event), Some(Key::Char(key)));
        }
    }
}
