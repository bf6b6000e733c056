//! What memtrace is doing, in one line that is written anew.

use std::{
    io::{self, IsTerminal as _, Stderr, Write},
    time::{Duration, Instant},
};

use super::terminal::Size;
use crate::{evidence::Step, text::width};

/// Back to the beginning of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// A line on the terminal, cleared when it is dropped. Where there is no terminal, nothing is written.
pub struct StatusLine<W: Write = Stderr> {
    out: W,
    is_terminal: bool,
    is_drawn: bool,
}

impl StatusLine {
    pub fn stderr() -> Self {
        let out = io::stderr();
        let is_terminal = out.is_terminal();
        Self::new(out, is_terminal)
    }
}

impl<W: Write> StatusLine<W> {
    pub fn new(out: W, is_terminal: bool) -> Self {
        Self { out, is_terminal, is_drawn: false }
    }

    /// Shows this text, which has no control characters, instead of the last one.
    pub fn show(&mut self, text: &str) {
        if self.is_terminal {
            // A line that wraps could not be cleared.
            let room = usize::from(Size::of_terminal().columns).saturating_sub(1);
            self.write(&format!("{CLEAR}{}", width::cut(text, room)));
            self.is_drawn = true;
        }
    }

    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            self.write(CLEAR);
        }
    }

    /// Says what stays, a line of its own: on a terminal or anywhere else.
    pub fn say(&mut self, text: &str) {
        self.clear();
        self.write(&format!("{text}\n"));
    }

    fn write(&mut self, text: &str) {
        // Nowhere to complain if even standard error is closed.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

impl<W: Write> Drop for StatusLine<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Shows a bar while this works, if it takes more than a moment.
pub fn with_bar<T>(work: impl FnOnce(&mut dyn FnMut(Step)) -> T) -> T {
    const PATIENCE: Duration = Duration::from_secs(2);
    const EVERY: Duration = Duration::from_millis(100);
    let (start, mut line) = (Instant::now(), StatusLine::stderr());
    let mut drawn: Option<Instant> = None;
    work(&mut |step| {
        let is_time = drawn.map_or(start.elapsed() >= PATIENCE, |drawn| drawn.elapsed() >= EVERY);
        if is_time {
            drawn = Some(Instant::now());
            line.show(&bar(step));
        }
    })
}

fn bar(step: Step) -> String {
    const WIDTH: usize = 40;
    let Step { doing, done, all } = step;
    let filled = WIDTH * done / all.max(1);
    let (filled, empty) = ("#".repeat(filled), "-".repeat(WIDTH - filled));
    format!("{doing} [{filled}{empty}] {:3}%", 100 * done / all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_anew_and_cleared_at_the_end() {
        let mut out = Vec::new();
        let mut line = StatusLine::new(&mut out, true);
        line.show("one");
        line.show("two");
        line.say("three");
        line.show("four");
        drop(line);
        let expect = "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[Kthree\n\r\x1b[Kfour\r\x1b[K";
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        let mut file = Vec::new();
        let mut line = StatusLine::new(&mut file, false);
        line.show("one");
        line.say("two");
        drop(line);
        assert_eq!(String::from_utf8(file).unwrap(), "two\n");
    }

    #[test]
    fn a_bar_says_what_it_is_of() {
        let step = Step { doing: "reading", done: 1, all: 4 };
        assert_eq!(bar(step), "reading [##########------------------------------]  25%");
        assert_eq!(bar(Step { all: 0, done: 0, ..step }), format!("reading [{}]   0%", "-".repeat(40)));
    }
}
