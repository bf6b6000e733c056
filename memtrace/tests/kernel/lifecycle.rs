//! How sessions begin and end.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use aya::programs::loaded_programs;
use rustix::process::Signal;

use crate::{
    Test, host,
    program::Task,
    session::Session,
    tests,
    workload::{Workload, unique},
};

/// Files that a test's program holds.
const FILES: u64 = 500;

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, Once:
        an_interrupt_ends_with_a_final_report,
        a_termination_ends_with_a_final_report,
        a_signal_that_marks_recordings_ends_nothing,
        a_duration_ends_with_a_final_report,
        a_count_ends_with_a_final_report,
        a_session_ends_quietly_when_its_reader_has_gone,
    ];
    tests.extend(tests![Tracing, EachKernel:
        a_killed_session_leaves_no_program_in_the_kernel,
        a_process_may_end_meanwhile,
        two_sessions_are_both_exact,
        a_ring_that_overflows_loses_nothing_unsaid,
        programs_that_log_are_accepted,
    ]);
    tests
}

fn an_interrupt_ends_with_a_final_report() {
    ends_by(Signal::INT);
}

fn a_termination_ends_with_a_final_report() {
    ends_by(Signal::TERM);
}

/// What happened since the last report is in the final one.
fn ends_by(signal: Signal) {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    let session = Session::start(&["--cache", "filp", "--comm", &comm]);
    files.go();
    let last = session.end_by(signal);
    assert!(last.is_final);
    assert_eq!(last.objects(&comm), FILES);
}

/// Whoever asks a recording for a mark may hit a live session.
fn a_signal_that_marks_recordings_ends_nothing() {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    let mut session = Session::start(&["--cache", "filp", "--comm", &comm]);
    session.signal(Signal::USR1);
    files.go();
    session.until_objects(&comm, FILES);
    assert_eq!(session.interrupt().objects(&comm), FILES);
}

fn a_duration_ends_with_a_final_report() {
    let (last, _) = Session::start(&["--cache", "filp", "--duration", "1s"]).ended();
    assert!(last.is_final);
}

fn a_count_ends_with_a_final_report() {
    let (last, further) = Session::start(&["--cache", "filp", "--count", "3"]).ended();
    assert!(last.is_final);
    // The first of three was read to start; the last is the final one.
    assert_eq!(further, 2);
}

fn a_session_ends_quietly_when_its_reader_has_gone() {
    for format in ["json", "table"] {
        let mut process = Command::new(host::memtrace())
            .args(["--cache", "filp", "--interval", "100ms", "--output", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("memtrace starts");
        let mut first = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        stdout.read_line(&mut first).expect("it reports");
        assert!(!first.is_empty());
        drop(stdout);
        let mut errors = String::new();
        process.stderr.take().expect("it is piped").read_to_string(&mut errors).expect("it is text");
        let status = process.wait().expect("it is our child");
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{format}");
    }
}

fn a_killed_session_leaves_no_program_in_the_kernel() {
    let session = Session::start(&["--cache", "dentry", "--cache", "kmalloc-*"]);
    let own = programs_of(session.pid());
    assert!(!own.is_empty(), "a session has programs");
    let are_loaded = || loaded_programs().flatten().any(|program| own.contains(&program.id()));
    assert!(are_loaded());
    session.kill();
    // The kernel frees a program some time after its last user.
    let is_gone = (0..500).any(|_| {
        thread::sleep(Duration::from_millis(20));
        !are_loaded()
    });
    assert!(is_gone, "programs {own:?} are still there");
}

/// Ids of the BPF programs that a process has open.
fn programs_of(pid: u32) -> Vec<u32> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the process runs").flatten();
    let ids = infos.filter_map(|info| {
        let info = fs::read_to_string(info.path()).ok()?;
        info.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
    });
    ids.collect()
}

fn a_process_may_end_meanwhile() {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    let pid = files.pid().to_string();
    let mut session = Session::start(&["--cache", "filp", "--pid", &pid]);
    files.go();
    session.until_objects(&comm, FILES);
    files.end();
    session.until_objects(&comm, 0);
    let note = format!("process {pid} ended");
    session.until(&note, |report| report.notes.iter().any(|said| said.starts_with(&note)));
    let last = session.interrupt();
    assert_eq!((last.objects(&comm), last.row(&comm).allocs), (0, FILES));
}

fn two_sessions_are_both_exact() {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    let mut sessions = [(); 2].map(|()| Session::start(&["--cache", "filp", "--comm", &comm]));
    files.go();
    for session in &mut sessions {
        session.until_objects(&comm, FILES);
    }
    files.release();
    for mut session in sessions {
        session.until_objects(&comm, 0);
        let row = session.interrupt().row(&comm);
        assert_eq!((row.allocs, row.frees), (FILES, FILES));
    }
}

/// The smallest ring, and nobody drains it while a hundred thousand pipes come and go, or ten thousand on an emulated machine.
fn a_ring_that_overflows_loses_nothing_unsaid() {
    let comm = unique("churn");
    let pipes = if host::is_our_own() { 10_000 } else { 100_000 };
    let mut churn = Workload::start(&comm, &Task::PipeChurn(pipes));
    let caches = ["--cache", "filp", "--cache", "dentry", "--cache", "inode_cache"];
    let session = Session::start(&[&caches[..], &["--comm", &comm, "--ring-bytes", "4096"]].concat());
    session.signal(Signal::STOP);
    churn.go();
    session.signal(Signal::CONT);
    // Ending it asserts that what was emitted is what was applied and what was lost.
    let last = session.interrupt();
    let (row, trust) = (last.row(&comm), last.trust);
    assert!(trust.lost_allocs > 0 && trust.lost_frees > 0, "{trust:?}");
    assert_eq!(row.allocs + trust.lost_allocs, 4 * pipes as u64);
}

/// With their log statements the programs are others, for the kernel's verifier too.
fn programs_that_log_are_accepted() {
    Session::start(&["--cache", "all", "--verbose"]).interrupt();
}
