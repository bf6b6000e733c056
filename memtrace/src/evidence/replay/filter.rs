//! Which of a recording's allocations a report shows.

use std::collections::{HashMap, HashSet};

use glob::Pattern;

use crate::{
    stream::{
        comm_pattern::{self, CommPattern},
        event::Address,
        ledger::{Ledger, OriginKey},
    },
    text::escape,
    view::lookups::{CacheInfo, Caches},
};

/// Empty lists pass everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    caches: Vec<Pattern>,
    comms: Vec<CommPattern>,
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
    /// Names or globs of caches and of processes, and process ids.
    pub fn new(caches: &[String], comms: &[CommPattern], pids: &[u32]) -> Result<Self, FilterError> {
        let pattern = |name: &String| {
            Pattern::new(name).map_err(|source| FilterError { pattern: name.clone(), source })
        };
        let is_all = caches.iter().any(|name| name == ALL);
        let caches =
            if is_all { Vec::new() } else { caches.iter().map(pattern).collect::<Result<_, _>>()? };
        Ok(Self { caches, comms: comms.to_vec(), pids: pids.iter().copied().collect() })
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

    /// A sentence, where nothing in the ledger is of a name that was asked for.
    pub fn unmatched(&self, ledger: &Ledger) -> Option<String> {
        let has_any = |comm: &&CommPattern| ledger.origins().any(|origin| comm.matches(origin.key.task.comm));
        let unmatched: Vec<&CommPattern> = self.comms.iter().filter(|comm| !has_any(comm)).collect();
        comm_pattern::nothing_of(&unmatched, "")
    }

    /// Whether it passes what has no known task.
    pub fn passes_unknown_tasks(&self) -> bool {
        self.comms.is_empty() && self.pids.is_empty()
    }

    pub fn passes_task(&self, origin: &OriginKey) -> bool {
        let task = origin.task;
        comm_pattern::passes(&self.comms, task.comm)
            && (self.pids.is_empty() || self.pids.contains(&task.tgid))
    }
}
