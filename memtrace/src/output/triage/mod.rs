//! A page of triage as text for a terminal, as Markdown for a ticket, and as JSON. The first two are the same [`Block`]s, each
//! drawn for its medium.

pub mod json;
mod document;
mod markdown;
mod text;
mod words;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use markdown::render as markdown;
pub use text::render as text;
pub use words::headline;

/// A part of the page. Its texts are harmless already: names in them were escaped, as for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Block {
    Title(String),
    Heading(String),
    Lines(Vec<String>),
    List(Vec<String>),
    Table(Table),
    /// Commands, and what each tells.
    Commands(Vec<(String, &'static str)>),
    /// Lines that stay as they are.
    Drawn(String),
}

/// The first column is to the left, the others are to the right.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// What stands below.
    foot: Option<String>,
}
