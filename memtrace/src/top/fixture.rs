//! A session that is looked at, for tests.

use std::time::{Duration, UNIX_EPOCH};

use super::history::{History, Moment, Point};
use crate::{
    output::sample,
    procfs::{meminfo::Meminfo, vmstat::Vmstat},
    triage::sum::Sum,
    view::Snapshot,
};

/// A leaker grows for so many seconds.
pub fn session(moments: u64) -> History {
    let mut history = History::live();
    (1..=moments).for_each(|second| history.add(moment(second)));
    history
}

/// The same, recorded: no moment was shown so far.
pub fn recording(moments: u64) -> History {
    let point = |second: u64| Point {
        time: UNIX_EPOCH + Duration::from_secs(1_764_000_000 + second),
        elapsed: Duration::from_secs(second),
        bytes: Some(second * 1_000_000),
        is_after_gap: second == 4,
    };
    History::recorded((1..=moments).map(point).collect())
}

pub fn moment(second: u64) -> Moment {
    Moment { snapshot: snapshot(second), memory: Some(memory(second)) }
}

fn memory(second: u64) -> Sum {
    let grown = 200 * second;
    let text = format!(
        "MemTotal: 24684084 kB\nMemFree: {} kB\nBuffers: 10836 kB\nCached: 1876056 kB\nAnonPages: 224340 kB\n\
        Shmem: 8872 kB\nSReclaimable: {} kB\nSUnreclaim: 28100 kB\nKernelStack: 1668 kB\nPageTables: 3688 kB\n",
        21_250_652 - grown,
        124_920 + grown
    );
    Sum::new(&Meminfo::parse(text.as_bytes()), &Vmstat::parse(b""), 0, 4096)
}

/// With all that a snapshot can have; `curl` has so many thousand objects.
fn snapshot(second: u64) -> Snapshot {
    let mut snapshot = Snapshot {
        elapsed: Duration::from_secs(second),
        time: UNIX_EPOCH + Duration::from_secs(1_764_000_000 + second),
        directories: sample::final_dentry().directories,
        verdict: sample::verdict().verdict,
        caches: vec![
            sample::cache("dentry", 192, 1_000 * second + 660, 1_210_451),
            sample::cache("filp", 256, 42, 9_000),
        ],
        ..sample::stacks()
    };
    let curl = &mut snapshot.rows[0];
    (curl.objects, curl.bytes) = (1_000 * second, 192_000 * second);
    snapshot
}
