//! Which of a recording's allocations a report shows, and which of a session's.

use std::collections::HashSet;

use glob::Pattern;

use super::{
    ALL, Select,
    cgroup::{CgroupPattern, NO_NAMES},
};
use crate::{
    attribution::cgroup::Cgroups,
    stream::{
        comm_pattern::{self, CommPattern},
        event::CgroupId,
        ledger::{Ledger, OriginKey},
    },
    text::escape,
};

/// Empty lists pass everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    caches: Vec<Pattern>,
    excluded_caches: Vec<Pattern>,
    comms: Vec<CommPattern>,
    excluded_comms: Vec<CommPattern>,
    pids: HashSet<u32>,
    cgroups: Vec<CgroupPattern>,
    /// Nothing passes that is of no known task.
    is_of_some_tasks: bool,
    /// As it was written.
    text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error("'{}' is not a valid glob pattern: {source}", escape::terminal(pattern.as_bytes()))]
    Glob { pattern: String, source: glob::PatternError },
    #[error("a recording does not tell {0}: --{1} is for sessions")]
    NotRecorded(&'static str, &'static str),
}

impl Filter {
    /// What can be told from events alone.
    pub fn new(select: &Select) -> Result<Self, FilterError> {
        if !select.trees.is_empty() {
            return Err(FilterError::NotRecorded("who started which process", "tree"));
        }
        if !select.users.is_empty() {
            return Err(FilterError::NotRecorded("who ran a process", "uid"));
        }
        Self::of_session(select).map(|filter| Self { cgroups: select.cgroups.clone(), ..filter })
    }

    /// For what a session on this choice lets through: users, trees and cgroups have been told apart already.
    pub fn of_session(select: &Select) -> Result<Self, FilterError> {
        let is_all = select.caches.iter().any(|name| name == ALL);
        Ok(Self {
            caches: if is_all { Vec::new() } else { patterns(&select.caches)? },
            excluded_caches: patterns(&select.excluded_caches)?,
            comms: select.comms.clone(),
            excluded_comms: select.excluded_comms.clone(),
            pids: select.pids.iter().copied().collect(),
            cgroups: Vec::new(),
            is_of_some_tasks: !select.is_of_all_tasks(),
            text: select.text(),
        })
    }

    /// Whether it leaves anything out.
    pub fn is_on(&self) -> bool {
        self.is_of_some_tasks || !(self.caches.is_empty() && self.excluded_caches.is_empty())
    }

    /// As it was written; empty where it leaves nothing out.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A cache by its names.
    pub fn passes_cache<'a>(&self, names: impl Iterator<Item = &'a String> + Clone) -> bool {
        let matches = |patterns: &[Pattern]| {
            patterns.iter().any(|pattern| names.clone().any(|name| pattern.matches(name)))
        };
        (self.caches.is_empty() || matches(&self.caches)) && !matches(&self.excluded_caches)
    }

    /// A sentence each, where nothing in the ledger is of what was asked for.
    pub fn unmatched(&self, ledger: &Ledger, cgroups: &Cgroups) -> Vec<String> {
        let has_any = |comm: &&CommPattern| ledger.origins().any(|origin| comm.matches(origin.key.task.comm));
        let unmatched: Vec<&CommPattern> = self.comms.iter().filter(|comm| !has_any(comm)).collect();
        let ids: HashSet<CgroupId> = ledger.origins().map(|origin| origin.key.cgroup).collect();
        let paths: Vec<&[u8]> = ids.into_iter().filter_map(|id| cgroups.path(id)).collect();
        let is_there = |pattern: &CgroupPattern| paths.iter().any(|path| pattern.matches(path, NO_NAMES));
        let no_cgroups = self.cgroups.iter().filter(|pattern| !is_there(pattern));
        let no_cgroups = no_cgroups
            .map(|pattern| pattern.is_nowhere("; a recording has the ids of containers, not their names"));
        comm_pattern::nothing_of(&unmatched, "").into_iter().chain(no_cgroups).collect()
    }

    /// Whether it passes what has no known task.
    pub fn passes_unknown_tasks(&self) -> bool {
        !self.is_of_some_tasks
    }

    /// By its cgroup's path. One whose path is not known does not pass where only some cgroups do.
    pub fn passes_cgroup(&self, path: Option<&[u8]>) -> bool {
        self.cgroups.is_empty()
            || path.is_some_and(|path| self.cgroups.iter().any(|pattern| pattern.matches(path, NO_NAMES)))
    }

    /// Not by its cgroup.
    pub fn passes_task(&self, origin: &OriginKey) -> bool {
        let task = origin.task;
        comm_pattern::passes(&self.comms, &self.excluded_comms, task.comm)
            && (self.pids.is_empty() || self.pids.contains(&task.tgid))
    }
}

fn patterns(names: &[String]) -> Result<Vec<Pattern>, FilterError> {
    let pattern = |name: &String| {
        Pattern::new(name).map_err(|source| FilterError::Glob { pattern: name.clone(), source })
    };
    names.iter().map(pattern).collect()
}
