//! What cannot be done is said on standard error, with what to do instead, and by the exit code.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{Test, host, snapshot::Snapshot, tests};

/// Nobody, by long custom.
const NOBODY: u32 = 65534;

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Nothing, Once: what_cannot_be_asked_for_is_a_usage_error];
    tests.extend(tests![Tracing, Once:
        an_unknown_cache_is_a_usage_error_that_names_the_nearest,
        a_glob_without_match_is_a_usage_error,
        a_process_that_does_not_exist_is_a_usage_error,
    ]);
    tests.extend(tests![Tracing, Once: with_the_least_rights_what_has_no_name_is_said]);
    tests.extend(tests![Tracing, EachKernel: without_privileges_the_command_to_run_is_shown]);
    tests
}

/// Runs memtrace, and checks its exit code and for words on standard error.
#[track_caller]
fn check(arguments: &[&str], exit: i32, words: &[&str]) {
    let output = Command::new(host::memtrace()).args(arguments).output().expect("memtrace starts");
    check_output(&output, exit, words);
}

#[track_caller]
fn check_output(output: &Output, exit: i32, words: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{errors}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        assert!(errors.contains(word), "{word:?} is not in: {errors}");
    }
}

fn what_cannot_be_asked_for_is_a_usage_error() {
    check(&["--by", "nonsense"], 2, &["--by", "nonsense", "comm", "pid", "cache"]);
    check(&["--sort", "nonsense"], 2, &["--sort", "nonsense", "bytes", "objects"]);
    check(&["--output", "nonsense"], 2, &["--output", "nonsense", "json"]);
    check(&["-i", "0"], 2, &["--interval"]);
    check(&["--interval", "-1s"], 2, &["--interval", "-1s"]);
    check(&["--duration", "-1s"], 2, &["--duration", "-1s"]);
    check(&["--duration", "soon"], 2, &["--duration", "soon"]);
    check(&["--duration", "99999999999h"], 2, &["--duration", "99999999999h"]);
    check(&["--older", "-5m"], 2, &["--older", "-5m"]);
    check(&["--settle", "-1s"], 2, &["--settle", "-1s"]);
    check(&["--count", "0"], 2, &["--count"]);
    check(&["--count", "-1"], 2, &["--count", "-1"]);
    check(&["--top", "0"], 2, &["--top"]);
    check(&["--top", "-1"], 2, &["--top", "-1"]);
    check(&["--pid", "0"], 2, &["--pid"]);
    check(&["--pid", "-1"], 2, &["--pid"]);
    check(&["--pid", "init"], 2, &["--pid", "init"]);
    check(&["--nonsense"], 2, &["--nonsense"]);
}

fn an_unknown_cache_is_a_usage_error_that_names_the_nearest() {
    check(&["--cache", "dentri"], 2, &["dentri", "dentry", "memtrace caches"]);
    check(&["census", "--cache", "dentri"], 2, &["dentri", "dentry", "memtrace caches"]);
}

fn a_glob_without_match_is_a_usage_error() {
    check(&["--cache", "no-such-*"], 2, &["no-such-*"]);
}

fn a_process_that_does_not_exist_is_a_usage_error() {
    // More than the kernel ever gives.
    let pid = i32::MAX.to_string();
    check(&["--cache", "filp", "--pid", &pid], 2, &[&pid]);
}

fn without_privileges_the_command_to_run_is_shown() {
    check_output(
        &as_nobody(&["--cache", "dentry"]),
        1,
        &["CAP_BPF", "CAP_PERFMON", "sudo", "--cache dentry"],
    );
    check_output(
        &as_nobody(&["census", "-c", "dentry"]),
        1,
        &["CAP_BPF", "CAP_PERFMON", "sudo", "census -c dentry"],
    );
}

/// Exactly what the documents ask for, and with the right to read names.
fn with_the_least_rights_what_has_no_name_is_said() {
    let notes = |rights: &str| {
        let directory = public_directory();
        let memtrace = copied_to(&directory);
        let [inherited, ambient, bounding] =
            ["inh-caps", "ambient-caps", "bounding-set"].map(|set| format!("--{set}=-all,{rights}"));
        let output = Command::new("setpriv")
            .args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"])
            .args([&inherited, &ambient, &bounding])
            .arg(&memtrace)
            .args(["-c", "filp", "--by", "cgroup", "-d", "100ms", "-o", "json"])
            .output()
            .expect("util-linux is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let last = String::from_utf8_lossy(&output.stdout).lines().last().map(Snapshot::parse);
        last.expect("there is a report").notes
    };
    let nameless = |note: &String| note.contains("cgroups are shown without names");
    let least = notes("+bpf,+perfmon");
    assert!(least.iter().any(|note| nameless(note) && note.contains("CAP_DAC_READ_SEARCH")), "{least:?}");
    let more = notes("+bpf,+perfmon,+dac_read_search");
    assert!(!more.iter().any(nameless), "{more:?}");
}

/// Runs memtrace without any privileges.
pub fn as_nobody(arguments: &[&str]) -> Output {
    let directory = public_directory();
    let memtrace = copied_to(&directory);
    Command::new(&memtrace).args(arguments).uid(NOBODY).gid(NOBODY).output().expect("memtrace starts")
}

/// Where anybody may run memtrace.
fn public_directory() -> TempDir {
    let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), open).expect("it is ours");
    directory
}

fn copied_to(directory: &TempDir) -> PathBuf {
    let memtrace = directory.path().join("memtrace");
    fs::copy(host::memtrace(), &memtrace).expect("memtrace can be copied");
    memtrace
}
