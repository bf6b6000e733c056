//! What a report says, in which order: blocks, each with how much it matters.

use super::{Sentence, Table};

/// Part of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub content: Content,
    pub tone: Tone,
    pub keep: Keep,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Title(Vec<Fact>),
    Heading(Sentence),
    /// A heading that a terminal shows as a blank line, since what follows says it.
    Section(&'static str),
    /// Short ones on one line.
    Facts(Vec<Fact>),
    /// A terminal indents the first line by `indent` cells, those after it by `hang`.
    Sentence {
        text: Sentence,
        indent: usize,
        hang: usize,
    },
    /// With a mark before each.
    List {
        items: Vec<Sentence>,
        indent: usize,
    },
    Table(Table),
    Commands(Vec<Command>),
    /// Lines that stay as they are.
    Code(String),
}

/// A fact in a few words. Those of the highest rank go first where the line is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub rank: u8,
    pub text: Sentence,
    /// It names those after it.
    pub is_label: bool,
}

/// To be copied, and what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub line: String,
    pub shows: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Normal,
    Title,
    Head,
    Quiet,
    Warning,
    Alarm,
}

/// What a terminal leaves out first where it is too low, least important last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    #[default]
    Always,
    Trust,
    Problem,
    Cache,
    Host,
    /// What was there before.
    Already,
    Note,
    Directory,
    Age,
    OwnCost,
    Totals,
    MoreCaches,
    Stack,
    Aliases,
    Blank,
}

/// Lines after the first of a sentence.
const HANG: usize = 4;

impl Block {
    pub fn new(content: Content) -> Self {
        let tone = match content {
            Content::Title(_) => Tone::Title,
            _ => Tone::Normal,
        };
        Block { content, tone, keep: Keep::Always }
    }

    pub fn sentence(text: impl Into<Sentence>) -> Self {
        Block::new(Content::Sentence { text: text.into(), indent: 0, hang: HANG })
    }

    pub fn heading(text: impl Into<Sentence>) -> Self {
        Block::new(Content::Heading(text.into()))
    }

    pub fn list(items: impl IntoIterator<Item = Sentence>) -> Self {
        Block::new(Content::List { items: items.into_iter().collect(), indent: 0 })
    }

    pub fn facts(facts: impl IntoIterator<Item = Fact>) -> Self {
        Block::new(Content::Facts(facts.into_iter().filter(|fact| !fact.text.0.is_empty()).collect()))
    }

    pub fn table(table: Table) -> Self {
        Block::new(Content::Table(table))
    }

    pub fn tone(self, tone: Tone) -> Self {
        Block { tone, ..self }
    }

    pub fn keep(self, keep: Keep) -> Self {
        Block { keep, ..self }
    }

    /// A sentence or a list further to the right.
    pub fn indented(mut self, by: usize) -> Self {
        if let Content::Sentence { indent, .. } | Content::List { indent, .. } = &mut self.content {
            *indent = by;
        }
        self
    }
}

impl Fact {
    pub fn new(rank: u8, text: impl Into<Sentence>) -> Self {
        Fact { rank, text: text.into(), is_label: false }
    }

    pub fn label(rank: u8, text: impl Into<Sentence>) -> Self {
        Fact { rank, text: text.into(), is_label: true }
    }
}
