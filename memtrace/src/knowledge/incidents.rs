//! Known incidents: their signs, what caused them, and what helped.
//!
//! The built-in ones and those of users are files of one format (docs/incidents.md).

mod evidence;
mod file;
mod signs;

use std::{collections::HashMap, io, path::PathBuf, sync::LazyLock};

pub use evidence::{Evidence, Match};
use serde::Deserialize;
pub use signs::{Field, Share, Signs};
use thiserror::Error;

use super::{Line, Prose};
use crate::{procfs::slab::printable, text::escape};

static BUILT_IN: LazyLock<Vec<Incident>> =
    LazyLock::new(|| file::parse(include_bytes!("incidents.toml")).expect("a test reads the same text"));

/// The user's own first.
#[derive(Clone, Debug)]
pub struct Incidents(Vec<Incident>);

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "file::Table")]
pub struct Incident {
    /// Never changes; a user's incident replaces ours with the same id.
    pub id: Line,
    pub title: Prose,
    pub signs: Signs,
    /// Signs that rule it out if they differ, but may be unknown.
    pub if_known: Vec<Field>,
    /// Signs that support it, and may differ.
    pub typical: Vec<Field>,
    pub cause: Prose,
    pub now: Vec<Prose>,
    pub for_good: Vec<Prose>,
    pub verify: Vec<Prose>,
    pub references: Vec<Line>,
}

#[derive(Debug, Error)]
pub enum IncidentsError {
    #[error("{}: {source}", escape::path(path))]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: a file of incidents has at most {} bytes", escape::path(path), file::MAX_BYTES)]
    TooLong { path: PathBuf },
    #[error("{}, line {}: {}; docs/incidents.md has the format", escape::path(path), fault.line, printable(&fault.problem))]
    Faulty { path: PathBuf, fault: Fault },
}

/// What is wrong in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct Fault {
    pub line: usize,
    pub problem: String,
}

impl Incidents {
    pub fn built_in() -> Self {
        Self(BUILT_IN.clone())
    }

    /// With those of users' files. Of one id, the last file's counts.
    pub fn with_files(paths: &[PathBuf]) -> Result<Self, IncidentsError> {
        let mut known = Self::built_in();
        for path in paths {
            known.add(file::read(path)?);
        }
        Ok(known)
    }

    fn add(&mut self, incidents: Vec<Incident>) {
        self.0.retain(|known| !incidents.iter().any(|new| new.id == known.id));
        self.0.splice(0..0, incidents);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.0.iter()
    }

    /// Those that one of these caches is a sign of.
    pub fn of_caches<'a>(&'a self, names: &[&str]) -> Vec<&'a Incident> {
        self.iter().filter(|incident| incident.signs.have_cache(names)).collect()
    }

    /// Those that the evidence supports, most signs first.
    pub fn like(&self, evidence: &Evidence) -> Vec<Match<'_>> {
        let mut matches: Vec<Match<'_>> =
            self.iter().filter_map(|incident| evidence.compare(incident)).collect();
        matches.sort_by_key(|like| std::cmp::Reverse(like.matched.len()));
        matches
    }
}

/// Incidents of a file's text, whatever is in it.
pub fn parse(text: &[u8]) -> Result<Vec<Incident>, Fault> {
    file::parse(text)
}

/// The first id that occurs twice, as an index into the list.
fn repeated<'a>(ids: impl Iterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    let mut seen = HashMap::new();
    ids.enumerate().find(|&(index, id)| seen.insert(id, index).is_some())
}

#[cfg(test)]
mod tests;
