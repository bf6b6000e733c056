//! `memtrace events` while it happens.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    Test, host,
    program::Task,
    tests,
    workload::{Workload, unique},
};

/// Files that a test's program holds.
const FILES: usize = 500;

pub fn tests() -> Vec<Test> {
    tests![Tracing, Once:
        each_allocation_and_free_is_an_event,
        a_stream_ends_quietly_when_its_reader_has_gone,
    ]
}

/// A stream of events. Its first line comes when probes are attached.
struct Stream {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Stream {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(host::memtrace())
            .args(["events", "-o", "json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("memtrace starts");
        let lines = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut stream = Self { process, lines };
        let first = stream.next().unwrap_or_else(|| panic!("no events: {}", stream.errors()));
        assert_eq!(first["type"], "session");
        stream
    }

    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it is readable");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("a line of JSON"))
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        let mut errors = self.process.stderr.take().expect("it is piped");
        errors.read_to_string(&mut text).expect("it is readable");
        text
    }
}

fn each_allocation_and_free_is_an_event() {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES));
    let pid = files.pid();
    let mut stream = Stream::start(&["--cache", "filp", "--comm", &comm]);
    files.go();
    files.release();
    let (mut allocated, mut freed) = (HashSet::new(), 0);
    // Files are freed when RCU sees fit.
    while freed < FILES {
        let event = stream.next().unwrap_or_else(|| panic!("it ended: {}", stream.errors()));
        let object = event["object"].as_str().map(str::to_owned);
        match event["type"].as_str() {
            Some("alloc") => assert!(allocated.insert(object), "{event}"),
            Some("free") => {
                assert!(allocated.remove(&object), "{event}");
                assert!(event["age_ns"].is_u64() && event["is_time_of_reading"] == true, "{event}");
                freed += 1;
            }
            Some("look") => continue,
            _ => panic!("{event}"),
        }
        let (name, process, cache) = (&event["comm"], &event["pid"], &event["cache"]);
        assert!(*name == comm && *process == pid && *cache == "filp", "{event}");
    }
    assert!(allocated.is_empty());
    kill_process(Pid::from_child(&stream.process), Signal::INT).expect("it runs");
    while stream.next().is_some() {}
    assert_eq!(stream.errors(), "");
    assert!(stream.process.wait().expect("it is our child").success());
}

fn a_stream_ends_quietly_when_its_reader_has_gone() {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES));
    let Stream { mut process, lines } = Stream::start(&["--cache", "filp", "--comm", &comm]);
    drop(lines);
    files.go();
    let mut errors = String::new();
    process.stderr.take().expect("it is piped").read_to_string(&mut errors).expect("it is readable");
    assert_eq!(errors, "");
    assert!(process.wait().expect("it is our child").success());
}
