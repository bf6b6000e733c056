//! `memtrace top FILE` on a terminal, and where there is none. No root is needed.

#[path = "kernel/pty.rs"]
mod pty;
#[path = "kernel/status.rs"]
mod status;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use self::{pty::Terminal, status::assert_confined};

fn memtrace() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_memtrace"))
}

fn v1() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recording/v1.mt");
    path.to_str().expect("it is UTF-8").to_owned()
}

fn start(arguments: &[&str]) -> Terminal {
    start_with(&v1(), arguments)
}

fn start_with(file: &str, arguments: &[&str]) -> Terminal {
    Terminal::start(memtrace(), &[&["top", file][..], arguments].concat(), true, (120, 30))
}

/// Without a terminal.
fn plain(arguments: &[&str]) -> Output {
    Command::new(memtrace()).args(arguments).stdin(Stdio::null()).output().expect("memtrace starts")
}

/// Without the bar: what comes later may not have been read.
fn body(screen: &str) -> Vec<&str> {
    screen.lines().take(20).collect()
}

#[test]
fn a_recording_is_looked_at_forth_and_back() {
    // A path for which its command line needs several lines.
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("a-long-name-".repeat(13)).with_extension("mt");
    fs::copy(v1(), &file).expect("there is room");
    let file = file.to_str().expect("it is UTF-8");
    let mut terminal = start_with(file, &[]);
    // A screen is shown when it is whole, and what stands above the bar is of this moment alone.
    terminal.until(|screen| screen.contains("END") && screen.contains("COMM"));
    let end = terminal.shows();
    terminal.press("\x1b[D\x1b[D");
    terminal.until(|screen| screen.contains(" -2.0 s"));
    terminal.press("bs");
    terminal.until(|screen| screen.contains("CACHE") && screen.contains("by cache"));
    // The command line that it shows, shows the same.
    terminal.press("y");
    terminal.until(|screen| screen.contains("--at"));
    let shown = terminal.shows();
    // It has as many lines as the path of the recording needs.
    let (_, command) = shown.rsplit_once("\nmemtrace top").expect("it is all there");
    let command = command.replace('\n', " ");
    let (_, options) = command.split_once(" --").expect("it has options");
    let options = format!("--{options}");
    let arguments: Vec<_> = options.split_whitespace().collect();
    assert!(arguments.contains(&"--by"), "{command}");
    let mut again = start_with(file, &arguments);
    again.until(|screen| body(screen) == body(&shown));
    // And is where it began.
    terminal.press("bc\x1b[F");
    terminal.until(|screen| body(screen) == body(&end));
    terminal.resize((39, 30));
    terminal.until(|screen| screen.contains("needs 40x10"));
    terminal.resize((120, 30));
    terminal.until(|screen| body(screen) == body(&end));
    terminal.press("q");
    assert!(terminal.ended().success());
    terminal.assert_given_back();
    assert!(terminal.shows().contains("trust: "), "a last table: {}", terminal.shows());
}

#[test]
fn it_is_in_a_sandbox_and_writes_where_it_may() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("a.mt");
    fs::copy(v1(), &file).expect("there is room");
    let mut terminal = start_with(file.to_str().expect("it is UTF-8"), &[]);
    terminal.until(|screen| screen.contains("END") && screen.contains("COMM"));
    assert_confined(terminal.process.id());
    let beside = folder.path().join("beside.txt");
    terminal.press(&format!("w{}\r", beside.display()));
    terminal.until(|screen| screen.contains("wrote "));
    assert!(fs::read_to_string(&beside).expect("it is written").contains("dentry"));
    terminal.press("w/etc/elsewhere.txt\r");
    terminal.until(|screen| screen.contains("is elsewhere: files are written below"));
    // Stopped and gone on, the window has another size.
    terminal.press("\x1a");
    let pid = Pid::from_child(&terminal.process);
    let (_, status) =
        waitpid(Some(pid), WaitOptions::UNTRACED).expect("it is ours").expect("it is waited for");
    assert!(status.stopped());
    // What is typed before the terminal is taken again goes to whoever has it then.
    terminal.until(|screen| !screen.contains("COMM"));
    terminal.signal(Signal::CONT);
    terminal.resize((110, 30));
    terminal.until(|screen| screen.contains("END") && screen.contains("COMM"));
    terminal.press("q");
    assert!(terminal.ended().success());
    terminal.assert_given_back();
}

#[test]
fn whatever_ends_it_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut terminal = start(&[]);
        terminal.until(|screen| screen.contains("END") && screen.contains("COMM"));
        assert!(terminal.screen.screen().alternate_screen());
        terminal.signal(signal);
        assert!(terminal.ended().success());
        terminal.assert_given_back();
    }
    let mut terminal = start(&[]);
    terminal.until(|screen| screen.contains("END") && screen.contains("COMM"));
    terminal.press("\x03");
    assert!(terminal.ended().success());
    terminal.assert_given_back();
}

#[test]
fn the_mouse_is_taken_and_given_back() {
    let mut terminal = start(&["--mouse"]);
    terminal.until(|screen| screen.contains("END") && screen.contains("COMM"));
    let mode = |terminal: &Terminal| terminal.screen.screen().mouse_protocol_mode();
    assert_ne!(mode(&terminal), vt100::MouseProtocolMode::None);
    let row = terminal.shows().lines().position(|line| line.contains("2 caches")).expect("there are views");
    terminal.press(&format!("\x1b[<0;7;{}M\x1b[<0;7;{}m", row + 1, row + 1));
    terminal.until(|screen| screen.contains("OUTSTANDING") || screen.contains("dentry"));
    terminal.press("M");
    terminal.until(|screen| screen.contains("the mouse is the terminal's"));
    assert_eq!(mode(&terminal), vt100::MouseProtocolMode::None);
    terminal.press("M");
    terminal.until(|screen| screen.contains("the mouse clicks"));
    terminal.press("q");
    assert!(terminal.ended().success());
    terminal.assert_given_back();
    assert_eq!(mode(&terminal), vt100::MouseProtocolMode::None);
}

#[test]
fn a_closed_window_ends_it() {
    let mut terminal = start(&[]);
    terminal.until(|screen| screen.contains("END") && screen.contains("COMM"));
    terminal.hang_up();
    // Nobody is there to see the last table.
    assert!(terminal.process.wait().is_ok());
}

#[test]
fn what_is_no_recording_is_said_before_the_screen_is_taken() {
    let mut terminal = Terminal::start(memtrace(), &["top", "/bin/sh"], true, (80, 24));
    assert_eq!(terminal.ended().code(), Some(2));
    terminal.assert_given_back();
    assert_eq!(terminal.shows(), "");
    for (arguments, exit) in [
        (&["top", "/nowhere.mt"][..], 1),
        (&["top", &v1(), "--at", "1h"], 2),
        (&["top", &v1(), "-c", "a["], 2),
        (&["top", &v1(), "-i", "5s"], 2),
        (&["top", "--at", "5s"], 2),
    ] {
        assert_eq!(plain(arguments).status.code(), Some(exit), "{arguments:?}");
    }
}

#[test]
fn without_a_terminal_it_is_the_report() {
    let file = v1();
    let report = plain(&["report", &file, "--at", "3s", "--by", "cache"]);
    let top = plain(&["top", &file, "--at", "3s", "--by", "cache"]);
    assert!(report.status.success() && top.status.success());
    assert_eq!(String::from_utf8_lossy(&top.stdout), String::from_utf8_lossy(&report.stdout));
}
