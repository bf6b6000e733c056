//! Which of a recording's allocations a report shows.

use std::collections::{HashMap, HashSet};

use glob::Pattern;

use crate::{
    stream::{
        event::{Address, Comm},
        ledger::OriginKey,
    },
    text::escape,
    view::build::{CacheInfo, Caches},
};

/// Empty lists pass everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    caches: Vec<Pattern>,
    comms: HashSet<Vec<u8>>,
    pids: HashSet<u32>,
}

#[derive(Debug, thiserror::Error)]
#[error("'{}' is not a valid glob pattern: {source}", escape::terminal(pattern.as_bytes()))]
pub struct FilterError {
    pattern: String,
    source: glob::PatternError,
}

/// Stands for all caches.
const ALL: &str = "all";

impl Filter {
    /// Names or globs of caches, command names, processes.
    pub fn new(caches: &[String], comms: &[String], pids: &[u32]) -> Result<Self, FilterError> {
        let pattern = |name: &String| {
            Pattern::new(name).map_err(|source| FilterError { pattern: name.clone(), source })
        };
        let is_all = caches.iter().any(|name| name == ALL);
        let caches =
            if is_all { Vec::new() } else { caches.iter().map(pattern).collect::<Result<_, _>>()? };
        let comms = comms.iter().map(|comm| Comm::truncated(comm.as_bytes()).as_bytes().to_vec()).collect();
        Ok(Self { caches, comms, pids: pids.iter().copied().collect() })
    }

    /// Whether it leaves anything out.
    pub fn is_on(&self) -> bool {
        !(self.caches.is_empty() && self.comms.is_empty() && self.pids.is_empty())
    }

    pub fn passes_cache(&self, info: &CacheInfo) -> bool {
        let matches = |name: &String| self.caches.iter().any(|pattern| pattern.matches(name));
        self.caches.is_empty() || matches(&info.name) || info.aliases.iter().any(matches)
    }

    /// Which of these caches pass.
    pub fn caches(&self, caches: &Caches) -> HashMap<Address, bool> {
        caches.iter().map(|(&number, info)| (number, self.passes_cache(info))).collect()
    }

    /// Whether it passes what has no known task.
    pub fn passes_unknown_tasks(&self) -> bool {
        self.comms.is_empty() && self.pids.is_empty()
    }

    pub fn passes_task(&self, origin: &OriginKey) -> bool {
        let task = origin.task;
        (self.comms.is_empty() || self.comms.contains(task.comm.as_bytes()))
            && (self.pids.is_empty() || self.pids.contains(&task.tgid))
    }
}
