//! Recordings of the running kernel: what they say afterwards is what the session said, also where they end before it does.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    Test, host,
    modules::Mounted,
    program::Task,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    tests![Tracing, Once:
        a_recording_has_exact_counts,
        live_and_recorded_reports_are_the_same_bytes,
        killed_at_any_time_it_reads_to_there,
        a_full_disk_costs_what_did_not_fit,
        a_recording_is_as_long_as_it_may_be,
        a_signal_marks_a_moment,
        a_ring_is_read_like_any_other,
        a_recording_is_followed_to_its_end,
        it_ends_when_what_it_waits_for_holds,
        a_ring_is_kept_each_time_that_it_holds,
        what_nobody_can_wait_for_is_refused,
    ]
}

const FILES: usize = 300;

/// Starts a recording of files under this command name; returns when its probes are attached.
fn record(path: &Path, comm: &str, arguments: &[&str]) -> Child {
    let recorder = Command::new(host::memtrace())
        .args(["record", "--cache", "filp", "--comm", comm, "--interval", "200ms", "--output"])
        .arg(path)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    grown(path, 0);
    recorder
}

/// Waits until the file is longer; returns how long.
fn grown(path: &Path, than: u64) -> u64 {
    loop {
        let len = fs::metadata(path).map_or(0, |file| file.len());
        if len > than {
            return len;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn interrupt(recorder: &Child) {
    kill_process(Pid::from_child(recorder), Signal::INT).expect("it still runs");
}

#[track_caller]
fn ended(recorder: Child) -> Output {
    let output = recorder.wait_with_output().expect("it is our child");
    assert!(output.status.success(), "{}", errors(&output));
    output
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(path: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(host::memtrace());
    command.arg("report").arg(path).args(["--output", "json"]).args(arguments);
    command.output().expect("memtrace starts")
}

#[track_caller]
fn read(path: &Path, arguments: &[&str]) -> Value {
    let output = report(path, arguments);
    assert!(output.status.success(), "{}", errors(&output));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn figure(report: &Value, comm: &str, figure: &str) -> u64 {
    let rows = report["rows"].as_array().into_iter().flatten();
    rows.filter(|row| row["comm"] == comm).filter_map(|row| row[figure].as_u64()).sum()
}

fn notes(report: &Value) -> String {
    report["notes"].to_string()
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("a.mt");
    (directory, path)
}

fn a_recording_has_exact_counts() {
    let (_directory, path) = file();
    let (stays, goes) = (unique("stays"), unique("goes"));
    let mut held = Workload::start(&stays, &Task::OpenFiles(FILES));
    let mut freed = Workload::start(&goes, &Task::OpenFiles(FILES));
    let recorder = record(&path, &stays, &["--comm", &goes]);
    held.go();
    freed.go();
    freed.release();
    interrupt(&recorder);
    ended(recorder);
    let report = read(&path, &[]);
    assert_eq!(figure(&report, &stays, "objects"), FILES as u64, "{report}");
    assert_eq!(
        (figure(&report, &goes, "allocs"), figure(&report, &goes, "objects")),
        (FILES as u64, 0),
        "{report}"
    );
    let only = read(&path, &["--comm", &stays]);
    assert_eq!(figure(&only, &goes, "allocs"), 0, "{only}");
}

fn live_and_recorded_reports_are_the_same_bytes() {
    for arguments in [
        &["--by", "comm"][..],
        &["--by", "pid"],
        &["--by", "ancestors,cgroup"],
        &["--by", "comm", "--stacks", "both"],
    ] {
        let (_directory, path) = file();
        let comm = unique("bytes");
        let mut workload = Workload::start(&comm, &Task::OpenFiles(FILES));
        // Nobody else is left out: what is seen besides is compared too.
        let recorder = Command::new(host::memtrace())
            .args(["record", "--cache", "filp", "--cache", "dentry", "--report", "json", "--output"])
            .arg(&path)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("memtrace starts");
        grown(&path, 0);
        workload.go();
        interrupt(&recorder);
        let live = ended(recorder).stdout;
        // How stacks are told is the session's.
        let recorded = report(&path, &arguments[..2]);
        let [live, recorded] =
            [&live, &recorded.stdout].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(live.contains(&comm), "{live}");
        assert_eq!(live, recorded, "{arguments:?}");
    }
}

fn killed_at_any_time_it_reads_to_there() {
    for pause in [0, 70, 310] {
        let (_directory, path) = file();
        let comm = unique("kill");
        let mut workload = Workload::start(&comm, &Task::OpenFiles(FILES));
        let mut recorder = record(&path, &comm, &[]);
        workload.go();
        // A block that began behind the last file is whole when two have been written.
        let once = grown(&path, fs::metadata(&path).expect("it is there").len());
        grown(&path, once);
        std::thread::sleep(Duration::from_millis(pause));
        recorder.kill().expect("it still runs");
        recorder.wait().expect("it is our child");
        let report = read(&path, &[]);
        assert_eq!(figure(&report, &comm, "objects"), FILES as u64, "{report}");
        assert!(notes(&report).contains("not closed cleanly"), "{}", notes(&report));
        assert_eq!(report["trust"]["lost_frees"], 0, "{report}");
    }
}

fn a_full_disk_costs_what_did_not_fit() {
    let small = Mounted::new(c"tmpfs", "size=512k");
    let path = small.path().join("a.mt");
    let comm = unique("full");
    let mut workload = Workload::start(&comm, &Task::Churn);
    let recorder = record(&path, &comm, &[]);
    workload.begin();
    let output = recorder.wait_with_output().expect("it is our child");
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device") && said.contains("memtrace report reads it"), "{said}");
    drop(workload);
    let report = read(&path, &[]);
    assert!(figure(&report, &comm, "allocs") > 0, "{report}");
    assert!(notes(&report).contains("not closed cleanly"), "{}", notes(&report));
}

fn a_recording_is_as_long_as_it_may_be() {
    const MAX: u64 = 1 << 20;
    let (_directory, path) = file();
    let comm = unique("long");
    let mut workload = Workload::start(&comm, &Task::Churn);
    let recorder = record(&path, &comm, &["--max-size", "1M"]);
    workload.begin();
    let said = errors(&ended(recorder));
    drop(workload);
    let len = fs::metadata(&path).expect("it is there").len();
    // By a block at most, and the rest of the rings.
    assert!((MAX..64 * MAX).contains(&len), "{len}: {said}");
    let report = read(&path, &[]);
    assert!(notes(&report).contains("--max-size"), "{}", notes(&report));
    assert!(figure(&report, &comm, "allocs") > 0, "{report}");
}

fn a_signal_marks_a_moment() {
    let (_directory, path) = file();
    let comm = unique("mark");
    let [mut before, mut after] = [(); 2].map(|()| Workload::start(&comm, &Task::OpenFiles(FILES)));
    let recorder = record(&path, &comm, &[]);
    before.go();
    let len = grown(&path, fs::metadata(&path).expect("it is there").len());
    kill_process(Pid::from_child(&recorder), Signal::USR1).expect("it still runs");
    grown(&path, len);
    after.go();
    interrupt(&recorder);
    ended(recorder);
    let of = |arguments: &[&str]| figure(&read(&path, arguments), &comm, "objects");
    assert_eq!(of(&[]), 2 * FILES as u64);
    let since = of(&["--from", "mark:SIGUSR1"]);
    assert!((FILES as u64..2 * FILES as u64 + 1).contains(&since), "{since}");
    let unknown = report(&path, &["--from", "mark:deploy"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", errors(&unknown));
    assert!(errors(&unknown).contains("SIGUSR1"), "{}", errors(&unknown));
}

fn a_ring_is_read_like_any_other() {
    let (_directory, path) = file();
    let comm = unique("ring");
    let mut workload = Workload::start(&comm, &Task::OpenFiles(FILES));
    let mut recorder = record(&path, &comm, &["--ring", "--max-size", "64M"]);
    workload.go();
    interrupt(&recorder);
    let mut said = String::new();
    recorder.stderr.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
    ended(recorder);
    let report = read(&path, &[]);
    assert_eq!(figure(&report, &comm, "objects"), FILES as u64, "{said}\n{report}");
}

fn a_recording_is_followed_to_its_end() {
    let (_directory, path) = file();
    let comm = unique("follow");
    let mut workload = Workload::start(&comm, &Task::OpenFiles(FILES));
    let recorder = record(&path, &comm, &[]);
    grown(&path, fs::metadata(&path).expect("it is there").len());
    let follower = Command::new(host::memtrace())
        .args(["report", "--follow", "-o", "json"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    workload.go();
    grown(&path, fs::metadata(&path).expect("it is there").len());
    interrupt(&recorder);
    ended(recorder);
    // It ends by itself.
    let output = ended(follower);
    let lines: Vec<&[u8]> = output.stdout.split_inclusive(|byte| *byte == b'\n').collect();
    let (last, before) = lines.split_last().expect("there are reports");
    assert_eq!(*last, report(&path, &[]).stdout);
    let is_final = |line: &&[u8]| serde_json::from_slice::<Value>(line).expect("it is JSON")["final"] == true;
    assert!(!before.iter().any(is_final));
}

/// Slab caches of every host hold more than that.
const HOLDS: &str = "dentry > 4K";
/// And all of them less than that.
const NEVER: &str = "slab > 99.9%";

fn it_ends_when_what_it_waits_for_holds() {
    let (_directory, path) = file();
    let comm = unique("until");
    let mut workload = Workload::start(&comm, &Task::OpenFiles(FILES));
    let recorder = record(&path, &comm, &["--until", NEVER, "--until", HOLDS, "--duration", "1h"]);
    let said = errors(&ended(recorder));
    assert!(said.contains("'dentry > 4K' held, and the session ended: dentry is "), "{said}");
    workload.go();
    let report = read(&path, &["--to", "mark:dentry > 4K"]);
    assert_eq!(report["final"], true, "{report}");
    assert!(notes(&read(&path, &[])).contains("'dentry > 4K' held"), "{}", notes(&read(&path, &[])));
}

fn a_ring_is_kept_each_time_that_it_holds() {
    let (directory, path) = file();
    let comm = unique("keep");
    let mut workload = Workload::start(&comm, &Task::OpenFiles(FILES));
    let recorder = record(
        &path,
        &comm,
        &["--ring", "--max-size", "64M", "--until", HOLDS, "--until", "MemTotal > 1K", "--keep-going"],
    );
    let copies = ["a.1.mt", "a.2.mt"].map(|name| directory.path().join(name));
    for copy in &copies {
        grown(copy, 0);
    }
    // It goes on.
    workload.go();
    interrupt(&recorder);
    let said = errors(&ended(recorder));
    assert!(said.contains("kept in ") && said.contains("a.2.mt"), "{said}");
    let of = |path: &Path, arguments: &[&str]| figure(&read(path, arguments), &comm, "objects");
    assert_eq!(of(&path, &["--from", "mark:MemTotal > 1K"]), FILES as u64);
    let marks = copies.map(|copy| report(&copy, &["--to", "mark:none"]));
    assert!(marks.iter().any(|answer| errors(answer).contains("dentry > 4K")), "{}", errors(&marks[0]));
    assert!(marks.iter().any(|answer| errors(answer).contains("MemTotal > 1K")), "{}", errors(&marks[1]));
}

fn what_nobody_can_wait_for_is_refused() {
    let (directory, path) = file();
    let out = path.to_str().expect("it is UTF-8");
    let taken = directory.path().join("a.3.mt");
    fs::write(&taken, "precious").expect("there is room");
    for (arguments, words) in [
        (&["--until", "dentri > 1G"][..], &["column 1", "dentry", "examples"][..]),
        (&["--until", "dentry > 1G/1h"], &["column 12"]),
        (&["--until", HOLDS, "--keep-going"], &["--ring"]),
        (&["--ring", "--keep-going"], &["--until"]),
        (&["--ring", "--until", NEVER, "--keep-going"], &["a.3.mt", "exists"]),
    ] {
        let output = Command::new(host::memtrace())
            .args(["record", "--output", out])
            .args(arguments)
            .output()
            .expect("memtrace starts");
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
    }
    assert!(!path.exists());
    assert_eq!(fs::read(&taken).expect("it is there"), b"precious");
}
