//! A snapshot as a block of text: who holds the slab, at a glance.
//!
//! The block fits the frame it is given. In width, the least important columns go first and long names are cut;
//! in height, explanations go before figures, then rows are hidden and counted. Everything that comes from
//! outside passes through [`escape::terminal`].

mod ages;
pub(super) mod agreement;
pub(super) mod columns;
pub(super) mod difference;
mod directories;
mod grid;
mod header;
pub(super) mod partial;
mod parts;
pub(super) mod place;
mod stacks;
pub(super) mod trust;
pub(super) mod verdict;

#[cfg(test)]
mod tests;

pub use self::difference::render as render_difference;
pub use self::verdict::brief;
pub use self::verdict::of_snapshot as verdict_sentences;
use crate::{
    text::{escape, width},
    view::Snapshot,
};

/// The room that a block has. None means as much as needed, as in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// In cells of a terminal.
    pub width: Option<usize>,
    pub height: Option<usize>,
}

/// Whether lines carry styles. Colour is for a terminal whose user did not set `NO_COLOR`; that is the
/// caller's to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    Colour,
}

/// One line of a block, without a newline and without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    text: String,
    tone: Tone,
    keep: Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Normal,
    Title,
    Head,
    Quiet,
    Warning,
    Alarm,
}

/// What goes first where the frame is too low, least important last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keep {
    Always,
    Trust,
    Problem,
    Cache,
    Note,
    Directory,
    Age,
    Host,
    OwnCost,
    Totals,
    MoreCaches,
    Stack,
    Aliases,
    Blank,
}

impl Line {
    fn new(text: impl Into<String>, tone: Tone, keep: Keep) -> Self {
        Line { text: text.into(), tone, keep }
    }

    fn blank() -> Self {
        Line::new("", Tone::Normal, Keep::Blank)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line as it is written, without a newline.
    pub fn paint(&self, style: Style) -> String {
        let paint = match (style, self.tone) {
            (Style::Plain, _) | (_, Tone::Normal) => return self.text.clone(),
            (_, Tone::Title) => anstyle::Style::new().bold(),
            (_, Tone::Head) => anstyle::Style::new().bold().underline(),
            (_, Tone::Quiet) => anstyle::Style::new().dimmed(),
            (_, Tone::Warning) => anstyle::AnsiColor::Yellow.on_default(),
            (_, Tone::Alarm) => anstyle::AnsiColor::Red.on_default().bold(),
        };
        format!("{paint}{}{paint:#}", self.text)
    }
}

/// The block as one text, each line ended by a newline.
pub fn render(snapshot: &Snapshot, frame: Frame, style: Style) -> String {
    lines(snapshot, frame).iter().map(|line| line.paint(style) + "\n").collect()
}

/// The block, line by line.
pub fn lines(snapshot: &Snapshot, frame: Frame) -> Vec<Line> {
    let mut above = header::lines(snapshot, frame.width);
    let mut below = stacks::lines(snapshot, frame.width);
    below.extend(ages::lines(snapshot, frame.width));
    below.extend(directories::lines(snapshot, frame.width));
    below.extend(trust::lines(snapshot, frame.width));
    let height = frame.height.unwrap_or(usize::MAX);
    let table = columns::Table::new(snapshot);
    make_room(&mut above, &mut below, height.saturating_sub(table.least_height()));
    let room = height.saturating_sub(above.len() + below.len());
    let mut block = above;
    block.extend(table.lines(room, frame.width));
    block.extend(below);
    block.truncate(height);
    for line in &mut block {
        if let Some(width) = frame.width {
            line.text = width::cut(&line.text, width).into_owned();
        }
    }
    block
}

/// How far the figures can be trusted, and the notes: a sentence each, for formats that have no table above them.
pub fn trust(snapshot: &Snapshot) -> Vec<String> {
    trust::sentences(snapshot)
}

/// Drops the least important lines around the table until they fit into `room`.
fn make_room(above: &mut Vec<Line>, below: &mut Vec<Line>, room: usize) {
    while above.len() + below.len() > room {
        let least = above.iter().chain(below.iter()).map(|line| line.keep).max();
        let Some(least) = least.filter(|&keep| keep != Keep::Always) else { return };
        // From the end of its kind: the first line of a kind says most.
        let lines = if below.iter().any(|line| line.keep == least) { &mut *below } else { &mut *above };
        if let Some(at) = lines.iter().rposition(|line| line.keep == least) {
            lines.remove(at);
        }
    }
}

/// Text from outside, made harmless.
fn clean(text: &str) -> String {
    escape::terminal(text.as_bytes()).into_owned()
}
