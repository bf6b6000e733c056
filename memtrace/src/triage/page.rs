//! The result as plain data: one page.

use std::time::{Duration, SystemTime};

use super::{
    advice::{Advice, advise},
    sample::Sample,
    shortage::Shortage,
    signs::Signs,
    sum::{Part, Sum},
    suspect::{Candidate, fills_soon, judge},
    tracing::{Claim, Tracing},
    window::{CacheRow, CgroupRow, ProcessRow, Window},
};
use crate::{
    procfs::{cgroup::Version, dentry_state::DentryState, slab::MissingSource},
    view::{Census, finding::Kind},
};

/// Of each list: the biggest, and those that grew most.
const BIGGEST: usize = 5;
const GROWN: usize = 3;

/// Of what grew with the page cache.
const MIN_FILES: f64 = 0.1;

#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub host: String,
    pub kernel: String,
    pub time: SystemTime,
    pub length: Duration,
    pub total: u64,
    pub available: u64,
    pub short: Shortage,
    /// The suspect first, if anybody is accused.
    pub candidates: Vec<Candidate>,
    pub tracing: Tracing,
    /// What the slab held at the beginning. None where that is little, or not known.
    pub census: Option<Census>,
    pub parts: Vec<PartRow>,
    /// Empty where there is only one.
    pub nodes: Vec<NodeRow>,
    pub signs: Signs,
    pub dentries: Option<DentryRow>,
    pub processes: Top<ProcessRow>,
    pub cgroups: Top<CgroupRow>,
    pub cgroup_version: Version,
    pub caches: Top<CacheRow>,
    pub advice: Advice,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRow {
    pub part: Part,
    pub bytes: i64,
    pub growth: i64,
}

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub number: u32,
    pub total: u64,
    pub free: u64,
    pub processes: u64,
    pub files: u64,
    pub shared: u64,
    pub slab: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DentryRow {
    pub now: DentryState,
    pub growth: i64,
    pub negative_growth: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top<T> {
    pub rows: Vec<T>,
    /// Of how many.
    pub of: usize,
    /// Beside them, those that were not read.
    pub left_out: usize,
}

impl<T> Top<T> {
    /// The biggest, and those of the others that grew most.
    fn new(mut all: Vec<T>, left_out: usize, size: impl Fn(&T) -> u64, growth: impl Fn(&T) -> i64) -> Self {
        let of = all.len();
        all.sort_by_key(|row| std::cmp::Reverse((size(row), growth(row))));
        let mut grown: Vec<T> = all.drain(BIGGEST.min(of)..).filter(|row| growth(row) > 0).collect();
        grown.sort_by_key(|row| std::cmp::Reverse(growth(row)));
        all.extend(grown.into_iter().take(GROWN));
        Self { rows: all, of, left_out }
    }
}

/// What is known besides the window.
#[derive(Clone, Debug)]
pub struct About {
    pub host: String,
    pub kernel: String,
    pub time: SystemTime,
}

impl Page {
    /// Who is accused, if anybody is.
    pub fn suspect(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|candidate| candidate.charge.is_some())
    }

    /// Who leaks too slowly for anybody to be woken: the fastest of them.
    pub fn slow_leak(&self) -> Option<Claim> {
        let is_slow =
            |claim: &Claim| claim.kind == Kind::Leak && !fills_soon(self.available, claim.bytes_per_s);
        let claims = self.tracing.claims().unwrap_or_default().into_iter().filter(is_slow);
        claims.max_by(|a, b| a.bytes_per_s.total_cmp(&b.bytes_per_s))
    }

    /// The parts of memory that are largest, so many at most.
    pub fn largest_parts(&self, most: usize) -> Vec<&PartRow> {
        let mut parts: Vec<_> = self.parts.iter().filter(|row| row.bytes > 0).collect();
        parts.sort_by_key(|row| std::cmp::Reverse(row.bytes));
        parts.truncate(most);
        parts
    }

    /// Whether files themselves have a share worth a word in what grew with the page cache.
    pub fn has_files(&self, candidate: &Candidate) -> bool {
        let files = self.parts.iter().find(|row| row.part == Part::PageCache).map_or(0, |row| row.growth);
        candidate.caches.is_empty() || files as f64 >= candidate.growth as f64 * MIN_FILES
    }

    /// How long what is available lasts if this goes on. None where it does not grow, or gives way.
    pub fn lasts(&self, candidate: &Candidate) -> Option<Duration> {
        let claimed: f64 = candidate.claims.iter().map(|claim| claim.bytes_per_s).sum();
        let seen = if candidate.grows && candidate.goes_on {
            candidate.growth as f64 / self.length.as_secs_f64()
        } else {
            0.0
        };
        Duration::try_from_secs_f64(self.available as f64 / seen.max(claimed)).ok()
    }

    pub fn new(
        about: About,
        window: &Window,
        tracing: Tracing,
        already: Option<Result<Census, String>>,
    ) -> Self {
        let (census, no_census) = match already.transpose() {
            Ok(census) => (census, None),
            Err(why) => (None, Some(format!("whose the slab is that is there already: {why}"))),
        };
        let (short, candidates) = judge(window, &tracing);
        let after = &window.after;
        let processes =
            Top::new(window.processes(), after.processes.left_out, |row| row.resident, |row| row.growth);
        let cgroups = Top::new(window.cgroups(), after.cgroups.left_out, |row| row.memory, |row| row.growth);
        Self {
            host: about.host,
            kernel: about.kernel,
            time: about.time,
            length: window.length(),
            total: window.sum().total,
            available: after.glance.meminfo.available(),
            advice: advise(candidates.iter().find(|candidate| candidate.charge.is_some())),
            short,
            candidates,
            tracing,
            census,
            parts: parts(window),
            nodes: nodes(after),
            signs: Signs::of(window),
            dentries: dentries(window),
            processes,
            cgroups,
            cgroup_version: after.cgroups.version,
            caches: Top::new(window.caches(), 0, |row| row.bytes, |row| row.growth),
            notes: notes(after).into_iter().chain(no_census).collect(),
        }
    }
}

fn parts(window: &Window) -> Vec<PartRow> {
    let sum: &Sum = window.sum();
    Part::ALL.map(|part| PartRow { part, bytes: sum.get(part), growth: window.growth(part) }).to_vec()
}

fn nodes(sample: &Sample) -> Vec<NodeRow> {
    let node = |node: &crate::procfs::Node| {
        let of = |key| node.meminfo.get_or_zero(key);
        NodeRow {
            number: node.number,
            total: node.meminfo.total(),
            free: of("MemFree"),
            processes: of("AnonPages"),
            files: of("FilePages").saturating_sub(of("Shmem")),
            shared: of("Shmem"),
            slab: of("Slab"),
        }
    };
    sample.nodes.iter().map(node).collect()
}

fn dentries(window: &Window) -> Option<DentryRow> {
    let (was, now) = window.before.glance.dentries.zip(window.after.glance.dentries)?;
    Some(DentryRow {
        now,
        growth: super::window::difference(was.all, now.all),
        negative_growth: super::window::difference(was.negative, now.negative),
    })
}

fn notes(sample: &Sample) -> Vec<String> {
    let mut notes = Vec::new();
    match &sample.caches {
        Err(why) => notes.push(why.clone()),
        Ok(caches) => notes.extend(caches.missing.as_ref().map(MissingSource::to_string)),
    }
    if sample.cgroups.version == Version::None {
        notes.push("no cgroup hierarchy with the memory controller is mounted".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_biggest_and_the_fastest_are_there(rows in prop::collection::vec((0_u64..100, -50_i64..50), 0..40)) {
            let top = Top::new(rows.clone(), 0, |row| row.0, |row| row.1);
            prop_assert!(top.rows.len() <= BIGGEST + GROWN && top.of == rows.len());
            let biggest = rows.iter().map(|row| row.0).max();
            prop_assert_eq!(top.rows.first().map(|row| row.0), biggest);
            if let Some(fastest) = rows.iter().map(|row| row.1).max().filter(|fastest| *fastest > 0) {
                prop_assert_eq!(top.rows.iter().map(|row| row.1).max(), Some(fastest));
            }
        }
    }
}
