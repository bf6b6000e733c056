//! The wreck of an incident: a flood of names that do not exist, whose processes have ended and whose cgroup was removed. Nobody traced
//! it. What is left tells where it was, whose, and when.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use memtrace::procfs::Files;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::{
    Test,
    cgroup::Cgroup,
    host::{self, directory_on_disk},
    program::{NameStyle, Task},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    tests![Disk, EachKernel: the_wreck_of_an_incident_tells_what_it_was]
}

/// Processes that asked for names, one after another.
const PROCESSES: usize = 30;
/// Names of a wreck, at most.
const MOST_NAMES: usize = 150_000;
/// NSS's numbers are the milliseconds since the host's start, and up to so many more.
const AHEAD: Duration = Duration::from_secs(10);

fn the_wreck_of_an_incident_tells_what_it_was() {
    let disk = directory_on_disk();
    let uptime = uptime().as_millis() as usize;
    let names = uptime.min(MOST_NAMES) / PROCESSES * PROCESSES;
    let slice = Cgroup::charged(&unique("slice"));
    flood(disk.path(), &slice.child("pod"), names);
    let directory = disk.path().join("db");

    // The kernel takes some time to hand the charges on.
    let is_orphaned = |census: &Value| row_of(census, &directory)["removed_cgroups"] == 1;
    let census = (0..100).map(|_| census()).find(is_orphaned).expect("a removed cgroup has no charges");
    let row = row_of(&census, &directory);
    let text = |field: &str| row[field].as_str().unwrap_or_else(|| panic!("{field}: {row:#}"));
    assert_eq!((text("pattern"), text("cache")), (".<n>_dOeSnotExist_.db", "dentry"));
    assert_eq!(text("cgroup"), slice.name(), "{row:#}");
    assert_eq!(row["negative_share"], 1.0, "{row:#}");
    assert!(row["asked_once_share"].as_f64().is_some_and(|share| share > 0.95), "{row:#}");
    assert!(text("key").contains("1 removed child of"), "{row:#}");
    let (_, objects) = host::slabinfo().into_iter().find(|(name, _)| name == "dentry").expect("it is there");
    is_near(row, names as f64 / objects as f64);
    is_dated(row, names);

    // What nobody asked about is told where there is much of it.
    let filler = fill_slab(disk.path());
    let page = triage();
    let row = row_of(&page["census"], &directory);
    assert_eq!((&row["cgroup"], &row["pattern"]), (&slice.name().into(), &".<n>_dOeSnotExist_.db".into()));
    is_dated(row, names);
    filler.into_iter().for_each(Workload::end);
}

/// Ends with its processes gone, and their cgroup removed.
fn flood(within: &Path, cgroup: &Cgroup, names: usize) {
    let lookups = names / PROCESSES;
    let task = Task::ShortLived {
        comm: "curl".to_owned(),
        within: within.to_owned(),
        processes: PROCESSES,
        lookups,
    };
    let mut script = Workload::start(unique("probe"), &task);
    cgroup.add(script.pid());
    script.go();
    // It must not remove the directory, with which the names would go.
    script.kill();
    cgroup.remove();
}

/// Triage takes a census where slab is more than 2 % of memory or 256 MiB.
fn fill_slab(within: &Path) -> Option<Workload> {
    let meminfo = Files::live().meminfo().expect("/proc is mounted");
    let slab = meminfo.slab_memory().expect("the kernel says so").slab;
    // Some more: the kernel may take some back.
    let wanted = (meminfo.total() / 50).min(256 << 20) * 5 / 4;
    let count = wanted.saturating_sub(slab) as usize / 192;
    if count == 0 {
        return None;
    }
    let within = within.join("filler");
    std::fs::create_dir(&within).expect("the test's directory is ours");
    let task = Task::NegativeDentries { within, count, names: NameStyle::Uuid };
    let mut filler = Workload::start(unique("fills"), &task);
    filler.go();
    Some(filler)
}

fn census() -> Value {
    said(&["census", "-c", "dentry", "--error", "5%", "-o", "json"])
}

fn triage() -> Value {
    said(&["triage", "-d", "2s", "-o", "json"])
}

/// What a command prints, whatever it thinks of the host.
fn said(arguments: &[&str]) -> Value {
    let output = Command::new(host::memtrace()).args(arguments).output().expect("memtrace starts");
    let why = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {why}"))
}

fn row_of<'a>(census: &'a Value, directory: &Path) -> &'a Value {
    let rows = census["rows"].as_array().unwrap_or_else(|| panic!("{census:#}"));
    let is_it =
        |row: &&Value| row["path"].as_str().map(str::as_bytes) == Some(directory.as_os_str().as_bytes());
    rows.iter().find(is_it).unwrap_or_else(|| panic!("{census:#}"))
}

/// By 95 % intervals alone one run in twenty would fail.
fn is_near(row: &Value, share: f64) {
    let [low, high] = [0, 1].map(|end| row["share_ci95"][end].as_f64().expect("a share"));
    let room = high - low;
    assert!(low - room < share && share < high + room, "{share} is far from {low} to {high}");
}

/// The numbers are 0 to `names`. Some of the smallest and of the greatest were not seen.
fn is_dated(row: &Value, names: usize) {
    let boot = SystemTime::now() - uptime();
    let since_boot = |field: &str| {
        let time = row[field].as_str().and_then(|time| humantime::parse_rfc3339(time).ok());
        let time = time.unwrap_or_else(|| panic!("{field}: {row:#}"));
        // What is from the very beginning may come out a little before it.
        time.duration_since(boot).unwrap_or_default()
    };
    let end = Duration::from_millis(names as u64);
    let some = end / 5;
    let (after, before) = (since_boot("made_after"), since_boot("made_before"));
    assert!(after <= some && before >= end - some && before <= end + AHEAD, "{after:?} to {before:?}");
}

fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
