//! What the probes cannot decide: they know whole names and the ids of cgroups, and a user writes globs and paths.
//!
//! Globs of names are decided here for each event. A cgroup is decided on once, when it allocates for the first time, and the probes
//! are told: see [`memtrace_common::cgroup`].

use std::collections::HashMap;

use crate::{
    attribution::cgroup::{Cgroups, Hierarchy, container_names},
    kernel::live_filters::LiveFilters,
    select::{Select, cgroup::CgroupPattern},
    stream::{
        comm_pattern::{self, CommPattern},
        event::{Alloc, CgroupId},
    },
};

/// Most cgroups that are remembered here. Beyond, all that were decided on are decided on again.
const MAX_DECISIONS: usize = 1 << 17;

pub struct Sift {
    /// Names, where some are globs.
    comms: Vec<CommPattern>,
    excluded_comms: Vec<CommPattern>,
    /// None where cgroups do not matter.
    cgroups: Option<CgroupSift>,
}

struct CgroupSift {
    patterns: Vec<CgroupPattern>,
    /// Which of the patterns mean a cgroup that there is or was.
    matched: Vec<bool>,
    probes: LiveFilters,
    decisions: HashMap<CgroupId, bool>,
    /// The last cgroup that was asked for: most allocations are of the same one as the one before.
    last: Option<(CgroupId, bool)>,
    /// Cgroups that were gone before anybody read their paths.
    unknown: u64,
}

impl Sift {
    /// Decides on all cgroups that there are.
    pub fn new(select: &Select, hierarchy: Option<&Hierarchy>, probes: Option<LiveFilters>) -> Self {
        let is_glob = |comm: &CommPattern| comm.name().is_none();
        let is_glob_among = |comms: &[CommPattern]| comms.iter().any(is_glob);
        let cgroups = probes.filter(|_| !select.cgroups.is_empty());
        Self {
            comms: if is_glob_among(&select.comms) { select.comms.clone() } else { Vec::new() },
            excluded_comms: select.excluded_comms.iter().filter(|comm| is_glob(comm)).cloned().collect(),
            cgroups: cgroups.map(|probes| CgroupSift::new(select.cgroups.clone(), hierarchy, probes)),
        }
    }

    /// Only then the probes send what was not asked for.
    pub fn is_on(&self) -> bool {
        !(self.comms.is_empty() && self.excluded_comms.is_empty()) || self.cgroups.is_some()
    }

    pub fn passes(&mut self, alloc: &Alloc, names: &mut Cgroups) -> bool {
        comm_pattern::passes(&self.comms, &self.excluded_comms, alloc.task.comm)
            && self.cgroups.as_mut().is_none_or(|cgroups| cgroups.passes(alloc.cgroup, names))
    }

    /// A sentence each: of cgroups that were asked for and are not there, and of those that were gone too soon.
    pub fn notes(&self, is_final: bool) -> Vec<String> {
        self.cgroups.as_ref().map(|cgroups| cgroups.notes(is_final)).unwrap_or_default()
    }
}

impl CgroupSift {
    fn new(patterns: Vec<CgroupPattern>, hierarchy: Option<&Hierarchy>, probes: LiveFilters) -> Self {
        let mut sift = Self {
            matched: vec![false; patterns.len()],
            patterns,
            probes,
            decisions: HashMap::new(),
            last: None,
            unknown: 0,
        };
        let all = hierarchy.map(Hierarchy::all).unwrap_or_default();
        all.into_iter().for_each(|(id, path)| {
            sift.decide(id, Some(&path));
        });
        sift
    }

    fn passes(&mut self, id: CgroupId, names: &mut Cgroups) -> bool {
        match self.last {
            Some((last, decision)) if last == id => decision,
            _ => {
                let known = self.decisions.get(&id).copied();
                let decision = known.unwrap_or_else(|| {
                    names.learn(id);
                    self.decide(id, names.path(id))
                });
                self.last = Some((id, decision));
                decision
            }
        }
    }

    fn decide(&mut self, id: CgroupId, path: Option<&[u8]>) -> bool {
        // A child of one that is traced may be gone by now: the probes knew it when it came.
        let is_traced = match path {
            Some(path) => self.matches(path),
            None => self.probes.is_traced_cgroup(id),
        };
        self.unknown += u64::from(path.is_none() && !is_traced);
        if self.decisions.len() >= MAX_DECISIONS {
            self.decisions.clear();
        }
        self.decisions.insert(id, is_traced);
        self.probes.decide_cgroup(id, is_traced);
        is_traced
    }

    fn matches(&mut self, path: &[u8]) -> bool {
        let mut is_any = false;
        for (pattern, matched) in self.patterns.iter().zip(&mut self.matched) {
            let is_it = pattern.matches(path, &container_names);
            *matched |= is_it;
            is_any |= is_it;
        }
        is_any
    }

    fn notes(&self, is_final: bool) -> Vec<String> {
        let unmatched = self.patterns.iter().zip(&self.matched).filter(|(_, matched)| !**matched);
        let mut notes: Vec<String> = unmatched.map(|(pattern, _)| awaited(pattern, is_final)).collect();
        if self.unknown > 0 {
            notes.push(format!(
                "{} cgroups were removed before memtrace could read their paths: what they allocated is left out",
                self.unknown
            ));
        }
        notes
    }
}

/// It may come.
fn awaited(pattern: &CgroupPattern, is_final: bool) -> String {
    pattern.is_nowhere("") + if is_final { "" } else { " yet: memtrace waits for one" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_awaited() {
        let pattern = CgroupPattern::unit("cr\u{1b}on").unwrap();
        insta::assert_snapshot!([false, true].map(|is_final| awaited(&pattern, is_final)).join("\n"), @r"
        no cgroup matches --unit cr\x1bon yet: memtrace waits for one
        no cgroup matches --unit cr\x1bon
        ");
    }
}
