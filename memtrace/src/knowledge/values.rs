//! The values in the data files. All of them print as they are: nothing in them moves a terminal's cursor.

use std::fmt;

use serde::Deserialize;

use crate::{procfs::slab::resolve::Glob, text::escape};

/// Sentences. How they are broken into lines in the file does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Prose(String);

/// One line that is printed as it stands: a command, a reference.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Line(String);

/// A glob that a name is compared with.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    text: String,
    glob: Glob,
}

impl Prose {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Line {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pattern {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, name: &str) -> bool {
        self.glob.matches(name)
    }
}

impl TryFrom<String> for Prose {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        printable(text).map(Self)
    }
}

impl TryFrom<String> for Line {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        printable(text.trim().to_owned()).map(Self)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = printable(text)?;
        let glob = Glob::new(&text).map_err(|error| error.to_string())?;
        Ok(Self { text, glob })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn printable(text: String) -> Result<String, String> {
    if text.is_empty() {
        return Err("a text is empty".to_owned());
    }
    match text.chars().find(|&c| !escape::is_plain(c)) {
        None => Ok(text),
        Some(c) => Err(format!("the character U+{:04X} cannot be printed", u32::from(c))),
    }
}
