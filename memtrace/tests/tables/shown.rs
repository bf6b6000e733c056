//! What the command prints of events.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Stdio},
};

use insta::assert_snapshot;

use crate::{
    memtrace, printed,
    recordings::{DENTRY, FILP, SECOND, Tape, alloc, free, leak, monday, task},
};

const FIRST: u64 = 0xffff_8882_0000_0000;

/// One event of each kind, with names that mean something to some reader.
pub fn hostile(path: &Path) {
    let mut tape = Tape::start(path, "web-\u{1b}[2J01", monday());
    let evil = alloc(FIRST, DENTRY, 1_000_000, task(500, b"\x1b[31m red"));
    tape.alloc(alloc(FIRST + 0x400, FILP, 500, task(500, b"-")));
    tape.read(SECOND / 2);
    tape.alloc(evil);
    tape.name(FIRST, b"a dir", b"\xff\xfe\n\"quoted\" \\ \xe2\x80\xae.exe");
    tape.inspect(&evil, b"/tmp/\t", b"<script>|`=1", true);
    tape.mark(SECOND / 2, b"two words\r");
    tape.free(free(FIRST, Some(DENTRY)));
    // Of an object from before the start, and of one that may be of any cache.
    tape.free(free(FIRST + 0x800, Some(FILP)));
    tape.free(free(FIRST + 0xc00, None));
    tape.period(4);
    let kept = (1..)
        .map(|n| FIRST + n * 0x1000)
        .find(|&at| memtrace_common::sample::keeps(at, memtrace_common::sample::limit(4)));
    tape.alloc(alloc(kept.unwrap(), 0xdead, SECOND, task(u32::MAX, b"(others)")));
    tape.finish(SECOND);
}

#[test]
fn text() {
    let directory = tempfile::tempdir().unwrap();
    hostile(&directory.path().join("a.rec"));
    let elapsed = printed(directory.path(), &["events", "a.rec"]);
    let wall = printed(directory.path(), &["events", "a.rec", "--time", "wall", "--kind", "alloc"]);
    assert_snapshot!(format!("{elapsed}\n{wall}"));
    assert!(!elapsed.chars().any(|c| c.is_control() && c != '\n'));
    // Columns are there in each line, whatever names are.
    for line in elapsed.lines() {
        assert!(line.split_whitespace().count() >= 11, "{line}");
    }
}

#[test]
fn ndjson() {
    let directory = tempfile::tempdir().unwrap();
    hostile(&directory.path().join("a.rec"));
    let text = printed(directory.path(), &["events", "a.rec", "-o", "json"]);
    assert_snapshot!(text);
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

/// Of the lines behind the first, what stands in a column.
fn column(text: &str, index: usize) -> Vec<&str> {
    text.lines().skip(1).map(|line| line.split_whitespace().nth(index).unwrap()).collect()
}

#[test]
fn filters_and_windows() {
    let directory = tempfile::tempdir().unwrap();
    leak(&directory.path().join("a.rec"), "web-01", monday(), 100);
    let shown = |arguments: &[&str]| printed(directory.path(), &[&["events", "a.rec"], arguments].concat());
    let kinds = |text: &str| {
        let mut kinds = column(text, 1).into_iter().map(str::to_owned).collect::<Vec<_>>();
        kinds.sort();
        let all = kinds.clone();
        kinds.dedup();
        kinds
            .into_iter()
            .map(|kind| (all.iter().filter(|&one| *one == kind).count(), kind))
            .collect::<Vec<_>>()
    };
    let counts = |pairs: &[(usize, &str)]| -> Vec<(usize, String)> {
        pairs.iter().map(|&(count, kind)| (count, kind.to_owned())).collect()
    };
    assert_eq!(
        kinds(&shown(&[])),
        counts(&[(110, "alloc"), (7, "free"), (50, "look"), (1, "mark"), (100, "name")])
    );
    assert_eq!(kinds(&shown(&["--kind", "free,mark"])), counts(&[(7, "free"), (1, "mark")]));
    assert_eq!(kinds(&shown(&["-c", "filp", "--kind", "alloc,free"])), counts(&[(10, "alloc"), (7, "free")]));
    assert_eq!(kinds(&shown(&["-c", "d*y", "--kind", "alloc,free"])), counts(&[(100, "alloc")]));
    assert_eq!(kinds(&shown(&["-p", "500", "--kind", "alloc"])), counts(&[(50, "alloc")]));
    assert_eq!(kinds(&shown(&["--comm", "postgres", "--kind", "free"])), counts(&[(7, "free")]));
    assert_eq!(kinds(&shown(&["--from", "1s"])), counts(&[(10, "alloc"), (7, "free"), (1, "mark")]));
    assert_eq!(kinds(&shown(&["--to", "1s", "--kind", "alloc"])), counts(&[(100, "alloc")]));
    let output = memtrace(directory.path(), &["events", "a.rec", "--from", "1h"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("outside the recording"));
    assert_eq!(output.status.code(), Some(2));
}

/// What is freed in a window was allocated before it.
#[test]
fn a_free_tells_what_its_allocation_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut tape = Tape::start(&directory.path().join("a.rec"), "web-01", monday());
    tape.alloc(alloc(FIRST, FILP, 0, task(500, b"curl")));
    tape.close(SECOND, false);
    tape.read(SECOND + SECOND / 2);
    tape.free(free(FIRST, None));
    tape.finish(2 * SECOND);
    let text = printed(directory.path(), &["events", "a.rec", "--from", "1s"]);
    let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    let place = "0xffffffff81234567";
    let expected = ["~1.500000000", "free", "0xffff888200000000", "filp", "232", "500", "curl", "1.5000"];
    assert_eq!(words, [&expected[..], &["/system.slice/cron.service", place, "-"]].concat());
}

/// Nobody knows what became of the objects meanwhile: a free behind it may be of another one at the same address.
#[test]
fn damage_is_said_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.rec");
    let mut tape = Tape::start(&path, "web-01", monday());
    tape.alloc(alloc(FIRST, FILP, 0, task(500, b"curl")));
    tape.close(SECOND, false);
    for n in 0..50 {
        tape.alloc(alloc(FIRST + 0x1000 + n * 256, FILP, SECOND + n, task(500, b"curl")));
    }
    tape.close(2 * SECOND, false);
    tape.read(2 * SECOND + 1);
    tape.free(free(FIRST, Some(FILP)));
    tape.finish(3 * SECOND);
    let reader = memtrace::evidence::recording::Reader::open(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"damage", reader.places()[1].offset + 70).unwrap();
    let text = printed(directory.path(), &["events", "a.rec"]);
    assert_snapshot!(text);
}

#[test]
fn head_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    leak(&directory.path().join("a.rec"), "web-01", monday(), 20_000);
    let mut command = Command::new(env!("CARGO_BIN_EXE_memtrace"));
    command
        .current_dir(directory.path())
        .args(["events", "a.rec"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("KIND"), "{line}");
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}
