//! What memtrace takes of the host is known, and bounded.

use crate::{
    Test,
    host::directory_on_disk,
    program::{NameStyle, Task},
    session::Session,
    snapshot::{Row, Snapshot},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, EachKernel: its_own_cost_is_in_every_report, a_sample_stands_for_all];
    tests.extend(tests![Tracing, OneKernel: over_its_cpu_budget_a_session_samples_then_detaches]);
    tests.extend(tests![Disk, Once: a_ledger_that_fills_samples_and_refuses_nothing]);
    tests
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
    assert!(last.max_memory_bytes.is_some_and(|bytes| bytes >= 64 << 20), "{last:?}");
    assert_eq!(last.max_cpu_share, None);
    // Rings, and little else.
    assert!(last.kernel_bytes.is_some_and(|bytes| (RING..2 * RING).contains(&bytes)), "{last:?}");
    churn.end();
}

/// An estimate from one object in `period` is off by more than this once in 500 million times: six standard deviations.
fn greatest_error(objects: u64, period: u32) -> u64 {
    let deviation = (objects as f64 * f64::from(period - 1)).sqrt();
    (6.0 * deviation).ceil() as u64
}

#[track_caller]
fn stands_for(row: &Row, objects: u64, period: u32) {
    assert_eq!(row.objects % u64::from(period), 0, "{row:?}");
    assert!(row.objects.abs_diff(objects) <= greatest_error(objects, period), "{row:?}");
    let [low, high] = row.objects_ci95.expect("estimates have an interval");
    assert!((low..=high).contains(&row.objects) && low < high, "{row:?}");
}

/// The same program, with and without sampling.
fn a_sample_stands_for_all() {
    const FILES: u64 = 3500;
    const PERIOD: u32 = 8;
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    let arguments = ["--cache", "filp", "--comm", &comm];
    let mut full = Session::start(&arguments);
    let sampled = Session::start(&[&arguments[..], &["--sample", &PERIOD.to_string()]].concat());
    files.go();
    let row = full.until_objects(&comm, FILES).row(&comm);
    assert_eq!(row.objects_ci95, None);
    let held = sampled.interrupt();
    assert_eq!((held.sampling.period, full.last.sampling.period), (PERIOD, 1));
    let row = held.row(&comm);
    stands_for(&row, FILES, PERIOD);
    assert_eq!((row.allocs, row.frees), (row.objects, 0));
    // Pairs stay pairs.
    let mut sampled = Session::start(&[&arguments[..], &["--sample", &PERIOD.to_string()]].concat());
    files.release();
    full.until_objects(&comm, 0);
    let mut again = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    again.go();
    sampled.until("some of the files", |report| report.objects(&comm) > 0);
    again.release();
    sampled.until_objects(&comm, 0);
    let row = sampled.interrupt().row(&comm);
    assert_eq!(row.allocs, row.frees);
    assert!(row.allocs.abs_diff(FILES) <= greatest_error(FILES, PERIOD), "{row:?}");
}

/// Less than memtrace takes when it has nothing to do: no sampling helps.
fn over_its_cpu_budget_a_session_samples_then_detaches() {
    let churn = churning();
    let (last, _) = Session::start(&["--cache", "filp", "--max-cpu", "0.01"]).ended();
    assert_eq!(last.own_cost.max_cpu_share, Some(0.0001));
    assert_eq!(last.sampling.period, 1024);
    assert!(has_note(&last, "stopped tracing", "--max-cpu 0.01%"), "{:?}", last.notes);
    churn.end();
}

fn a_ledger_that_fills_samples_and_refuses_nothing() {
    // More than the least budget has room for.
    const DENTRIES: u64 = 400_000;
    let comm = unique("names");
    let disk = directory_on_disk();
    let within = disk.path().to_owned();
    let task = Task::NegativeDentries { within, count: DENTRIES as usize, names: NameStyle::DoesNotExist };
    let mut names = Workload::start(&comm, &task);
    let session = Session::start(&["--cache", "dentry", "--comm", &comm, "--max-memory", "32M"]);
    names.go();
    let last = session.interrupt();
    assert_eq!(last.trust.refused, 0);
    assert_eq!(last.own_cost.max_memory_bytes, Some(32 << 20));
    assert!(last.sampling.period > 1, "{:?}", last.sampling);
    stands_for(&last.row(&comm), DENTRIES, last.sampling.period);
    assert!(has_note(&last, "sampling 1 in", "the memory budget of 32.0 MiB"), "{:?}", last.notes);
    names.end();
}

fn has_note(report: &Snapshot, begins: &str, contains: &str) -> bool {
    report.notes.iter().any(|note| note.starts_with(begins) && note.contains(contains))
}
