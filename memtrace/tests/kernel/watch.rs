//! `memtrace watch`: from a trigger to a bundle, and what it leaves behind when something goes wrong.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use memtrace::procfs::Files;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    Test,
    bundle::{json, text, unpacked, wait_for},
    host,
    modules::Mounted,
    program::Task,
    serve::{Running, free_address},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, OneKernel: watch_goes_from_a_leak_to_a_bundle];
    tests.extend(tests![Tracing, Once:
        watch_records_for_who_asks_and_runs_the_hook,
        watch_kills_a_hook_that_hangs_and_goes_on,
        watch_records_for_an_alert,
        watch_records_for_an_alertmanager,
        watch_keeps_a_census,
        watch_drops_the_least_bad_bundle,
        watch_leaves_no_half_bundle_on_a_full_disk,
        watch_makes_room_on_a_full_disk,
        watch_leaves_nothing_when_it_is_killed,
        watch_packs_what_there_is_when_it_is_ended,
    ]);
    tests.extend(tests![Nothing, Once: watch_refuses_what_would_fail_in_the_night]);
    tests.extend(tests![OwnMachine, OneKernel: watch_records_before_memory_runs_out]);
    tests
}

/// For a line to come. A VM takes its time, and a line that never comes fails the test.
const PATIENCE: Duration = Duration::from_secs(300);

/// A condition that never holds.
pub const NEVER: &str = "MemTotal < 1M";

/// A watch, and what it says. Killed when dropped.
pub struct Watch {
    process: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Watch {
    /// Returns when it is armed.
    pub fn start(into: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(host::memtrace())
            .args(["watch", "--into"])
            .arg(into)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("memtrace starts");
        let (sender, lines) = channel();
        let errors = BufReader::new(process.stderr.take().expect("it is piped"));
        thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut watch = Self { process, lines, said: Vec::new() };
        watch.until("armed: ");
        watch
    }

    /// The next line that has this in it.
    #[track_caller]
    pub fn until(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(error) => panic!("it never said {part:?} ({error}): {:#?}", self.said),
            }
        }
    }

    /// All that it said since, without waiting.
    fn has_said(&mut self, part: &str) -> Option<String> {
        self.said.extend(self.lines.try_iter());
        self.said.iter().find(|line| line.contains(part)).cloned()
    }

    /// Where it takes alerts.
    pub fn webhook(&mut self) -> String {
        let line = self.until("alerts are taken at http://");
        line.rsplit("http://").next().expect("it is there").trim_end_matches('/').to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it runs");
    }

    /// Ends it; returns all that it said.
    pub fn end(mut self) -> Vec<String> {
        self.signal(Signal::TERM);
        assert!(self.process.wait().expect("it is our child").success());
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        assert_eq!(self.lines.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
        std::mem::take(&mut self.said)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is ours").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn is_bundle(name: &str) -> bool {
    name.starts_with("memtrace-") && name.ends_with(".tar.zst")
}

/// The only bundle there, with all that is in it.
pub fn bundle(directory: &Path) -> (String, BTreeMap<String, Vec<u8>>) {
    let names = names(directory);
    let [name] = &names[..] else { panic!("{names:?}") };
    assert!(is_bundle(name), "{name}");
    let path = directory.join(name);
    assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    (name.clone(), unpacked(&path))
}

fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("hook");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("there is room");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
    path
}

fn watch_goes_from_a_leak_to_a_bundle() {
    let (comm, directory) = (unique("leak"), TempDir::new().expect("there is room"));
    let into = directory.path().join("bundles");
    let arguments = ["--on", "filp +1M/10m", "-i", "1s", "--for", "8s", "--", "-c", "filp", "-i", "250ms"];
    let mut watch = Watch::start(&into, &arguments);
    assert_eq!(names(&into), [""; 0], "nothing is recorded, and nothing is traced");
    // A leak until the bundle is there. Our own machine has little memory, and room for so few files that nobody could write a bundle.
    let files = if host::is_our_own() { 150 } else { 1_500 };
    let mut holders = Vec::new();
    while watch.has_said("/memtrace-").is_none() && watch.has_said("not recorded").is_none() {
        assert!(holders.len() < 600, "{:#?}", watch.said);
        let mut holder = Workload::start(&comm, &Task::OpenFiles(files));
        holder.go();
        holders.push(holder);
        thread::sleep(Duration::from_millis(100));
    }
    let held = watch.has_said("'filp +1M/10m' holds: filp has grown by ");
    assert!(held.is_some_and(|line| line.ends_with("; recording for 8 s")), "{:#?}", watch.said);
    assert_eq!(watch.has_said("not recorded"), None, "{:#?}", watch.said);
    let (name, members) = bundle(&into);
    let found = watch.has_said("/memtrace-").expect("it was recorded");
    assert!(
        found.contains(&format!("{comm} ")) && found.contains("leaks filp") && found.contains(&name),
        "{found}"
    );
    assert!(name.contains("-leak-"), "{name}");
    let report = json(&members, "report.json");
    assert_eq!((&report["verdict"]["comm"], &report["verdict"]["is"]), (&comm.into(), &"leak".into()));
    assert!(text(&members, "README.txt").contains("leaks filp"));
    assert!(text(&members, "triage.md").contains("leak"));
    assert_eq!(watch.end().iter().filter(|line| line.contains("recording for")).count(), 1, "it cools down");
    holders.into_iter().for_each(Workload::end);
}

fn watch_records_for_who_asks_and_runs_the_hook() {
    let directory = TempDir::new().expect("there is room");
    let into = directory.path().join("bundles");
    let hook = script(directory.path(), "echo \"got $# arguments, $(wc -c < \"$1\") bytes\"; exit 3");
    let hook = hook.to_string_lossy();
    let mut watch = Watch::start(&into, &["--on", NEVER, "--for", "1s", "--hook", &hook, "--", "-c", "filp"]);
    watch.signal(Signal::USR2);
    watch.until("SIGUSR2 asks for it; recording for 1 s");
    watch.until(&format!("{}/memtrace-", into.display()));
    let (name, members) = bundle(&into);
    assert!(text(&members, "host/after/slabinfo").contains("filp"));
    let len = fs::metadata(into.join(&name)).expect("it is there").len();
    watch.until(&format!("hook: got 1 arguments, {len} bytes"));
    watch.until("hook failed: exit code 3");
    // It goes on.
    watch.signal(Signal::USR2);
    watch.until("recording for 1 s");
    watch.until("hook failed: exit code 3");
    assert_eq!(names(&into).len(), 2);
    watch.end();
}

fn watch_kills_a_hook_that_hangs_and_goes_on() {
    let directory = TempDir::new().expect("there is room");
    let into = directory.path().join("bundles");
    let hook = script(directory.path(), "sleep 1000");
    let hook = hook.to_string_lossy();
    let arguments =
        ["--on", NEVER, "--for", "1s", "--hook", &hook, "--hook-time", "500ms", "--", "-c", "filp"];
    let mut watch = Watch::start(&into, &arguments);
    for _ in 0..2 {
        watch.signal(Signal::USR2);
        watch.until("recording for 1 s");
        watch.until("hook killed: it took more than 500 ms");
    }
    watch.end();
}

fn watch_records_for_an_alert() {
    let directory = TempDir::new().expect("there is room");
    let into = directory.path().join("bundles");
    let arguments = ["--on", NEVER, "--for", "1s", "--webhook", "127.0.0.1:0", "--", "-c", "filp"];
    let mut watch = Watch::start(&into, &arguments);
    let address = watch.webhook();
    let body = r#"{"alerts":[{"status":"firing","labels":{"alertname":"SlabGrows"}}]}"#;
    let post = || assert_eq!(post(&address, "/", body).as_deref(), Some("HTTP/1.1 200 OK"));
    post();
    watch.until("the alert SlabGrows fires; recording for 1 s");
    watch.until("/memtrace-");
    bundle(&into);
    post();
    watch.until("the alert SlabGrows fires; not recorded again so soon");
    watch.end();
}

/// The first line of the answer, if anybody listens.
fn post(address: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let len = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len}");
    write!(stream, "{head}\r\nConnection: close\r\n\r\n{body}").ok()?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).ok()?;
    Some(status.trim_end().to_owned())
}

const ALERTMANAGER: &str = "prometheus-alertmanager";

/// Without Alertmanager there is nothing to test.
pub fn has_alertmanager() -> bool {
    host::has(ALERTMANAGER)
}

/// With its configuration, and all that it keeps, in this directory. Also where it listens.
pub fn start_alertmanager(directory: &Path, text: &str) -> (Running, String) {
    let configuration = directory.join("alertmanager.yml");
    fs::write(&configuration, text).expect("there is room");
    let address = free_address();
    let process = Command::new(ALERTMANAGER)
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.path={}", directory.join("alerts").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .expect("Alertmanager starts");
    (process, address)
}

fn watch_records_for_an_alertmanager() {
    if !has_alertmanager() {
        return;
    }
    let directory = TempDir::new().expect("there is room");
    let into = directory.path().join("bundles");
    let arguments = ["--on", NEVER, "--for", "1s", "--webhook", "127.0.0.1:0", "--", "-c", "filp"];
    let mut watch = Watch::start(&into, &arguments);
    let text = format!(
        "route: {{receiver: memtrace, group_wait: 0s}}\n\
         receivers: [{{name: memtrace, webhook_configs: [{{url: 'http://{}/'}}]}}]\n",
        watch.webhook()
    );
    let (alertmanager, address) = start_alertmanager(directory.path(), &text);
    let alert = r#"[{"labels":{"alertname":"MemtraceLeak","instance":"a"}}]"#;
    let answered = || post(&address, "/api/v2/alerts", alert).is_some_and(|line| line.contains(" 200 "));
    wait_for("Alertmanager", answered);
    watch.until("the alert MemtraceLeak fires; recording for 1 s");
    watch.until("/memtrace-");
    drop(alertmanager);
    bundle(&into);
    watch.end();
}

fn watch_keeps_a_census() {
    let directory = TempDir::new().expect("there is room");
    let watch = Watch::start(directory.path(), &["--on", NEVER, "--census", "1h"]);
    let path = directory.path().join("census.json");
    wait_for("a census", || path.exists());
    let text = fs::read_to_string(&path).expect("it is whole");
    let census: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(census["type"], "census");
    watch.end();
}

/// Names of bundles that were kept earlier.
const FLOOD: &str = "memtrace-20260101T000000Z-flood-1000000.tar.zst";
const OLD: &str = "memtrace-20260101T000001Z-none-0.tar.zst";

fn watch_drops_the_least_bad_bundle() {
    let directory = TempDir::new().expect("there is room");
    for name in [FLOOD, OLD, "notes.txt"] {
        fs::write(directory.path().join(name), "x").expect("there is room");
    }
    let arguments = ["--on", NEVER, "--for", "1s", "--keep", "2", "--", "-c", "filp"];
    let mut watch = Watch::start(directory.path(), &arguments);
    watch.signal(Signal::USR2);
    watch.until("/memtrace-");
    watch.until(&format!("{OLD} (1 B) removed: it was the least bad"));
    let names = names(directory.path());
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&FLOOD.to_owned()) && names.contains(&"notes.txt".to_owned()), "{names:?}");
    watch.end();
}

/// All of what is left of a filesystem.
fn fill(directory: &Path) {
    let mut file = File::create(directory.join("filler")).expect("there is room for a file");
    let bytes = vec![b'x'; 64 << 10];
    while file.write_all(&bytes).is_ok() {}
}

fn watch_leaves_no_half_bundle_on_a_full_disk() {
    let small = Mounted::new(c"tmpfs", "size=40m,mode=0700");
    let mut watch = Watch::start(small.path(), &["--on", NEVER, "--for", "3s", "--", "-c", "filp"]);
    watch.signal(Signal::USR2);
    watch.until("the disk has room for a recording of ");
    fill(small.path());
    let failed = watch.until("not recorded: ");
    assert!(failed.contains("No space left on device"), "{failed}");
    assert_eq!(names(small.path()), ["filler"]);
    // The next one is not even begun.
    watch.signal(Signal::USR2);
    watch.until("not recorded: there is no room for it");
    fs::remove_file(small.path().join("filler")).expect("it is ours");
    watch.signal(Signal::USR2);
    watch.until("/memtrace-");
    bundle(small.path());
    watch.end();
}

fn watch_makes_room_on_a_full_disk() {
    let small = Mounted::new(c"tmpfs", "size=150m,mode=0700");
    // With both of them there is not enough room.
    let bytes = vec![b'x'; 50 << 20];
    for name in [FLOOD, OLD] {
        fs::write(small.path().join(name), &bytes).expect("there is room");
    }
    let arguments = ["--on", NEVER, "--for", "1s", "--max-size", "40M", "--", "-c", "filp"];
    let mut watch = Watch::start(small.path(), &arguments);
    watch.signal(Signal::USR2);
    watch.until(&format!("{OLD} (50.0 MiB) removed: the disk is full, and it was the least bad"));
    watch.until("/memtrace-");
    let names = names(small.path());
    assert!(names.len() == 2 && names.contains(&FLOOD.to_owned()), "{names:?}");
    watch.end();
}

/// The processes that a process started and that run.
fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    let is_child = |child: &u32| {
        let Ok(stat) = fs::read_to_string(format!("/proc/{child}/stat")) else { return false };
        // Behind the name, which may have anything in it: state, parent.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        parent == Some(&pid.to_string())
    };
    pids.filter(is_child).collect()
}

/// The process that records, when it does.
fn recorder(watch: &Watch) -> u32 {
    let of_watch = || children(watch.process.id());
    wait_for("a recorder", || of_watch().len() == 1);
    let recorder = of_watch()[0];
    // Probes and rings are open files.
    let files = || fs::read_dir(format!("/proc/{recorder}/fd")).map_or(0, |files| files.flatten().count());
    wait_for("its probes", || files() > 20);
    recorder
}

fn watch_leaves_nothing_when_it_is_killed() {
    let directory = TempDir::new().expect("there is room");
    let arguments = ["--on", NEVER, "--for", "60s", "--", "-c", "filp"];
    let mut watch = Watch::start(directory.path(), &arguments);
    watch.signal(Signal::USR2);
    watch.until("recording for 1 m");
    let recorder = recorder(&watch);
    watch.process.kill().expect("it is our child");
    watch.process.wait().expect("it is our child");
    // Nobody waits for it but init.
    let is_there = || {
        let stat = fs::read_to_string(format!("/proc/{recorder}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    wait_for("the end of the recorder", || !is_there());
    assert_eq!(names(directory.path()), [""; 0]);
    // A filesystem where files need a name keeps it.
    fs::write(directory.path().join(".memtrace-a1B2c3"), "half").expect("there is room");
    drop(watch);
    let watch = Watch::start(directory.path(), &arguments);
    assert_eq!(names(directory.path()), [""; 0]);
    watch.end();
}

fn watch_packs_what_there_is_when_it_is_ended() {
    let directory = TempDir::new().expect("there is room");
    let arguments = ["--on", NEVER, "--for", "10m", "--", "-c", "filp"];
    let mut watch = Watch::start(directory.path(), &arguments);
    watch.signal(Signal::USR2);
    watch.until("recording for 10 m");
    recorder(&watch);
    let said = watch.end();
    assert!(said.iter().any(|line| line.contains("ending; what was recorded so far is packed")), "{said:#?}");
    bundle(directory.path());
}

fn watch_refuses_what_would_fail_in_the_night() {
    let directory = TempDir::new().expect("there is room");
    let hook = script(directory.path(), "");
    fs::set_permissions(&hook, Permissions::from_mode(0o757)).expect("it is ours");
    let hook = hook.to_string_lossy();
    let into = directory.path().to_string_lossy();
    for (arguments, code, expected) in [
        (&["--hook", &*hook][..], 2, "others than root and its user could change what it runs"),
        (&["--hook", &*into], 2, "it is no file"),
        (&["--on", "dentri > 1G"], 2, "the nearest is dentry"),
        (&["--on", "finding"], 2, "nothing is traced until a condition holds"),
        (&["--", "--redcat"], 2, "--redcat"),
        (&["--", "-o", "x"], 2, "--into"),
        (&["--webhook", "192.0.2.1:1"], 1, "cannot listen on 192.0.2.1:1"),
    ] {
        let output = Command::new(host::memtrace())
            .args(["watch", "--into"])
            .arg(directory.path())
            .args(arguments)
            .output()
            .expect("memtrace starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

/// The host fills in so many seconds: a quarter of an hour, five times as fast.
const FILLS_IN: u32 = 180;

/// What is waited for: ten minutes, five times as fast.
const LASTS: &str = "available lasts < 2m";

/// Bytes of a message, and what it takes: an object of `kmalloc-2k`.
const PAYLOAD: usize = 1024;
const OBJECT: usize = 2048;

fn watch_records_before_memory_runs_out() {
    let (comm, directory) = (unique("fills"), TempDir::new().expect("there is room"));
    let available = || Files::live().meminfo().expect("/proc is mounted").available();
    let at_start = available();
    let each = at_start as usize / FILLS_IN as usize / OBJECT;
    let arguments = ["--on", LASTS, "-i", "2s", "--for", "10s", "--", "-i", "500ms"];
    let mut watch = Watch::start(directory.path(), &arguments);
    let (mut holders, mut next, mut at_trigger) = (Vec::new(), Instant::now(), None);
    while watch.has_said("/memtrace-").is_none() && watch.has_said("not recorded").is_none() {
        // Where the machine has no time to record, there is no need to take its last memory.
        if available() > at_start / 4 {
            let mut holder = Workload::start(&comm, &Task::Messages { count: each, payload: PAYLOAD });
            holder.go();
            holders.push(holder);
        }
        if watch.has_said("holds: available is").is_some() {
            at_trigger.get_or_insert_with(available);
        }
        next += Duration::from_secs(1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        assert!(holders.len() < FILLS_IN as usize, "{:#?}", watch.said);
    }
    let at_trigger = at_trigger.unwrap_or_else(|| panic!("{:#?}", watch.said));
    assert!(at_trigger > at_start / 4, "of {at_start} there were {at_trigger} left: {:#?}", watch.said);
    let (_, members) = bundle(directory.path());
    let report = json(&members, "report.json");
    assert_eq!(report["verdict"]["comm"], comm, "{:#?}", watch.said);
    watch.end();
    holders.into_iter().for_each(Workload::end);
}
