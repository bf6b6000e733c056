//! Lines around the table: parts of which the least important are left out, and sentences that are wrapped.

use crate::text::width;

/// Continuation lines of a sentence.
const INDENT: usize = 4;
/// A space where no line breaks. Text from outside has none: it is escaped there.
pub(super) const BOUND: char = '\u{a0}';

/// A piece of a line; the pieces with the highest rank go first where the line is too long.
pub(super) struct Part {
    rank: u8,
    pub(super) text: String,
}

pub(super) fn part(rank: u8, text: impl Into<String>) -> Part {
    Part { rank, text: text.into() }
}

/// Joins the parts, leaving out the least important ones until the line fits.
pub(super) fn fit(parts: &[Part], width: Option<usize>) -> String {
    let mut most = u8::MAX;
    loop {
        let kept: Vec<&str> = parts
            .iter()
            .filter(|part| part.rank <= most && !part.text.is_empty())
            .map(|part| part.text.as_str())
            .collect();
        let line = kept.join("  ").trim_end().to_owned();
        if most == 0 || width.is_none_or(|width| width::cells(&line) <= width) {
            return line;
        }
        most = parts.iter().map(|part| part.rank).filter(|&rank| rank < most).max().unwrap_or(0);
    }
}

/// `text` in as many lines as the width makes of it.
pub(super) fn wrapped(text: &str, width: Option<usize>) -> impl Iterator<Item = String> {
    width::wrap(text, width.unwrap_or(usize::MAX), INDENT).into_iter().map(|line| line.replace(BOUND, " "))
}
