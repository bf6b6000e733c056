//! `memtrace report` on files: what it answers and how it exits. No root is needed.

#[path = "../fuzz/feed.rs"]
mod feed;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn v1() -> PathBuf {
    fixtures().join("recording/v1.mt")
}

fn memtrace(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_memtrace")).args(arguments).output().expect("memtrace starts")
}

/// Runs a report of this file, and checks its exit code and for words on standard error.
#[track_caller]
fn check(path: &Path, arguments: &[&str], exit: i32, words: &[&str]) {
    let path = path.to_str().expect("it is UTF-8");
    let output = memtrace(&[&["report", path][..], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{errors}");
    assert!(exit == 0 || output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    for word in words {
        assert!(errors.contains(word), "{word:?} is not in: {errors}");
    }
}

#[test]
fn older_versions_are_reported_as_ever() {
    for version in ["v1", "v2"] {
        is_reported_as_ever(&fixtures().join("recording").join(version));
    }
}

fn is_reported_as_ever(file: &Path) {
    let recording = file.with_extension("mt");
    let output = memtrace(&["report", recording.to_str().unwrap(), "-o", "json", "--by", "comm,cache"]);
    let told = String::from_utf8_lossy(&output.stdout);
    let expected = file.with_extension("json");
    if std::env::var_os("MEMTRACE_WRITE_FIXTURES").is_some() {
        fs::write(&expected, told.as_bytes()).unwrap();
    }
    assert_eq!(told, fs::read_to_string(expected).unwrap());
}

#[test]
fn what_is_no_recording_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = fs::read(v1()).unwrap();
    let with = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    check(&with("script", b"#!/bin/sh\n"), &[], 2, &["script", "not a memtrace recording"]);
    check(&with("empty", b""), &[], 2, &["it is empty"]);
    // Both headers, or the second would tell of a version that this one reads.
    let newer = [b"MEMTRACE", &3_u32.to_le_bytes()[..], &bytes[12..200]].concat();
    check(&with("newer", &newer), &[], 2, &["version 3", "reads up to 2"]);
    check(&with("header", &bytes[..30]), &[], 1, &["header is damaged"]);
    check(&with("blocks", &bytes[..1000]), &[], 1, &["no complete block"]);
    check(&with("cut", &bytes[..bytes.len() - 20]), &[], 0, &[]);
    check(directory.path(), &[], 2, &["not a regular file"]);
    check(&directory.path().join("gone"), &[], 1, &["gone", "No such file"]);
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    check(&fifo, &[], 2, &["not a regular file"]);
}

#[test]
fn what_cannot_be_asked_of_one_is_said() {
    check(&v1(), &["--from", "1h"], 2, &["outside the recording", "2025-"]);
    check(&v1(), &["--from", "3s", "--to", "3s"], 2, &["the window is empty"]);
    check(&v1(), &["--at", "mark:x"], 2, &["no mark named 'x'", "deploy"]);
    check(&v1(), &["--cache", "a[b"], 2, &["a[b", "pattern"]);
    check(&v1(), &["--out", "/proc/nowhere/a.txt"], 1, &["/proc/nowhere/a.txt"]);
    check(&v1(), &["--at", "mark:deploy"], 0, &[]);
}

#[test]
fn a_recording_overwrites_nothing_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.mt");
    fs::write(&path, "precious").unwrap();
    let record = |output: &str, arguments: &[&str]| {
        let output = memtrace(&[&["record", "-d", "1ms", "-o", output][..], arguments].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = record(path.to_str().unwrap(), &[]);
    assert!(code == Some(2) && said.contains("exists; --force replaces it"), "{code:?}: {said}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let (code, said) = record(directory.path().to_str().unwrap(), &["--force"]);
    assert!(code != Some(0) && said.contains("directory"), "{code:?}: {said}");
    let (code, said) = record("/proc/a.mt", &[]);
    assert!(code == Some(1) && said.contains("/proc/a.mt"), "{code:?}: {said}");
    let (code, said) = record("-", &["--ring"]);
    assert!(code == Some(2) && said.contains("--ring needs a file"), "{code:?}: {said}");
    let (code, said) = record(path.to_str().unwrap(), &["--ring", "--max-size", "2M"]);
    assert!(code == Some(2) && said.contains("--max-size 64M"), "{code:?}: {said}");
}

/// Takes any bytes.
type Target = fn(&[u8]);

/// What the fuzzers begin with, and what they found.
#[test]
fn what_fuzzers_found_is_survived() {
    let targets: [(&str, Target); 6] = [
        ("block", feed::block),
        ("definitions", feed::definitions),
        ("index", feed::index),
        ("header", feed::header),
        ("recording", feed::recording),
        ("btf", feed::btf),
    ];
    for (target, feed) in targets {
        let mut files = 0;
        for file in fs::read_dir(fixtures().join("fuzz").join(target)).unwrap() {
            feed(&fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{target}");
    }
}

#[test]
fn a_recording_that_has_ended_is_followed_to_its_end() {
    let file = fixtures().join("recording/v2.mt");
    let file = file.to_str().unwrap();
    let followed = memtrace(&["report", file, "--follow", "-o", "json"]);
    let reported = memtrace(&["report", file, "-o", "json"]);
    assert!(followed.status.success() && reported.status.success());
    assert_eq!(String::from_utf8_lossy(&followed.stdout), String::from_utf8_lossy(&reported.stdout));
}

#[test]
fn a_series_adds_up_to_the_report_of_each_moment() {
    let file = fixtures().join("recording/v2.mt");
    let file = file.to_str().unwrap();
    let series = memtrace(&["report", file, "--series", "-o", "json", "--by", "comm,cache", "--top", "2"]);
    let text = String::from_utf8(series.stdout).unwrap();
    let moments: Vec<serde_json::Value> =
        text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(moments.len(), 6);
    for moment in moments {
        let at = moment["time"].as_str().unwrap();
        let report = memtrace(&["report", file, "-o", "json", "--at", at, "--by", "comm,cache"]);
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        let rows = report["rows"].as_array().unwrap();
        for figure in ["objects", "bytes"] {
            let all: u64 = rows.iter().map(|row| row[figure].as_u64().unwrap()).sum();
            assert_eq!(moment[figure], all, "{at}");
        }
    }
}

#[test]
fn what_cannot_be_a_series_or_followed_is_refused() {
    for (arguments, words) in [
        (&["--series"][..], &["--series", "-o csv"][..]),
        (&["--series", "-o", "html"], &["--series"]),
        (&["-o", "openmetrics"], &["--series"]),
        (&["--follow", "-o", "csv"], &["--follow"]),
        (&["--follow", "--series"], &["--series"]),
        (&["--follow", "--at", "1s"], &["--at"]),
    ] {
        check(&v1(), arguments, 2, words);
    }
    let piped = memtrace(&["report", "-", "--follow"]);
    assert_eq!(piped.status.code(), Some(2));
}
