//! Commands that read recordings, in their sandbox, as the kernel sees them. No root is needed.

#[path = "kernel/status.rs"]
mod status;

use std::{
    fs,
    io::{BufRead as _, BufReader, Error},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use memtrace::rights::sandbox::Sandbox;
use rustix::pty::{OpenptFlags, openpt};

use self::status::assert_confined;

fn memtrace() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_memtrace"))
}

fn v1() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recording/v1.mt")
}

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A recording that was cut is one that may grow.
#[test]
fn a_recording_that_grows_is_followed_in_it() {
    let folder = tempfile::tempdir().expect("there is room");
    let (whole, file) = (fs::read(v1()).expect("it is here"), folder.path().join("grows.mt"));
    fs::write(&file, &whole[..whole.len() / 2]).expect("there is room");
    let mut command = Command::new(memtrace());
    command.args(["report", "--follow", "-o", "json"]).arg(&file).stdout(Stdio::piped());
    let mut reader = Running(command.spawn().expect("memtrace starts"));
    let mut lines = BufReader::new(reader.0.stdout.take().expect("it is piped")).lines();
    assert!(lines.next().expect("the report so far").is_ok());
    assert_confined(reader.0.id());
    // As rsync does: another file, which says the same and more.
    let next = folder.path().join("next");
    fs::write(&next, &whole).expect("there is room");
    fs::rename(&next, &file).expect("it is ours");
    let last = lines.last().expect("the last report").expect("it is text");
    assert!(last.contains("\"final\":true"), "{last}");
    assert!(reader.0.wait().expect("it ends").success());
}

/// What is typed into a terminal's own input, a shell would run.
#[test]
fn nothing_is_typed_into_a_terminal() {
    let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    let typed = thread::spawn(move || {
        Sandbox::default().enter().calls.expect("this kernel has seccomp");
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open, and the kernel writes no more than this structure.
        let asked = unsafe { libc::ioctl(pty.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
        assert_eq!(asked, 0, "{}", Error::last_os_error());
        // SAFETY: as before; it reads one byte.
        let typed = unsafe { libc::ioctl(pty.as_raw_fd(), libc::TIOCSTI, c"x".as_ptr()) };
        (typed, Error::last_os_error().raw_os_error())
    });
    assert_eq!(typed.join().expect("the thread ends"), (-1, Some(libc::ENOSYS)));
}
