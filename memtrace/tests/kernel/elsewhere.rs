//! A recording that is read on another machine: who runs these tests in a VM takes it from there, and reports it on the host.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Test, host, program::Task, tests, workload::Workload};

pub fn tests() -> Vec<Test> {
    tests![Tracing, EachKernel: a_recording_for_the_host]
}

/// Whoever reads it looks for these.
const COMM: &str = "for-the-host";
const FILES: usize = 700;

/// Where to leave it.
const PATH: &str = "MEMTRACE_TEST_RECORDING";

fn a_recording_for_the_host() {
    let own = tempfile::tempdir().expect("there is room");
    let path = env::var_os(PATH).map_or_else(|| own.path().join("recording.mt"), PathBuf::from);
    let mut files = Workload::start(COMM, &Task::OpenFiles(FILES));
    let recorder = record(&path);
    files.go();
    kill_process(Pid::from_child(&recorder), Signal::INT).expect("it still runs");
    let ended = recorder.wait_with_output().expect("it is our child");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let report = Command::new(host::memtrace()).arg("report").arg(&path).args(["-o", "json"]).output();
    let report: serde_json::Value =
        serde_json::from_slice(&report.expect("memtrace starts").stdout).expect("it is JSON");
    let row = report["rows"].as_array().into_iter().flatten().find(|row| row["comm"] == COMM);
    assert_eq!(row.map(|row| row["objects"].clone()), Some(FILES.into()), "{report}");
}

/// Returns when its probes are attached: then it has begun to write.
fn record(path: &PathBuf) -> Child {
    let mut command = Command::new(host::memtrace());
    command.args(["record", "--force", "--cache", "filp", "--comm", COMM, "--output"]).arg(path);
    let recorder = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("memtrace starts");
    while fs::metadata(path).map_or(0, |file| file.len()) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    recorder
}
