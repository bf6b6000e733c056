//! Words of ours, and names among them.

use crate::text::{escape, width};

/// A space where no line breaks.
pub const BOUND: char = '\u{a0}';

/// Words that stay in one line.
pub fn bound(words: &str) -> String {
    words.replace(' ', &BOUND.to_string())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Our own, harmless on a terminal.
    Words(String),
    /// The same, so that it strikes the eye.
    Strong(String),
    /// A name from outside.
    Name(Vec<u8>),
    /// A sentence from outside, with names in it.
    Outside(String),
    /// The same, in which commands stand between backticks.
    Advice(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence(pub Vec<Span>);

impl Sentence {
    pub fn words(mut self, words: impl Into<String>) -> Self {
        let words = words.into();
        match self.0.last_mut() {
            Some(Span::Words(before)) => before.push_str(&words),
            _ if words.is_empty() => {}
            _ => self.0.push(Span::Words(words)),
        }
        self
    }

    pub fn strong(words: impl Into<String>) -> Self {
        Sentence(vec![Span::Strong(words.into())])
    }

    pub fn name(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push(Span::Name(bytes.into()));
        self
    }

    pub fn advice(mut self, sentence: impl Into<String>) -> Self {
        self.0.push(Span::Advice(sentence.into()));
        self
    }

    pub fn outside(sentence: impl Into<String>) -> Self {
        Sentence(vec![Span::Outside(sentence.into())])
    }

    /// Names with words between them.
    pub fn names<'a>(mut self, names: impl IntoIterator<Item = &'a [u8]>, between: &str) -> Self {
        for (at, name) in names.into_iter().enumerate() {
            self = if at == 0 { self } else { self.words(between) }.name(name);
        }
        self
    }

    /// What `of` makes of each span, one after the other.
    pub fn map(&self, of: impl Fn(&Span) -> String) -> String {
        self.0.iter().map(of).collect()
    }

    /// For a terminal; where lines must not break there is still [`BOUND`].
    pub fn bound_text(&self) -> String {
        self.map(|span| match span {
            Span::Words(words) | Span::Strong(words) => words.clone(),
            Span::Name(bytes) => escape::terminal(bytes).into_owned(),
            Span::Outside(text) | Span::Advice(text) => escape::terminal(text.as_bytes()).into_owned(),
        })
    }

    /// The same, for lines with so many cells. Of a path that is longer the beginning goes.
    pub fn bound_text_within(&self, cells: usize) -> String {
        self.map(|span| match span {
            Span::Name(bytes) => width::cut_path(&escape::terminal(bytes), cells).into_owned(),
            other => Sentence(vec![other.clone()]).bound_text(),
        })
    }

    /// For a terminal, in one line.
    pub fn text(&self) -> String {
        self.bound_text().replace(BOUND, " ")
    }
}

impl From<String> for Sentence {
    fn from(words: String) -> Self {
        Sentence::default().words(words)
    }
}

impl From<&str> for Sentence {
    fn from(words: &str) -> Self {
        Sentence::default().words(words)
    }
}

impl<T: Into<Sentence>> std::ops::Add<T> for Sentence {
    type Output = Sentence;

    fn add(mut self, other: T) -> Sentence {
        self.0.extend(other.into().0);
        self
    }
}
