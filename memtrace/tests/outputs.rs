//! Where commands write: whatever stands in the way, nothing else is touched, nothing is left behind, and nobody else reads it.
//! No root is needed, but for files of other owners and full disks.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::{
        fs::{MetadataExt as _, OpenOptionsExt as _, chown, symlink},
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Instant,
};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use tempfile::TempDir;

const PRECIOUS: &[u8] = b"precious";
/// Nobody, by long custom.
const NOBODY: u32 = 65534;

fn v1() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recording/v1.mt")
}

/// A command with an output: how it is called with what it reads and where it writes.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
}

/// Each command that writes without tracing; FROM and TO are paths. Those that trace are among the kernel tests.
const CASES: [Case; 9] = [
    Case { name: "report", arguments: &["report", "FROM", "--out", "TO"] },
    Case { name: "report html", arguments: &["report", "FROM", "-o", "html", "--out", "TO"] },
    Case { name: "report parquet", arguments: &["report", "FROM", "-o", "parquet", "--out", "TO"] },
    Case { name: "diff", arguments: &["diff", "FROM@1s", "FROM", "--out", "TO"] },
    Case { name: "events", arguments: &["events", "FROM", "--out", "TO"] },
    Case { name: "events parquet", arguments: &["events", "FROM", "-o", "parquet", "--out", "TO"] },
    Case { name: "redact", arguments: &["redact", "FROM", "-o", "TO"] },
    Case { name: "bundle", arguments: &["bundle", "--from-recording", "FROM", "-o", "TO"] },
    Case {
        name: "bundle redacted",
        arguments: &["bundle", "--redact", "--from-recording", "FROM", "-o", "TO"],
    },
];

impl Case {
    fn command(&self, from: &Path, to: &Path, force: bool) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memtrace"));
        let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
        // A directory's own name may have such letters.
        command.args(self.arguments.iter().map(|argument| match argument.strip_prefix("FROM") {
            Some(rest) => format!("{from}{rest}"),
            None => (if *argument == "TO" { to } else { argument }).to_owned(),
        }));
        command.args(force.then_some("--force"));
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, from: &Path, to: &Path, force: bool) -> Output {
        self.command(from, to, force).output().expect("memtrace starts")
    }

    #[track_caller]
    fn succeeds(&self, from: &Path, to: &Path, force: bool) -> Vec<u8> {
        let output = self.run(from, to, force);
        assert!(output.status.success(), "{}: {}", self.name, said(&output));
        output.stdout
    }

    #[track_caller]
    fn is_refused(&self, from: &Path, to: &Path, force: bool, words: &str) {
        let output = self.run(from, to, force);
        assert_eq!(output.status.code(), Some(2), "{}: {}", self.name, said(&output));
        assert!(said(&output).contains(words), "{}: {}", self.name, said(&output));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory with a recording, and a path in it that is free.
fn place() -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from.mt"), directory.path().join("to"));
    fs::copy(v1(), &from).unwrap();
    (directory, from, to)
}

#[track_caller]
fn assert_private(case: &Case, path: &Path) {
    let found = path.symlink_metadata().unwrap();
    let expected = (true, 0o600, rustix::process::geteuid().as_raw());
    assert_eq!((found.is_file(), found.mode() & 0o7777, found.uid()), expected, "{}", case.name);
    assert!(found.len() > 0, "{}", case.name);
}

#[track_caller]
fn assert_files(case: &Case, directory: &TempDir, names: &[&str]) {
    let mut found: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, names, "{}", case.name);
}

#[test]
fn a_new_file_is_ours_alone_whatever_the_umask() {
    for case in &CASES {
        for umask in ["000", "022", "777"] {
            let (directory, from, to) = place();
            let command = case.command(&from, &to, false);
            let output = Command::new("sh")
                .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
                .arg(command.get_program())
                .args(command.get_args())
                .output()
                .expect("there is a shell");
            assert!(output.status.success(), "{}: {}", case.name, said(&output));
            assert_private(case, &to);
            assert_files(case, &directory, &["from.mt", "to"]);
        }
    }
}

#[test]
fn what_exists_is_refused_and_replaced_by_force() {
    for case in &CASES {
        let (directory, from, to) = place();
        fs::write(&to, PRECIOUS).unwrap();
        let mut reader = File::open(&to).unwrap();
        case.is_refused(&from, &to, false, "already exists; --force replaces it");
        assert_eq!(fs::read(&to).unwrap(), PRECIOUS);
        case.succeeds(&from, &to, true);
        assert_private(case, &to);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, PRECIOUS, "{}: who had it open reads nothing new", case.name);
        assert_files(case, &directory, &["from.mt", "to"]);
    }
}

#[test]
fn links_are_not_followed() {
    for case in &CASES {
        for target in ["precious", "gone"] {
            let (directory, from, to) = place();
            let precious = directory.path().join("precious");
            fs::write(&precious, PRECIOUS).unwrap();
            symlink(target, &to).unwrap();
            case.is_refused(&from, &to, false, "already exists");
            assert_eq!(fs::read_link(&to).unwrap(), Path::new(target));
            case.succeeds(&from, &to, true);
            assert_private(case, &to);
            assert_eq!(fs::read(&precious).unwrap(), PRECIOUS, "{}", case.name);
            assert_files(case, &directory, &["from.mt", "precious", "to"]);
        }
    }
}

#[test]
fn another_name_of_the_file_keeps_what_it_has() {
    for case in &CASES {
        let (directory, from, to) = place();
        let precious = directory.path().join("precious");
        fs::write(&precious, PRECIOUS).unwrap();
        fs::hard_link(&precious, &to).unwrap();
        case.is_refused(&from, &to, false, "already exists");
        case.succeeds(&from, &to, true);
        assert_private(case, &to);
        assert_eq!(fs::read(&precious).unwrap(), PRECIOUS, "{}", case.name);
        assert_files(case, &directory, &["from.mt", "precious", "to"]);
    }
}

#[test]
fn its_own_input_is_refused() {
    for case in &CASES {
        let (directory, from, to) = place();
        fs::hard_link(&from, &to).unwrap();
        for (path, force) in [(&from, false), (&from, true), (&to, false), (&to, true)] {
            case.is_refused(&from, path, force, "is the file that is being read");
        }
        assert_eq!(fs::read(&from).unwrap(), fs::read(v1()).unwrap());
        assert_files(case, &directory, &["from.mt", "to"]);
    }
}

#[test]
fn another_owner_s_file_is_never_inherited() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can make files of others");
        return;
    }
    for case in &CASES {
        let (directory, from, to) = place();
        fs::write(&to, PRECIOUS).unwrap();
        chown(&to, Some(NOBODY), Some(NOBODY)).unwrap();
        case.is_refused(&from, &to, false, "already exists");
        case.succeeds(&from, &to, true);
        assert_private(case, &to);
        // Who waits for root to write into a FIFO.
        let fifo = directory.path().join("fifo");
        mkfifoat(CWD, &fifo, Mode::RWXU).unwrap();
        chown(&fifo, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut reader = open_nonblocking(&fifo);
        for force in [false, true] {
            case.is_refused(&from, &fifo, force, "the FIFO belongs to user 65534");
        }
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read.is_empty(), "{}", case.name);
    }
}

fn open_nonblocking(path: &Path) -> File {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path).unwrap()
}

#[test]
fn devices_and_fifos_are_written_to() {
    for case in &CASES {
        let (directory, from, to) = place();
        case.succeeds(&from, Path::new("/dev/null"), false);
        assert!(fs::symlink_metadata("/dev/null").unwrap().rdev() != 0, "it is a device still");
        mkfifoat(CWD, &to, Mode::RWXU).unwrap();
        case.is_refused(&from, &to, false, "no process reads from it");
        case.is_refused(&from, &to, true, "no process reads from it");
        let reader = File::options().read(true).write(true).open(&to).unwrap();
        drop(std::thread::spawn({
            let reader = reader.try_clone().unwrap();
            move || std::io::copy(&mut &reader, &mut std::io::sink())
        }));
        case.succeeds(&from, &to, false);
        assert_files(case, &directory, &["from.mt", "to"]);
    }
}

#[test]
fn a_dash_and_dev_stdout_are_standard_output() {
    for case in &CASES {
        let (directory, from, _) = place();
        let dash = case.succeeds(&from, Path::new("-"), false);
        assert!(!dash.is_empty(), "{}", case.name);
        assert!(!case.succeeds(&from, Path::new("/dev/stdout"), false).is_empty(), "{}", case.name);
        assert_files(case, &directory, &["from.mt"]);
    }
}

/// Killed at any time, it leaves what was there, or the whole of what it makes.
#[test]
fn killed_it_leaves_nothing() {
    for case in &CASES {
        let (directory, from, to) = place();
        let started = Instant::now();
        case.succeeds(&from, &to, false);
        let took = started.elapsed();
        let whole = to.metadata().unwrap().len();
        fs::remove_file(&to).unwrap();
        for part in 1..12 {
            let mut child =
                case.command(&from, &to, false).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(took * part / 10);
            child.kill().unwrap();
            let status = child.wait().unwrap();
            if to.exists() {
                // Tokens differ from copy to copy, but not by much.
                assert!(to.metadata().unwrap().len() * 2 > whole, "{}: {status}", case.name);
                assert_private(case, &to);
                fs::remove_file(&to).unwrap();
            } else {
                assert_eq!(status.signal(), Some(9), "{}", case.name);
            }
            assert_files(case, &directory, &["from.mt"]);
        }
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can mount a small tmpfs");
        return;
    }
    for case in &CASES {
        let (directory, from, _) = place();
        let disk = tempfile::tempdir().unwrap();
        let script = format!(
            "mount -t tmpfs -o size=8k tmpfs {disk} && dd if=/dev/zero of={disk}/big bs=4k count=2 status=none; \
            \"$@\"; code=$?; ls -A {disk}; exit $code",
            disk = disk.path().display()
        );
        let command = case.command(&from, &disk.path().join("to"), false);
        let output = Command::new("unshare")
            .args(["-m", "sh", "-c", &script, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .output()
            .expect("there is a shell");
        assert_eq!(output.status.code(), Some(1), "{}: {}", case.name, said(&output));
        assert!(said(&output).contains("No space left on device"), "{}: {}", case.name, said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "big\n", "{}", case.name);
        drop(directory);
    }
}

/// Without a word, the kernel would kill whoever writes more.
#[test]
fn a_limit_on_file_sizes_is_as_a_full_disk() {
    for case in &CASES {
        let (directory, from, to) = place();
        let command = case.command(&from, &to, false);
        let output = Command::new("sh")
            .args(["-c", "ulimit -f 0; exec \"$@\"", "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .output()
            .expect("there is a shell");
        assert_eq!(output.status.code(), Some(1), "{}: {}", case.name, said(&output));
        assert!(said(&output).contains("File too large"), "{}: {}", case.name, said(&output));
        assert_files(case, &directory, &["from.mt"]);
    }
}

#[test]
fn without_proc_the_error_says_which_file_is_missing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can unmount /proc");
        return;
    }
    let script = "umount -l /proc && exec \"$0\" -d 1ms";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_memtrace")])
        .output()
        .expect("util-linux is installed");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("cannot read /proc/self/status"), "{}", said(&output));
}

#[test]
fn a_directory_is_refused_and_what_is_not_there_is_said() {
    for case in &CASES {
        let (directory, from, _) = place();
        case.is_refused(&from, directory.path(), true, "it is a directory");
        let output = case.run(&from, Path::new("/nonexistent/a"), false);
        assert_eq!(output.status.code(), Some(1), "{}", case.name);
        assert!(said(&output).contains("/nonexistent/a: No such file"), "{}: {}", case.name, said(&output));
    }
}

/// What a recorder writes into a pipe is read out of it.
#[test]
fn a_recording_is_read_from_a_pipe() {
    let bytes = fs::read(v1()).unwrap();
    for arguments in [
        &["report", "RECORDING", "-o", "json"][..],
        &["events", "RECORDING"],
        &["diff", "RECORDING", &v1().display().to_string(), "-o", "json"],
        &["report", "RECORDING", "-o", "json", "--at", "peak"],
    ] {
        let of = |name: &str, stdin: Stdio| {
            let arguments = arguments.iter().map(|argument| argument.replace("RECORDING", name));
            let mut command = Command::new(env!("CARGO_BIN_EXE_memtrace"));
            command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("memtrace starts")
        };
        let label = |output: Output| {
            assert!(output.status.success(), "{}", said(&output));
            String::from_utf8(output.stdout)
                .unwrap()
                .replace(v1().to_str().unwrap(), "-")
                .replace("/dev/stdin", "-")
        };
        let expected = label(of(v1().to_str().unwrap(), Stdio::null()).wait_with_output().unwrap());
        for name in ["-", "/dev/stdin"] {
            let mut piped = of(name, Stdio::piped());
            let mut stdin = piped.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, &bytes).unwrap();
            drop(stdin);
            assert_eq!(label(piped.wait_with_output().unwrap()), expected);
            let redirected = of(name, File::open(v1()).unwrap().into());
            assert_eq!(label(redirected.wait_with_output().unwrap()), expected);
        }
    }
    let nothing = Command::new(env!("CARGO_BIN_EXE_memtrace")).args(["diff", "-", "-"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "{}", said(&nothing));
}

/// R12: a path, a mark or a name of any command may come from anybody.
#[test]
fn no_escape_code_reaches_the_terminal() {
    let (directory, from, to) = place();
    let hostile = directory.path().join("x\u{1b}[31m");
    let hostile = hostile.to_str().unwrap();
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    for arguments in [
        &["report", hostile][..],
        &["report", from, "--out", &format!("{hostile}/a")],
        &["report", from, "--at", "mark:\u{1b}[31m"],
        &["report", from, "--at", "\u{1b}[31m"],
        &["report", from, "-c", "\u{1b}[31m["],
        &["report", from, "--incidents", hostile],
        &["report", "--by", "\u{1b}[31m", from],
        &["\u{1b}[31m"],
        &["diff", hostile, from],
        &["diff", from, &format!("{from}@mark:\u{1b}[31m")],
        &["events", hostile],
        &["events", from, "--to", "mark:\u{1b}[31m"],
        &["redact", hostile, "-o", to],
        &["redact", from, "-o", &format!("{hostile}/a")],
        &["bundle", "--from-recording", hostile, "-o", to],
        &["record", "-d", "1ms", "-o", &format!("{hostile}/a")],
        &["explain", "\u{1b}[31m"],
        &["caches", "\u{1b}[31m"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_memtrace")).args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!said(&output).is_empty(), "{arguments:?}");
        assert!(!output.stderr.contains(&0x1b), "{arguments:?}: {}", said(&output).escape_debug());
    }
}

/// Nobody may write beside us, and we say so.
#[test]
fn a_place_that_is_not_ours_is_said() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let (directory, from, _) = place();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), open).unwrap();
    let memtrace = directory.path().join("memtrace");
    fs::copy(env!("CARGO_BIN_EXE_memtrace"), &memtrace).unwrap();
    fs::set_permissions(&from, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let output = Command::new(&memtrace)
        .arg("report")
        .arg(&from)
        .arg("--out")
        .arg(directory.path().join("to"))
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("Permission denied"), "{}", said(&output));
}
