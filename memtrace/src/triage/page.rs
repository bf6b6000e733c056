//! The result as plain data: one page.

use std::time::{Duration, SystemTime};

use super::{
    advice::{Advice, advise},
    sample::Sample,
    sum::{Part, Sum},
    suspect::{Finding, judge},
    tracing::Tracing,
    window::{CacheRow, CgroupRow, ProcessRow, Window},
};
use crate::procfs::{cgroup::Version, dentry_state::DentryState, slab::MissingSource};

/// Of each list: the biggest, and those that grew most.
const BIGGEST: usize = 5;
const GROWN: usize = 3;

/// Blocks of 64 KiB and more, with pages of 4 KiB: what the network and others ask for in one piece is 32 KiB.
const LARGE_BLOCK: usize = 4;

#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub host: String,
    pub kernel: String,
    pub time: SystemTime,
    pub length: Duration,
    pub total: u64,
    pub available: u64,
    /// The suspect first.
    pub findings: Vec<Finding>,
    pub tracing: Tracing,
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

/// Signs in the window that memory is short.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signs {
    /// Share of the time that some task, or all, waited for memory; None where the kernel does not say.
    pub stalled: Option<f64>,
    pub all_stalled: Option<f64>,
    /// Times that a task had to reclaim memory itself (direct reclaim).
    pub direct_reclaims: u64,
    /// Pages reclaimed.
    pub reclaimed_pages: u64,
    /// Pages evicted and read again.
    pub refaults: u64,
    pub swapped_in_pages: u64,
    pub swapped_out_pages: u64,
    pub oom_kills: u64,
    /// Since the boot.
    pub oom_kills_ever: u64,
    /// Share of free memory in blocks of 64 KiB or more.
    pub large_blocks: Option<f64>,
    /// Times that pages were moved to make larger blocks.
    pub compactions: u64,
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
    pub fn new(about: About, window: &Window, tracing: Tracing) -> Self {
        let findings = judge(window);
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
            advice: advise(findings.first()),
            findings,
            tracing,
            parts: parts(window),
            nodes: nodes(after),
            signs: signs(window),
            dentries: dentries(window),
            processes,
            cgroups,
            cgroup_version: after.cgroups.version,
            caches: Top::new(window.caches(), 0, |row| row.bytes, |row| row.growth),
            notes: notes(after),
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

fn signs(window: &Window) -> Signs {
    let events = |prefix: &str| window.events(|sample| sample.vmstat.sum(prefix));
    let event = |key: &str| window.events(|sample| sample.vmstat.get(key));
    let pressure = window.before.pressure.zip(window.after.pressure);
    let share = |was: Duration, is: Duration| {
        is.saturating_sub(was).as_secs_f64() / window.length().as_secs_f64().max(f64::MIN_POSITIVE)
    };
    Signs {
        stalled: pressure.map(|(was, is)| share(was.some.total, is.some.total)),
        all_stalled: pressure.map(|(was, is)| share(was.full.total, is.full.total)),
        direct_reclaims: events("allocstall"),
        // Since v5.8 these two count all reclaimed pages; before, they do not exist.
        reclaimed_pages: event("pgsteal_anon").saturating_add(event("pgsteal_file")),
        refaults: events("workingset_refault"),
        swapped_in_pages: event("pswpin"),
        swapped_out_pages: event("pswpout"),
        oom_kills: event("oom_kill"),
        oom_kills_ever: window.after.vmstat.get("oom_kill"),
        large_blocks: window.after.free_blocks.as_ref().and_then(|blocks| blocks.share_of(LARGE_BLOCK)),
        compactions: event("compact_stall"),
    }
}

fn dentries(window: &Window) -> Option<DentryRow> {
    let (was, now) = window.before.dentries.zip(window.after.dentries)?;
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
