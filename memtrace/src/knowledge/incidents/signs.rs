//! The signs of an incident.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{knowledge::Pattern, procfs::slab::root_name};

/// Length of a command name in the kernel (TASK_COMM_LEN, without the NUL).
const MAX_COMM: usize = 15;

/// One of each list is enough; a list that is empty says nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Signs {
    pub caches: Vec<Pattern>,
    pub comms: Vec<Comm>,
    pub ancestors: Vec<Comm>,
    pub names: Vec<Pattern>,
    pub parents: Vec<Pattern>,
    pub functions: Vec<Pattern>,
    pub negative: Option<Share>,
}

/// What a sign is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Caches,
    Comms,
    Ancestors,
    Names,
    Parents,
    Functions,
    Negative,
}

impl Field {
    pub const ALL: [Self; 7] = [
        Self::Caches,
        Self::Comms,
        Self::Ancestors,
        Self::Names,
        Self::Parents,
        Self::Functions,
        Self::Negative,
    ];
}

/// As in the files.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caches => "caches",
            Self::Comms => "comms",
            Self::Ancestors => "ancestors",
            Self::Names => "names",
            Self::Parents => "parents",
            Self::Functions => "functions",
            Self::Negative => "negative",
        })
    }
}

/// A glob over command names, which the kernel cuts.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Pattern")]
pub struct Comm(Pattern);

impl Comm {
    pub fn pattern(&self) -> &Pattern {
        &self.0
    }
}

impl TryFrom<Pattern> for Comm {
    type Error = String;

    fn try_from(pattern: Pattern) -> Result<Self, String> {
        let text = pattern.as_str();
        if crate::procfs::slab::resolve::is_glob(text) || text.len() <= MAX_COMM {
            return Ok(Self(pattern));
        }
        let cut = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|&end| end <= MAX_COMM);
        let cut = &text[..cut.last().unwrap_or(0)];
        Err(format!("the kernel cuts command names at {MAX_COMM} bytes: write '{cut}'"))
    }
}

/// At least so much of all, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f64")]
pub struct Share(f64);

impl Share {
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        if share > 0.0 && share <= 1.0 {
            Ok(Self(share))
        } else {
            Err(format!("a share must be more than 0 and at most 1, not {share}"))
        }
    }
}

impl Signs {
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::Caches => !self.caches.is_empty(),
            Field::Comms => !self.comms.is_empty(),
            Field::Ancestors => !self.ancestors.is_empty(),
            Field::Names => !self.names.is_empty(),
            Field::Parents => !self.parents.is_empty(),
            Field::Functions => !self.functions.is_empty(),
            Field::Negative => self.negative.is_some(),
        }
    }

    pub fn have_cache(&self, names: &[&str]) -> bool {
        names.iter().any(|name| any(&self.caches, root_name(name)))
    }

    /// What the file says of a field, for people.
    pub fn text(&self, field: Field) -> String {
        let list = |patterns: &[Pattern]| join(patterns.iter().map(Pattern::as_str));
        match field {
            Field::Caches => list(&self.caches),
            Field::Comms => join(self.comms.iter().map(|comm| comm.0.as_str())),
            Field::Ancestors => join(self.ancestors.iter().map(|comm| comm.0.as_str())),
            Field::Names => list(&self.names),
            Field::Parents => list(&self.parents),
            Field::Functions => list(&self.functions),
            Field::Negative => {
                self.negative.map_or_else(String::new, |share| format!("at least {:.0}%", share.0 * 100.0))
            }
        }
    }
}

fn join<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

pub fn any(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}
