//! Each in a thread of its own, which stays in its sandbox until it ends.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    os::{
        fd::AsRawFd as _,
        linux::net::SocketAddrExt as _,
        unix::{
            fs::OpenOptionsExt as _,
            net::{SocketAddr, UnixStream},
        },
    },
    process::Command,
    thread,
};

use rustix::{
    fs::{AtFlags, CWD, OFlags, linkat},
    io::Errno,
    process::{Pid, Signal, kill_process},
};
use tempfile::TempDir;

use super::*;

/// A folder with these files in it, which say their own names.
fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|file| fs::write(folder.path().join(file), file).unwrap());
    folder
}

/// What this says in the sandbox; None where the kernel does not enforce all of it.
fn inside<T: Send + 'static>(sandbox: Sandbox, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let thread = thread::spawn(move || {
        let Confined { files, calls } = sandbox.enter();
        calls.expect("seccomp is as old as what memtrace needs");
        let is_all = files.unwrap() == RulesetStatus::FullyEnforced;
        let said = act();
        is_all.then_some(said)
    });
    thread.join().unwrap()
}

fn errno<T>(result: io::Result<T>) -> Option<Errno> {
    result.err().as_ref().and_then(Errno::from_io_error)
}

#[test]
fn no_other_file_is_opened() {
    let folder = folder(&["open", "other"]);
    let path = |name: &str| folder.path().join(name);
    let (mut open, other, new) = (File::open(path("open")).unwrap(), path("other"), path("new"));
    let gone = path("gone");
    let said = inside(Sandbox::default(), move || {
        let mut read = String::new();
        open.read_to_string(&mut read).unwrap();
        let opened = [errno(File::open(&other)), errno(File::open("/etc/passwd")), errno(File::create(&new))];
        (
            read,
            opened,
            errno(fs::rename(&other, &new)),
            errno(fs::remove_file(&other)),
            errno(File::open(gone)),
        )
    });
    let Some((read, opened, renamed, removed, gone)) = said else { return };
    assert_eq!(read, "open", "what is open can be read");
    assert_eq!(opened, [Some(Errno::ACCESS); 3]);
    assert_eq!((renamed, removed), (Some(Errno::ACCESS), Some(Errno::ACCESS)));
    assert_eq!(gone, Some(Errno::NOENT), "what is not there is said to be not there");
    assert_eq!(fs::read(path("other")).unwrap(), b"other");
}

#[test]
fn keys_of_hash_tables_are_random() {
    let said = inside(Sandbox::default(), || {
        RANDOM.map(|path| (errno(File::open(path)), errno(OpenOptions::new().write(true).open(path))))
    });
    if let Some(said) = said {
        assert_eq!(said, [(None, Some(Errno::ACCESS)); 2]);
    }
}

#[test]
fn nothing_is_sent_run_or_looked_into() {
    let parent = rustix::process::getppid();
    let said = inside(Sandbox::default(), move || {
        let name = SocketAddr::from_abstract_name("memtrace-mark-1").unwrap();
        [
            errno(TcpStream::connect("127.0.0.1:9")),
            errno(UdpSocket::bind("127.0.0.1:0")),
            errno(UnixStream::connect_addr(&name)),
            errno(Command::new("/bin/true").status()),
            errno(kill_process(parent.unwrap_or(Pid::INIT), Signal::CONT).map_err(io::Error::from)),
        ]
    });
    if let Some(said) = said {
        assert_eq!(said, [Some(Errno::NOSYS); 5]);
    }
}

/// What a command does to the file that it makes, with the file open beforehand.
#[test]
fn a_file_that_is_open_gets_its_name() {
    let folder = folder(&["old"]);
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(OFlags::TMPFILE.bits().cast_signed());
    let Ok(mut file) = options.open(folder.path()) else { return };
    let at = folder.path().to_owned();
    let sandbox = Sandbox::default().names_in(folder.path());
    inside(sandbox, move || {
        file.write_all(b"new").unwrap();
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, own, CWD, at.join("hidden"), AtFlags::SYMLINK_FOLLOW).unwrap();
        fs::rename(at.join("hidden"), at.join("old")).unwrap();
        assert!(File::create(at.join("another")).is_err(), "it makes no others");
    });
    assert_eq!(fs::read(folder.path().join("old")).unwrap(), b"new");
}

#[test]
fn named_folders_are_read_or_written() {
    let (readable, writable) = (folder(&["a"]), folder(&[]));
    let (read, write) = (readable.path().to_owned(), writable.path().to_owned());
    let sandbox = Sandbox::default().reads_in(&read).writes_in(&write);
    let said = inside(sandbox, move || {
        fs::write(write.join("b"), "b").unwrap();
        (fs::read(read.join("a")).unwrap(), errno(fs::write(read.join("c"), "c")))
    });
    assert_eq!(fs::read(writable.path().join("b")).unwrap(), b"b");
    assert_eq!(said.unwrap_or((b"a".to_vec(), Some(Errno::ACCESS))), (b"a".to_vec(), Some(Errno::ACCESS)));
}

/// As keys are read by one, and a report is sent through a channel.
#[test]
fn threads_and_pairs_of_sockets_go_on() {
    let sum = inside(Sandbox::default(), || {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let writer = thread::spawn(move || one.write_all(b"xy").unwrap());
        let mut read = [0; 2];
        other.read_exact(&mut read).unwrap();
        writer.join().unwrap();
        let busy =
            thread::spawn(|| (0..1_000_u64).map(|number| vec![number; 1_000].len() as u64).sum::<u64>());
        busy.join().unwrap()
    });
    assert!(sum.is_none_or(|sum| sum == 1_000_000));
}
