//! Names of processes as users write them: whole, or as globs.

use glob::Pattern;

use super::event::Comm;
use crate::text::escape;

/// Characters that make a glob.
const SPECIAL: [char; 3] = ['*', '?', '['];

/// A name that processes can have, or a glob of such names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommPattern {
    /// As it was written.
    text: String,
    /// The kernel keeps 15 bytes of a longer name.
    name: Comm,
    glob: Option<Pattern>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommPatternError {
    #[error("a command name cannot be empty")]
    Empty,
    #[error("'{}' is not a valid glob pattern: {reason}", escape::terminal(text.as_bytes()))]
    Glob { text: String, reason: &'static str },
}

impl CommPattern {
    pub fn parse(text: &str) -> Result<Self, CommPatternError> {
        if text.is_empty() {
            return Err(CommPatternError::Empty);
        }
        let glob = text.contains(SPECIAL).then(|| Pattern::new(text)).transpose();
        let glob =
            glob.map_err(|error| CommPatternError::Glob { text: text.to_owned(), reason: error.msg })?;
        Ok(Self { name: Comm::truncated(text.as_bytes()), text: text.to_owned(), glob })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The one name that it matches; None of a glob.
    pub fn name(&self) -> Option<Comm> {
        self.glob.is_none().then_some(self.name)
    }

    /// A name with such characters matches itself.
    pub fn matches(&self, comm: Comm) -> bool {
        let is_match = |glob: &Pattern| glob.matches(&String::from_utf8_lossy(comm.as_bytes()));
        comm == self.name || self.glob.as_ref().is_some_and(is_match)
    }
}

/// Whether one of `only` matches (without any, all names do), and none of `excluded`.
pub fn passes(only: &[CommPattern], excluded: &[CommPattern], comm: Comm) -> bool {
    let matches = |patterns: &[CommPattern]| patterns.iter().any(|pattern| pattern.matches(comm));
    (only.is_empty() || matches(only)) && !matches(excluded)
}

/// Begins a sentence that has names in it.
pub const NOTHING: &str = "nothing was allocated under the name ";

/// Says that nothing is of these, where something else was meant most likely.
pub fn nothing_of(patterns: &[&CommPattern], yet: &str) -> Option<String> {
    let quoted = |pattern: &&CommPattern| format!("'{}'", escape::terminal(pattern.text.as_bytes()));
    let names: Vec<String> = patterns.iter().map(quoted).collect();
    (!names.is_empty()).then(|| {
        let names = names.join(" or ");
        format!("{NOTHING}{names}{yet} (threads count for their process; names are at most 15 bytes)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_globs_are_globs() {
        let check = |pattern: &str, comm: &str, expected| {
            let pattern = CommPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(Comm::truncated(comm.as_bytes())), expected, "{pattern:?} {comm}");
        };
        check("curl", "curl", true);
        check("curl", "curl2", false);
        check("cur", "curl", false);
        check("a-name-of-21-bytes-ab", "a-name-of-21-by", true);
        check("cur*", "curl", true);
        check("cur?", "curl", true);
        check("cur?", "cur", false);
        check("php-fpm[78]*", "php-fpm8.2", true);
        // As it is written.
        check("x[1]", "x[1]", true);
        check("x[1]", "x1", true);
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        assert_eq!(CommPattern::parse(""), Err(CommPatternError::Empty));
        insta::assert_snapshot!(CommPattern::parse("a[\u{1b}").unwrap_err(), @r"'a[\x1b' is not a valid glob pattern: invalid range pattern");
    }

    #[test]
    fn one_of_several_is_enough() {
        let patterns = ["curl", "wg*"].map(|text| CommPattern::parse(text).unwrap());
        let pass = |only: &[CommPattern], excluded: &[CommPattern]| {
            ["curl", "wget", "bash"].map(|name| passes(only, excluded, Comm::truncated(name.as_bytes())))
        };
        assert_eq!(pass(&patterns, &[]), [true, true, false]);
        assert_eq!(pass(&[], &patterns), [false, false, true]);
        assert_eq!(pass(&patterns, &patterns[1..]), [true, false, false]);
        assert_eq!(pass(&[], &[]), [true, true, true]);
    }
}
