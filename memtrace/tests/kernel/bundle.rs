//! Marks, bundles and redaction: what a recording that somebody gives away has in it, and what it has not.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::PermissionsExt as _,
            net::{SocketAddr, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use flate2::read::GzDecoder;
use memtrace::evidence::recording::{Block, Entry, Reader};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Test, errors, host,
    host::directory_on_disk,
    outputs,
    program::{NameStyle, Task},
    snapshot::Snapshot,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Nothing, Once: a_mark_without_a_recording_is_an_error, a_mark_goes_to_no_impostor];
    tests.extend(tests![Tracing, Once: a_window_between_marks_is_exact, who_may_not_mark_is_told]);
    tests.extend(tests![Disk, OneKernel: a_bundle_names_the_flooder, a_redacted_bundle_has_no_names]);
    tests
}

/// How often something is looked for that comes by itself, and how far apart.
const MAX_LOOKS: usize = 600;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

#[track_caller]
pub fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    for _ in 0..MAX_LOOKS {
        if is_there() {
            return;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    panic!("it never came: {what}");
}

/// A running `memtrace record`. Ended when dropped.
struct Recording {
    process: Child,
    directory: TempDir,
}

impl Recording {
    /// Returns when its probes are attached: then the header is written.
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("the directory for temporary files is writable");
        let path = directory.path().join("recording.mt");
        let mut command = Command::new(host::memtrace());
        command.args(["record", "-i", "200ms", "-o"]).arg(&path).args(arguments).stderr(Stdio::piped());
        let recording = Self { process: command.spawn().expect("memtrace starts"), directory };
        wait_for("a recording", || path.metadata().is_ok_and(|metadata| metadata.len() > 0));
        recording
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("recording.mt")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it still runs");
    }

    fn mark(&self, label: &str) {
        let pid = self.process.id().to_string();
        let output = run(&["mark", "--pid", &pid, label]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Returns when the recording in its file has so many marks.
    fn wait_for_marks(&self, count: usize) {
        wait_for("a mark", || marks(&self.path()) >= count);
    }

    /// Ends it as Ctrl-C does.
    fn end(&mut self) {
        self.signal(Signal::INT);
        assert!(self.process.wait().expect("it is our child").success());
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(host::memtrace()).args(arguments).output().expect("memtrace starts")
}

fn marks(path: &Path) -> usize {
    let Ok(reader) = Reader::open(path) else { return 0 };
    let plain = reader.places().iter().filter_map(|place| reader.plain(place).ok());
    let marks = |plain: Vec<u8>| {
        let block = Block::read(&plain).expect("its checksum is right");
        block.columns.entries().filter(|entry| matches!(entry, Ok(Entry::Mark(..)))).count()
    };
    plain.map(marks).sum()
}

fn report(path: &Path, arguments: &[&str]) -> Snapshot {
    let output = Command::new(host::memtrace())
        .args(["report", "-o", "json", "--top", "1000000"])
        .args(arguments)
        .arg(path)
        .output()
        .expect("memtrace starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Snapshot::parse_and_check(&String::from_utf8_lossy(&output.stdout))
}

fn a_window_between_marks_is_exact() {
    let comm = unique("marks");
    let mut recording = Recording::start(&["--cache", "filp", "--comm", &comm]);
    let mut programs = [30, 40, 50].map(|count| Workload::start(&comm, &Task::OpenFiles(count)));
    programs[0].go();
    recording.signal(Signal::USR1);
    recording.wait_for_marks(1);
    programs[1].go();
    recording.mark("b");
    programs[2].go();
    recording.end();
    programs.into_iter().for_each(Workload::end);
    let objects = |arguments: &[&str]| report(&recording.path(), arguments).objects(&comm);
    assert_eq!(objects(&[]), 120);
    assert_eq!(objects(&["--to", "mark:SIGUSR1"]), 30);
    assert_eq!(objects(&["--from", "mark:SIGUSR1", "--to", "mark:b"]), 40);
    assert_eq!(objects(&["--from", "mark:b"]), 50);
}

fn who_may_not_mark_is_told() {
    let recording = Recording::start(&["--cache", "filp", "--comm", "nobody-at-all"]);
    let pid = recording.process.id().to_string();
    let output = errors::as_nobody(&["mark", "--pid", &pid, "x"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("only root") && text.contains("sudo memtrace mark"), "{text}");
    assert_eq!(marks(&recording.path()), 0);
}

fn a_mark_without_a_recording_is_an_error() {
    // More than the kernel ever gives.
    let output = run(&["mark", "--pid", &i32::MAX.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let output = run(&["mark", &"x".repeat(201)]);
    assert_eq!(output.status.code(), Some(2));
}

/// Anybody may listen where a recorder would.
fn a_mark_goes_to_no_impostor() {
    let address = SocketAddr::from_abstract_name("memtrace-mark-1").expect("it is short");
    let impostor = UnixListener::bind_addr(&address).expect("nobody records as process 1");
    let output = run(&["mark", "--pid", "1", "secret"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let (mut stream, _) = impostor.accept().expect("it asked who listens");
    let mut label = Vec::new();
    stream.read_to_end(&mut label).expect("it has gone");
    assert_eq!(label, b"", "the label is nobody else's");
    let own = format!("belongs to another program (process {},", std::process::id());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&own), "{output:?}");
}

/// In so many parts a program looks up names that do not exist, so far apart: a flood that is steady.
const PARTS: usize = 24;
const BETWEEN_PARTS: Duration = Duration::from_millis(250);
const EACH: usize = 200;

/// Secrets that are in names: nothing that stays in a redacted bundle has them.
const SECRET: &str = "Geheimnis";

/// The programs of a flood, each of which has a directory of its own.
fn flood(comm: &str, disk: &Path, parts: usize) -> Vec<Workload> {
    let program = |part: usize| {
        let within = disk.join(format!("{SECRET}-{part}"));
        fs::create_dir(&within).expect("the test's directory is ours");
        Workload::start(comm, &Task::NegativeDentries { within, count: EACH, names: NameStyle::DoesNotExist })
    };
    (0..parts).map(program).collect()
}

/// Unpacks a bundle: names below its directory, and what is in them.
pub fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = File::open(path).expect("the bundle is there");
    let mut tar = tar::Archive::new(zstd::Decoder::new(file).expect("it is of zstd"));
    let member = |entry: Result<tar::Entry<'_, _>, _>| {
        let mut entry = entry.expect("it is a tar");
        let name = entry.path().expect("it has a name").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("it is whole");
        (name.split_once('/').expect("it is in a directory").1.to_owned(), bytes)
    };
    tar.entries().expect("it is a tar").map(member).collect()
}

pub fn text(members: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8(members.get(name).unwrap_or_else(|| panic!("no {name}")).clone()).expect("it is text")
}

pub fn json(members: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_str(&text(members, name)).expect("it is JSON")
}

fn a_bundle_names_the_flooder() {
    let (comm, disk) = (unique("flood"), directory_on_disk());
    // More than there is time for.
    let mut programs = flood(&comm, disk.path(), 3 * PARTS);
    let path = disk.path().join("incident.tar.zst");
    let mut bundle = Command::new(host::memtrace())
        .args(["bundle", "-c", "dentry", "--comm", &comm, "-i", "250ms", "-d", "8s", "-o"])
        .arg(&path)
        .stderr(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    wait_for("the bundle's recording", || outputs::has_written(&bundle));
    for program in &mut programs {
        if bundle.try_wait().expect("it is our child").is_some() {
            break;
        }
        program.go();
        thread::sleep(BETWEEN_PARTS);
    }
    let output = bundle.wait().map(|status| (status, bundle.stderr.take()));
    let (status, errors) = output.expect("it is our child");
    let mut said = String::new();
    errors.expect("it is piped").read_to_string(&mut said).expect("it is text");
    programs.into_iter().for_each(Workload::end);
    assert!(status.success(), "{said}");
    assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    let left = fs::read_dir(disk.path()).expect("it is ours").flatten();
    let left: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");

    let members = unpacked(&path);
    let readme = text(&members, "README.txt");
    // Its lines break where they are full.
    let sentences = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    let names_it = [" <", " ("].iter().any(|behind| sentences.contains(&format!("- {comm}{behind}")));
    assert!(names_it, "{readme}");
    assert!(sentences.contains("floods dentry") && readme.contains(".<n>_dOeSnotExist_.db"), "{readme}");
    assert!(said.contains("floods dentry") && said.contains("incident.tar.zst"), "{said}");
    for name in [
        "recording.mt",
        "report.txt",
        "report.md",
        "report.json",
        "flame.svg",
        "profile.pb.gz",
        "triage.md",
        "triage.json",
        "host/before/slabinfo",
        "host/after/slabinfo",
        "host/before/meminfo",
        "host/after/vmstat",
        "host/after/buddyinfo",
        "host/before/dentry-state",
        "host/before/zoneinfo",
        "host/after/cgroups",
        "host/mounts",
        "host/uname",
        "host/cmdline",
        "host/memtrace-check",
    ] {
        assert!(
            members.get(name).is_some_and(|bytes| !bytes.is_empty()),
            "{name} is missing: {:?}",
            members.keys()
        );
        let listed = name.replace("/before/", "/*/").replace("/after/", "/*/");
        assert!(readme.contains(name) || readme.contains(&listed), "{name} is not in {readme}");
    }
    let report = json(&members, "report.json");
    assert_eq!(report["verdict"]["comm"], comm);
    assert_eq!(json(&members, "triage.json")["type"], "triage");
    assert!(text(&members, "host/after/slabinfo").contains("dentry"));
    let recording = disk.path().join("recording.mt");
    fs::write(&recording, &members["recording.mt"]).expect("the disk has room");
    assert_eq!(
        self::report(&recording, &[]).objects(&comm),
        report["rows"][0]["objects"].as_u64().unwrap_or(0)
    );
}

fn a_redacted_bundle_has_no_names() {
    let (comm, disk) = (unique("secre"), directory_on_disk());
    let mut programs = flood(&comm, disk.path(), PARTS);
    let mut recording = Recording::start(&["--cache", "dentry", "--stacks", "both", "--comm", &comm]);
    for (at, program) in programs.iter_mut().enumerate() {
        thread::sleep(BETWEEN_PARTS);
        program.go();
        if at == PARTS / 2 {
            recording.mark(SECRET);
        }
    }
    recording.end();
    programs.into_iter().for_each(Workload::end);

    let (copy, bundle) = (disk.path().join("copy.mt"), disk.path().join("redacted.tar.zst"));
    let [original, copied, bundled] =
        [recording.path(), copy.clone(), bundle.clone()].map(|path| path.display().to_string());
    for arguments in [
        &["redact", &original, "-o", &copied][..],
        &["bundle", "--redact", "--from-recording", &original, "-o", &bundled],
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let program = std::env::current_exe().expect("/proc is mounted");
    let program = program.file_name().expect("it is a file").to_string_lossy();
    let secrets = [&comm, SECRET, "dOeSnotExist", &program, "memtrace-test-", "--workload"];
    let check = |what: &str, bytes: &[u8]| {
        for secret in secrets {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{secret} is in {what}");
        }
    };
    // They are there to be found in the original.
    let in_original = plain(&original);
    assert!(
        secrets[..4]
            .iter()
            .all(|secret| in_original.windows(secret.len()).any(|window| window == secret.as_bytes()))
    );

    let members = unpacked(&bundle);
    for (name, bytes) in &members {
        check(name, bytes);
    }
    let unzip = |bytes: &[u8]| {
        let mut plain = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut plain).expect("it is of gzip");
        plain
    };
    check("the profile", &unzip(&members["profile.pb.gz"]));
    let of_bundle = disk.path().join("of-bundle.mt");
    fs::write(&of_bundle, &members["recording.mt"]).expect("the disk has room");
    for path in [&of_bundle, &copy] {
        check("the blocks", &plain(&path.display().to_string()));
        check("the file", &fs::read(path).expect("it is ours"));
    }

    // What it says is what the original says.
    let (was, is) = (report(&recording.path(), &[]), report(&copy, &[]));
    let counts = |report: &Snapshot| {
        report.rows.iter().map(|row| (row.objects, row.allocs, row.frees, row.processes)).collect::<Vec<_>>()
    };
    assert_eq!(counts(&was), counts(&is));
    assert_eq!(was.objects(&comm), (PARTS * EACH) as u64);
    let claim = |report: &Snapshot| {
        let verdict = report.verdict.clone().expect("the flood is steady");
        (verdict.is, verdict.cache, verdict.negative_share, verdict.started_by.len())
    };
    assert_eq!(claim(&was), claim(&is));
    let names =
        |report: &Snapshot| report.rows[0].names.iter().map(|names| names.objects).collect::<Vec<_>>();
    assert_eq!(names(&was), names(&is));
    // Another key, so other tokens.
    assert_ne!(is.rows[0].key, json(&members, "report.json")["rows"][0]["comm"]);
}

/// The bytes of all blocks, and of the header.
fn plain(path: &str) -> Vec<u8> {
    let reader = Reader::open(Path::new(path)).expect("it is a recording");
    let blocks = reader.places().iter().flat_map(|place| reader.plain(place).expect("it is whole"));
    reader.header.to_bytes().into_iter().chain(blocks).collect()
}
