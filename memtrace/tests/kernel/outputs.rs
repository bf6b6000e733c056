//! Where commands that trace write: as those of `tests/outputs.rs`, whatever stands in the way.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown, symlink},
    path::Path,
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
        what_is_in_the_way_is_refused_and_replaced_by_force,
        a_session_that_cannot_begin_leaves_what_was_there,
        killed_only_a_recording_stays,
        a_full_disk_leaves_no_bundle,
        a_limit_on_file_sizes_is_as_a_full_disk,
        a_recording_goes_through_a_pipe,
        a_line_for_each_report_as_many_as_asked_for,
    ]
}

const PRECIOUS: &[u8] = b"precious";
/// Nobody, by long custom.
const NOBODY: u32 = 65534;

/// Each command that writes what it traces.
const COMMANDS: [&[&str]; 4] = [
    &["record", "-c", "filp", "-d", "100ms", "-o"],
    &["bundle", "-c", "filp", "-d", "100ms", "-o"],
    &["bundle", "--redact", "-c", "filp", "-d", "100ms", "-o"],
    &["events", "-c", "filp", "-d", "100ms", "-o", "json", "--out"],
];

fn run(arguments: &[&str], to: &Path, force: bool) -> Output {
    let mut command = Command::new(host::memtrace());
    command.args(arguments).arg(to).args(force.then_some("--force"));
    command.output().expect("memtrace starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is ours").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_private(path: &Path) {
    let found = path.symlink_metadata().expect("it is there");
    assert_eq!((found.is_file(), found.mode() & 0o7777, found.uid()), (true, 0o600, 0));
    assert!(found.len() > 0);
}

fn what_is_in_the_way_is_refused_and_replaced_by_force() {
    let in_the_way: [fn(&Path, &Path); 5] = [
        |_, to| fs::write(to, PRECIOUS).expect("it is ours"),
        |precious, to| symlink(precious, to).expect("it is ours"),
        |_, to| symlink("gone", to).expect("it is ours"),
        |precious, to| fs::hard_link(precious, to).expect("it is ours"),
        |_, to| {
            fs::write(to, PRECIOUS).expect("it is ours");
            chown(to, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
        },
    ];
    // A redacted bundle opens its file as any other.
    for arguments in [COMMANDS[0], COMMANDS[1], COMMANDS[3]] {
        for put in in_the_way {
            let directory = tempfile::tempdir().expect("there is room");
            let [precious, to] = ["precious", "to"].map(|name| directory.path().join(name));
            fs::write(&precious, PRECIOUS).expect("it is ours");
            put(&precious, &to);
            let refused = run(arguments, &to, false);
            assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", said(&refused));
            assert!(said(&refused).contains("already exists; --force replaces it"), "{}", said(&refused));
            let replaced = run(arguments, &to, true);
            assert!(replaced.status.success(), "{arguments:?}: {}", said(&replaced));
            assert_private(&to);
            assert_eq!(fs::read(&precious).expect("it is ours"), PRECIOUS);
            assert_eq!(names(directory.path()), ["precious", "to"]);
        }
        let nowhere = run(arguments, Path::new("/dev/null"), false);
        assert!(nowhere.status.success(), "{arguments:?}: {}", said(&nowhere));
    }
}

fn a_session_that_cannot_begin_leaves_what_was_there() {
    for arguments in COMMANDS {
        let directory = tempfile::tempdir().expect("there is room");
        let to = directory.path().join("to");
        let arguments: Vec<&str> =
            arguments.iter().map(|&it| if it == "filp" { "no-such-cache" } else { it }).collect();
        for is_there in [false, true] {
            if is_there {
                fs::write(&to, PRECIOUS).expect("it is ours");
            }
            let failed = run(&arguments, &to, true);
            assert_eq!(failed.status.code(), Some(2), "{arguments:?}: {}", said(&failed));
            assert_eq!(to.exists(), is_there);
        }
        assert_eq!(fs::read(&to).expect("it is ours"), PRECIOUS);
        assert_eq!(names(directory.path()), ["to"]);
    }
}

/// A command that goes on until it is ended; returns when it traces.
fn start(arguments: &[&str], to: &Path) -> Child {
    let arguments: Vec<&str> = arguments.iter().map(|&it| if it == "100ms" { "1m" } else { it }).collect();
    let child = Command::new(host::memtrace())
        .args(arguments)
        .arg(to)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("memtrace starts");
    while !has_written(&child) {
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

/// Whether one of its files has something in it, under a name or without one.
pub fn has_written(child: &Child) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", child.id())) else { return false };
    descriptors.flatten().map(|descriptor| descriptor.path()).any(|path| {
        let metadata = fs::metadata(&path);
        let is_new = fs::read_link(&path).is_ok_and(|target| {
            let target = target.to_string_lossy().into_owned();
            target.ends_with("(deleted)") && !target.starts_with("/memfd:") || target.ends_with("/to")
        });
        is_new && metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
    })
}

fn killed_only_a_recording_stays() {
    for arguments in COMMANDS {
        let directory = tempfile::tempdir().expect("there is room");
        let to = directory.path().join("to");
        let mut child = start(arguments, &to);
        // Long enough for some blocks.
        std::thread::sleep(Duration::from_millis(2500));
        let expected: &[&str] = if arguments[0] == "record" { &["to"] } else { &[] };
        assert_eq!(names(directory.path()), expected, "{arguments:?}, while it goes on");
        child.kill().expect("it still runs");
        child.wait().expect("it is our child");
        assert_eq!(names(directory.path()), expected, "{arguments:?}");
        if !expected.is_empty() {
            assert_private(&to);
            let report = run(&["report"], &to, false);
            assert!(report.status.success(), "{}", said(&report));
        }
    }
}

fn a_full_disk_leaves_no_bundle() {
    for arguments in [COMMANDS[1], COMMANDS[2]] {
        let small = Mounted::new(c"tmpfs", "size=8k");
        fs::write(small.path().join("big"), [0; 8192]).expect("it fits");
        let failed = run(arguments, &small.path().join("to"), false);
        assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
        assert!(said(&failed).contains("No space left on device"), "{}", said(&failed));
        assert_eq!(names(small.path()), ["big"]);
    }
}

/// Without a word, the kernel would kill whoever writes more.
fn a_limit_on_file_sizes_is_as_a_full_disk() {
    for arguments in &COMMANDS[..3] {
        let directory = tempfile::tempdir().expect("there is room");
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 0; exec \"$@\"", "sh"]).arg(host::memtrace()).args(*arguments);
        let failed = command.arg(directory.path().join("to")).output().expect("there is a shell");
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}: {}", said(&failed));
        assert!(said(&failed).contains("File too large"), "{}", said(&failed));
        assert_eq!(names(directory.path()), [""; 0]);
    }
}

fn a_recording_goes_through_a_pipe() {
    const FILES: usize = 300;
    let comm = unique("pipe");
    let mut workload = Workload::start(&comm, &Task::OpenFiles(FILES));
    let mut recorder = Command::new(host::memtrace())
        .args(["record", "-c", "filp", "--comm", &comm, "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("memtrace starts");
    let reader = Command::new(host::memtrace())
        .args(["report", "-", "-o", "json"])
        .stdin(recorder.stdout.take().expect("it is piped"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    // A mark is taken when it traces.
    let pid = recorder.id().to_string();
    let mark =
        || Command::new(host::memtrace()).args(["mark", "-p", &pid]).output().expect("memtrace starts");
    while !mark().status.success() {
        std::thread::sleep(Duration::from_millis(10));
    }
    workload.go();
    kill_process(Pid::from_child(&recorder), Signal::INT).expect("it still runs");
    assert!(recorder.wait().expect("it is our child").success());
    let output = reader.wait_with_output().expect("it is our child");
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let rows = report["rows"].as_array().into_iter().flatten();
    let objects: u64 = rows.filter(|row| row["comm"] == comm).filter_map(|row| row["objects"].as_u64()).sum();
    assert_eq!(objects, FILES as u64, "{report}");
}

fn a_line_for_each_report_as_many_as_asked_for() {
    let comm = unique("line");
    let mut workload = Workload::start(&comm, &Task::OpenFiles(300));
    // The first report of a long interval does not come early, or it would be one more.
    let session = Command::new(host::memtrace())
        .args(["-c", "filp", "--comm", &comm, "-o", "line", "1.5", "3"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    workload.go();
    let output = session.wait_with_output().expect("it is our child");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("it is text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("TIME") && lines[0].ends_with("FINDING"), "{text}");
    assert!(lines[1..].iter().all(|line| line.split_whitespace().count() >= 8), "{text}");
}
