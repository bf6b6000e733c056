//! `memtrace triage` names what fills the memory, takes it for nothing else, and accuses only who leaks or floods it. Each scene
//! fills it with one kind, a part at a time, as leaks do, beside a window that is open until the scene is over.

use std::{
    fmt,
    fs::File,
    io::{Read as _, Seek as _},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    Test, errors,
    host::{self, directory_on_disk},
    program::{NameStyle, Task},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, OneKernel:
        triage_names_open_files,
        triage_names_sockets,
        triage_names_messages,
        triage_names_shared_memory,
        triage_without_privileges_says_what_it_could_not_do,
    ];
    tests.extend(tests![Tracing, Once: triage_ends_sooner_when_it_is_interrupted]);
    tests.extend(tests![Disk, OneKernel: triage_names_negative_dentries, triage_names_page_cache]);
    // Elsewhere somebody may be at work: whose memory grows, or goes back meanwhile.
    tests.extend(tests![OwnMachine, EachKernel: triage_of_an_idle_host_finds_nothing]);
    tests.extend(tests![OwnMachine, OneKernel: triage_names_the_process_that_grows]);
    tests
}

/// In so many parts a scene fills the memory, one after another, for as long as the window is open. Where we run emulated,
/// triage's programs take half a window to be loaded.
const PARTS: usize = 40;

fn window() -> Duration {
    Duration::from_secs(if host::is_our_own() { 20 } else { 12 })
}

/// The parts that come while the window is open; the others are there in case that triage takes longer.
const PARTS_IN_WINDOW: u32 = 25;

/// Files that a process may have open: by default no more than 4096.
const MAX_FILES: usize = 3500;

/// Found something.
const SUSPECT: i32 = 3;

/// A part of all memory, but not more than this: how much a scene takes at most.
fn share_of_memory(part: u64) -> usize {
    const MAX: u64 = 900 << 20;
    (total_memory() / part).min(MAX) as usize
}

fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}

/// Ended when dropped.
struct Triage {
    process: Option<Child>,
    /// What it says: more than a pipe holds, and nobody reads until it has ended.
    said: File,
}

impl Triage {
    fn start(window: Duration) -> Self {
        let mut command = Command::new(host::memtrace());
        let window = format!("{}s", window.as_secs());
        let said = tempfile::tempfile().expect("there is a directory for temporary files");
        let stdout = said.try_clone().expect("a descriptor is free");
        command.args(["triage", "-o", "json", "-d", &window]).stdout(stdout).stderr(Stdio::piped());
        Self { process: Some(command.spawn().expect("memtrace starts")), said }
    }

    fn process(&mut self) -> &mut Child {
        self.process.as_mut().expect("it was not waited for yet")
    }

    fn has_ended(&mut self) -> bool {
        self.process().try_wait().expect("it is our child").is_some()
    }

    fn answer(mut self) -> Answer {
        let process = self.process.take().expect("it was not waited for yet");
        let mut output = process.wait_with_output().expect("it is our child");
        self.said.rewind().expect("it is a file");
        self.said.read_to_end(&mut output.stdout).expect("it is ours");
        Answer::of(&output)
    }
}

impl Drop for Triage {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What triage says of a scene.
struct Answer {
    page: Value,
    exit: Option<i32>,
}

impl Answer {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout);
        let page = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        Self { page, exit: output.status.code() }
    }

    fn text(&self, path: &str) -> &str {
        self.page.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, path: &str) -> i64 {
        self.page.pointer(path).and_then(Value::as_i64).unwrap_or_default()
    }

    fn list(&self, path: &str) -> &[Value] {
        self.page.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// It is accused, and is of this kind; the parts of the memory add up.
    #[track_caller]
    fn check_accused(&self, charge: &str, kind: &str, detail: &str) {
        self.check_first(charge, kind, detail);
        assert_eq!((self.text("/suspect"), self.exit), (kind, Some(SUSPECT)), "{self}");
    }

    /// It is seen, and nobody is accused.
    #[track_caller]
    fn check_harmless(&self, kind: &str) {
        self.check_first("", kind, "");
        assert_eq!((self.text("/suspect"), self.exit), ("", Some(0)), "{self}");
    }

    #[track_caller]
    fn check_first(&self, charge: &str, kind: &str, detail: &str) {
        let of = |field: &str| self.text(&format!("/findings/0/{field}"));
        assert_eq!((of("charge"), of("kind"), of("detail")), (charge, kind, detail), "{self}");
        let parts = self.page.pointer("/memory/parts").and_then(Value::as_object).expect("it has parts");
        let sum: i64 = parts.values().filter_map(|part| part.get("bytes")?.as_i64()).sum();
        assert_eq!(sum, self.number("/memory/total"));
    }

    /// The trace says that this command makes the objects of this cache.
    #[track_caller]
    fn check_claim(&self, cache: &str, comm: &str) {
        assert_eq!(self.text("/tracing/state"), "done", "{self}");
        let claims = self.list("/findings/0/claims");
        let is_claimed = |claim: &Value| claim["comm"] == comm && claim["cache"] == cache;
        assert!(claims.iter().any(is_claimed), "{self}");
    }
}

/// What tells why a test failed: all of it is too long to read.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in [
            "/short",
            "/findings",
            "/memory/parts",
            "/caches/rows",
            "/tracing/why",
            "/tracing/snapshot/rows",
            "/notes",
        ] {
            writeln!(f, "{path}: {}", self.page.pointer(path).unwrap_or(&Value::Null))?;
        }
        Ok(())
    }
}

/// Opens a window, and has the programs do their parts one after another while it is open.
fn scene(comm: &str, task: impl Fn(usize) -> Task) -> Answer {
    let mut programs: Vec<_> = (0..PARTS).map(|part| Workload::start(comm, &task(part))).collect();
    let mut triage = Triage::start(window());
    let mut next = Instant::now();
    for program in &mut programs {
        if triage.has_ended() {
            break;
        }
        program.go();
        next += window() / PARTS_IN_WINDOW;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let answer = triage.answer();
    programs.into_iter().for_each(Workload::end);
    answer
}

fn triage_names_open_files() {
    let comm = unique("files");
    // 256 bytes each.
    let each = MAX_FILES.min(share_of_memory(32) / 256 / PARTS);
    let answer = scene(&comm, |_| Task::OpenFiles(each));
    answer.check_accused("leak", "slab", "files");
    answer.check_claim("filp", &comm);
}

fn triage_names_sockets() {
    let comm = unique("socks");
    // Two sockets of some 2 KiB each.
    let each = (MAX_FILES / 2).min(share_of_memory(16) / 4096 / PARTS);
    let answer = scene(&comm, |_| Task::SocketPairs(each));
    answer.check_accused("leak", "slab", "sockets");
    assert_eq!(answer.text("/findings/0/claims/0/comm"), comm, "{answer}");
}

fn triage_names_messages() {
    let comm = unique("msgs");
    let each = share_of_memory(64) / 512 / PARTS;
    let answer = scene(&comm, |_| Task::Messages { count: each, payload: 400 });
    answer.check_accused("leak", "slab", "kmalloc");
    assert_eq!(answer.text("/findings/0/claims/0/comm"), comm, "{answer}");
}

fn triage_names_negative_dentries() {
    let comm = unique("names");
    let disk = directory_on_disk();
    // Some 192 bytes each.
    let each = share_of_memory(64) / 192 / PARTS;
    let answer = scene(&comm, |part| {
        let within = disk.path().join(part.to_string());
        std::fs::create_dir(&within).expect("the test's directory is ours");
        Task::NegativeDentries { within, count: each, names: NameStyle::DoesNotExist }
    });
    answer.check_accused("flood", "slab", "negative_dentries");
    answer.check_claim("dentry", &comm);
    let place = answer.text("/findings/0/claims/0/place");
    assert!(place.ends_with("/db/.<n>_dOeSnotExist_.db"), "{place}");
}

/// While memory is not short: a compiler grows too.
fn triage_names_the_process_that_grows() {
    let comm = unique("heap");
    let answer = scene(&comm, |_| Task::Heap(share_of_memory(16) / PARTS));
    answer.check_harmless("processes");
    assert_eq!(answer.text("/findings/0/commands/0/comm"), comm);
    assert_eq!(answer.number("/findings/0/commands/0/processes"), PARTS as i64);
}

fn triage_names_shared_memory() {
    let comm = unique("share");
    let answer = scene(&comm, |_| Task::SharedMemory(share_of_memory(16) / PARTS));
    answer.check_harmless("shared");
}

fn triage_names_page_cache() {
    let comm = unique("reads");
    let disk = directory_on_disk();
    let answer = scene(&comm, |part| Task::ReadFile {
        within: disk.path().to_owned(),
        number: part,
        // Some hosts take cold pages back all the time, so that what is read has to be a lot.
        bytes: (total_memory() / 10) as usize / PARTS,
    });
    answer.check_harmless("page_cache");
}

fn triage_of_an_idle_host_finds_nothing() {
    let mut command = Command::new(host::memtrace());
    let output = command.args(["triage", "-o", "json", "-d", "10s"]).output().expect("memtrace starts");
    let answer = Answer::of(&output);
    assert_eq!((answer.list("/findings"), answer.exit), (&[][..], Some(0)), "{answer}");
    assert!(answer.page["suspect"].is_null());
    assert_eq!(answer.text("/tracing/state"), "done");
}

/// Whoever may not trace, and may not read slabinfo, gets a page of what anybody may read.
fn triage_without_privileges_says_what_it_could_not_do() {
    let output = errors::as_nobody(&["triage", "-o", "json", "-d", "2s"]);
    let answer = Answer::of(&output);
    assert!(matches!(answer.exit, Some(0 | SUSPECT)));
    let notes = answer.list("/notes");
    assert!(
        notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains("slabinfo"))),
        "{notes:?}"
    );
}

fn triage_ends_sooner_when_it_is_interrupted() {
    let mut triage = Triage::start(Duration::from_secs(600));
    // Nothing tells that it listens, so the signal is repeated until it is heard.
    while !triage.has_ended() {
        thread::sleep(Duration::from_millis(500));
        let _ = kill_process(Pid::from_child(triage.process()), Signal::INT);
    }
    let answer = triage.answer();
    assert!(answer.number("/elapsed_ns") < 600_000_000_000, "that is all of its window");
}
