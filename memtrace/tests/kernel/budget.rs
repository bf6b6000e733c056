//! What memtrace takes of the host is known, and bounded.

use crate::{
    Test,
    program::Task,
    session::Session,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    tests![Tracing:
        its_own_cost_is_in_every_report,
    ]
}

/// A program that keeps the probes busy.
fn churning() -> Workload {
    let mut churn = Workload::start(unique("churn"), &Task::Churn);
    churn.go();
    churn
}

fn its_own_cost_is_in_every_report() {
    const RING: u64 = 8 << 20;
    let churn = churning();
    let mut session = Session::start(&["--cache", "filp", "--ring-bytes", &RING.to_string()]);
    session.until("what a probe takes", |report| report.own_cost.probe_ns_per_event.is_some());
    let last = session.interrupt().own_cost;
    assert!(last.probe_ns_per_event.is_some_and(|ns| ns > 0.0), "{last:?}");
    assert!(last.cpu_share.is_some_and(|share| share > 0.0), "{last:?}");
    // The binary itself has some megabytes.
    assert!(last.rss_bytes.is_some_and(|bytes| bytes > 1 << 20), "{last:?}");
    // Rings, and little else.
    assert!(last.kernel_bytes.is_some_and(|bytes| (RING..2 * RING).contains(&bytes)), "{last:?}");
    churn.end();
}
