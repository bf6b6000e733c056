//! A process and all that it starts; and a command, from its first allocation.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    Test,
    host::{self, directory_on_disk},
    program::{self, Task},
    session::Session,
    snapshot::Snapshot,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, EachKernel:
        children_that_are_there_already_are_of_the_tree,
        a_command_is_traced_from_its_first_allocation,
    ];
    tests.extend(tests![Disk, EachKernel:
        children_of_milliseconds_are_of_the_tree,
        a_command_is_traced_with_all_that_it_starts,
    ]);
    tests.extend(tests![Tracing, Once:
        the_exit_code_is_the_command_s,
        a_line_for_each_report_comes_while_it_runs,
        a_command_runs_as_whoever_called_sudo,
        a_signal_is_the_command_s,
        a_recording_of_a_command_ends_with_it,
    ]);
    tests
}

/// So many processes, each of which looks up so many names that do not exist.
const PROCESSES: usize = 300;
const LOOKUPS: usize = 20;

fn short_lived(comm: &str, disk: &TempDir, within: &str) -> Task {
    let within = disk.path().join(within);
    fs::create_dir(&within).expect("the directory is ours");
    Task::ShortLived { comm: comm.to_owned(), within, processes: PROCESSES, lookups: LOOKUPS }
}

/// Beside others that do the same; and without their parent's children there is nothing of them.
fn children_of_milliseconds_are_of_the_tree() {
    let [child, other] = ["child", "other"].map(unique);
    let disk = directory_on_disk();
    let mut parent = Workload::start(unique("tree"), &short_lived(&child, &disk, "a"));
    let mut bystander = Workload::start(unique("stand"), &short_lived(&other, &disk, "b"));
    let pid = parent.pid().to_string();
    let tree = Session::start(&["--cache", "dentry", "--tree", &pid]);
    let children = Session::start(&["--cache", "dentry", "--pid", &pid, "--children"]);
    let alone = Session::start(&["--cache", "dentry", "--pid", &pid]);
    parent.begin();
    bystander.go();
    parent.done();
    for session in [tree, children] {
        let last = session.interrupt();
        let row = last.row(&child);
        assert_eq!((row.objects, row.processes), ((PROCESSES * LOOKUPS) as u64, PROCESSES as u64), "{last}");
        assert_eq!(last.objects(&other), 0, "{last}");
    }
    assert_eq!(alone.interrupt().objects(&child), 0);
}

/// Grandchildren too.
fn children_that_are_there_already_are_of_the_tree() {
    let [outer, middle, inner, other] = ["outer", "mid", "inner", "other"].map(unique);
    let task = Task::Child { comm: inner.clone(), task: Box::new(Task::OpenFiles(300)) };
    let mut family = Workload::start(&outer, &Task::Child { comm: middle, task: Box::new(task) });
    let mut bystander = Workload::start(&other, &Task::OpenFiles(200));
    let mut session = Session::start(&["--cache", "filp", "--tree", &family.pid().to_string()]);
    bystander.go();
    family.go();
    session.until_objects(&inner, 300);
    let last = session.interrupt();
    assert_eq!((last.objects(&inner), last.objects(&other)), (300, 0));
    assert_eq!(last.filter, Some(format!("--tree {}", family.pid())));
}

/// `memtrace run` of this very program, with a task for which it needs no orders.
fn run(arguments: &[&str], comm: &str, task: &Task) -> Snapshot {
    let mut command = Command::new(host::memtrace());
    command.args(["run", "-o", "json", "--out", "-", "--top", "100000"]).args(arguments).arg("--");
    let program = program::command(comm.as_bytes(), task);
    command.arg(program.get_program()).args(program.get_args());
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("memtrace starts");
    let mut orders = process.stdin.take().expect("it is piped");
    // It makes what it is to make, and ends.
    orders.write_all(b"\n").expect("the pipe has room");
    drop(orders);
    let output = process.wait_with_output().expect("it is our child");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("it is text");
    let report = text.lines().find(|line| line.starts_with('{')).expect("there is a report");
    let last = Snapshot::parse_and_check(report);
    assert!(last.trust.is_conserved(), "events are missing: {:?}", last.trust);
    last
}

/// Before a program runs, exec makes one `mm_struct` for it, and nobody else's is counted.
fn a_command_is_traced_from_its_first_allocation() {
    let directory = tempfile::tempdir().expect("there is room");
    let task = Task::LookUp { directory: directory.path().to_owned(), first: 0, count: 1 };
    let last = run(&["--cache", "mm_struct"], &unique("first"), &task);
    assert_eq!(last.cache("mm_struct").allocs, 1, "{last}");
}

fn a_command_is_traced_with_all_that_it_starts() {
    let [parent, child] = ["parent", "child"].map(unique);
    let disk = directory_on_disk();
    let last = run(&["--cache", "dentry"], &parent, &short_lived(&child, &disk, "a"));
    let row = last.row(&child);
    assert_eq!(row.allocs, (PROCESSES * LOOKUPS) as u64, "{last}");
    let starter = row.started_by.first().and_then(|chain| chain.comms.first().cloned());
    assert!(starter.is_none_or(|starter| starter == parent), "{last}");
}

fn memtrace<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(host::memtrace());
    command.args(arguments).stdin(Stdio::null());
    command
}

fn output<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    memtrace(arguments).output().expect("memtrace starts")
}

fn the_exit_code_is_the_command_s() {
    let check = |command: &[&str], code: i32, has_table: bool| {
        let output = output(&[&["run", "-c", "dentry", "--"], command].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {errors}");
        assert_eq!(errors.contains("trust: "), has_table, "{command:?}: {errors}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), errors.into_owned())
    };
    let (said, report) = check(&["sh", "-c", "echo said; exit 7"], 7, true);
    assert_eq!(said, "said\n", "its output is its own");
    assert!(report.contains("filter  -- sh -c 'echo said; exit 7'  all else is left out"), "{report}");
    check(&["true"], 0, true);
    check(&["sh", "-c", "kill -KILL $$"], 128 + 9, true);
    check(&["memtrace-nowhere-to-be-found"], 127, false);
    check(&["/etc/passwd"], 126, false);
    let usage = output(&["run", "-c", "dentry"]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
}

/// On standard error, as its output is its own.
fn a_line_for_each_report_comes_while_it_runs() {
    let output =
        output(&["run", "-c", "dentry", "-i", "100ms", "-o", "line", "--", "sh", "-c", "echo said; sleep 1"]);
    let lines = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"said\n"[..]), "{lines}");
    let headings: Vec<_> = lines.lines().filter(|line| line.contains("COMM")).collect();
    assert!(!headings.is_empty() && lines.lines().count() > headings.len() + 2, "{lines}");
}

fn a_command_runs_as_whoever_called_sudo() {
    let id = |setting: &dyn Fn(&mut Command) -> &mut Command, arguments: &[&str]| {
        let mut command =
            memtrace(&[&["run", "-c", "dentry"], arguments, &["--", "sh", "-c", "id -u; id -g"]].concat());
        let output = setting(&mut command).output().expect("memtrace starts");
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(id(&|command| command, &[]), "0 0");
    assert_eq!(id(&|command| command.env("SUDO_UID", "61234").env("SUDO_GID", "61235"), &[]), "61234 61235");
    assert_eq!(id(&|command| command.env("SUDO_UID", "61234"), &["--user", "root"]), "0 0");
    assert_eq!(id(&|command| command, &["--user", "61234"]), "61234 61234");
}

/// SIGTERM ends it by ending the command.
fn a_signal_is_the_command_s() {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("begun");
    let script = format!("trap 'exit 5' TERM; touch {}; while :; do sleep 0.1; done", file.display());
    let mut process = memtrace(&["run", "-c", "dentry", "--", "sh", "-c", &script])
        .stderr(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    while !file.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
        assert!(process.try_wait().expect("it is our child").is_none(), "it ended before its command began");
    }
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let output = process.wait_with_output().expect("it is our child");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("trust: "), "{output:?}");
}

fn a_recording_of_a_command_ends_with_it() {
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("a.mt");
    let path = file.to_str().expect("it is text");
    let script = "i=0; while [ $i -lt 500 ]; do [ -e $0/$i ]; i=$((i + 1)); done; exit 3";
    let within = directory.path().to_str().expect("it is text");
    let recorded = output(&["record", "-c", "dentry", "-o", path, "--", "sh", "-c", script, within]);
    assert_eq!(recorded.status.code(), Some(3), "{recorded:?}");
    let report = output(&["report", path, "-o", "json"]);
    let last = Snapshot::parse_and_check(&String::from_utf8_lossy(&report.stdout));
    let filter = last.filter.clone().unwrap_or_default();
    assert!(filter.starts_with("-- sh -c ") && last.row("sh").allocs > 0, "{last}");
}
