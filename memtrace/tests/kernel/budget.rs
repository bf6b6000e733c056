//! What memtrace takes of the host is known, and bounded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    Test,
    host::{self, directory_on_disk},
    program::{NameStyle, Task},
    session::Session,
    snapshot::{Row, Snapshot},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, EachKernel: its_own_cost_is_in_every_report, a_sample_stands_for_all];
    tests.extend(tests![Tracing, OneKernel: over_its_cpu_budget_a_session_samples_then_detaches]);
    tests.extend(tests![Tracing, Once: a_cgroup_s_limit_bounds_the_budget]);
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

/// A cgroup of our own whose memory is limited, until it is dropped.
struct Limited(PathBuf);

impl Limited {
    /// None where cgroups do not limit memory here.
    fn new(bytes: u64) -> Option<Self> {
        let (root, file) = [("memory", "memory.limit_in_bytes"), ("", "memory.max")]
            .map(|(hierarchy, file)| (Path::new("/sys/fs/cgroup").join(hierarchy), file))
            .into_iter()
            .find(|(root, file)| *file == "memory.max" || root.join(file).exists())?;
        let own = root.join(unique("limit"));
        fs::create_dir(&own).ok()?;
        let limited = Self(own);
        fs::write(limited.0.join(file), bytes.to_string()).ok()?;
        Some(limited)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        let mut command = Command::new("sh");
        command.args(["-c", &enter, "sh"]).arg(host::memtrace());
        command.args(arguments).args(["-c", "filp", "-d", "100ms", "-o", "json"]);
        command.output().expect("there is a shell")
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn a_cgroup_s_limit_bounds_the_budget() {
    let Some(limited) = Limited::new(80 << 20) else {
        eprintln!("skipped: no cgroup limits memory here");
        return;
    };
    let output = limited.run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    let last = String::from_utf8_lossy(&output.stdout).lines().last().map(Snapshot::parse).expect(&said);
    assert_eq!(last.own_cost.max_memory_bytes, Some(40 << 20));
    // What is asked for is tried, and the error says what to ask for.
    let output = limited.run(&["--max-memory", "4G"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ring buffer") && said.contains("--max-memory"), "{said}");
    drop(limited);
    let output = Limited::new(16 << 20).expect("it was possible before").run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("its cgroup allows 16.0 MiB"), "{said}");
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
