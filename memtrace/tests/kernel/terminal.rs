//! A session as it stands on a terminal: the table that refreshes, and the live view with somebody at the keyboard.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use rustix::process::Signal;

use crate::{
    Test, host,
    program::Task,
    pty::Terminal,
    snapshot::Snapshot,
    tests,
    workload::{Workload, unique},
};

/// Lines that may have scrolled out of the window.
const SCROLLED: usize = 500;

pub fn tests() -> Vec<Test> {
    tests![Tracing, Once:
        the_table_fits_a_terminal_of_eighty_columns,
        the_live_view_is_worked_with_keys,
        a_recording_begins_and_ends_at_a_key,
        a_closed_window_ends_a_session,
    ]
}

fn the_table_fits_a_terminal_of_eighty_columns() {
    let comm = unique("tty");
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let arguments = ["--cache", "filp", "--interval", "200ms", "-o", "table"];
    let mut terminal = Terminal::start(&host::memtrace(), &arguments, false, (80, 24));
    terminal.until(|screen| screen.contains("trust:"));
    files.go();
    terminal.until(|screen| screen.contains(&comm) && screen.contains("700"));
    assert!(terminal.screen.screen().hide_cursor(), "nothing blinks in a table that refreshes");
    terminal.signal(Signal::INT);
    let status = terminal.ended();
    assert!(status.success(), "{status}");
    assert!(terminal.shows().contains("trust: "), "its end is in view");
    assert_last_table(terminal, &comm, "700");
}

/// The last block is whole, and has scrolled.
#[track_caller]
fn assert_last_table(mut terminal: Terminal, comm: &str, objects: &str) {
    terminal.assert_given_back();
    terminal.screen.screen_mut().set_scrollback(SCROLLED);
    let shown = terminal.shows();
    let first = shown.lines().next().unwrap_or_default();
    assert!(first.starts_with("memtrace  FINAL"), "it stands where it began:\n{shown}");
    let row = shown.lines().find(|line| line.starts_with(comm)).expect("whoever holds most is at its top");
    assert!(row.contains(objects), "{row}");
}

/// One session: somebody leaks, is found, looked at, left behind in time, written down.
fn the_live_view_is_worked_with_keys() {
    let comm = unique("keys");
    let directory = tempfile::tempdir().expect("there is room");
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let arguments = ["--cache", "filp", "--interval", "200ms"];
    let mut terminal = Terminal::start(&host::memtrace(), &arguments, true, (100, 30));
    terminal.until(|screen| screen.contains("LIVE"));
    files.go();
    terminal.until(|screen| screen.contains(&comm) && screen.contains("700"));
    terminal.press(&format!("/{comm}"));
    terminal.until(|screen| screen.contains("1 line"));
    terminal.press("\r\r");
    terminal.until(|screen| screen.contains("objects 700") && screen.contains("STARTED BY"));
    // Whatever happens now, the moment stays.
    terminal.press(" ");
    terminal.until(|screen| screen.contains("PAUSED"));
    files.release();
    terminal.press("B");
    terminal.until(|screen| screen.contains(" to "));
    terminal.press(" ");
    terminal.until(|screen| screen.contains("LIVE since") && !screen.contains("objects 700"));
    terminal.press("\x1b");
    terminal.until(|screen| screen.contains("-700"));
    // Back in time there is nothing to compare.
    terminal.press("B{");
    terminal.until(|screen| screen.contains("PAUSED") && !screen.contains("-700"));
    let path = directory.path().join("rows.csv");
    terminal.press(&format!("w{}\r", path.display()));
    terminal.until(|screen| screen.contains("wrote /"));
    assert!(fs::read_to_string(&path).expect("it was written").starts_with("host,time,"));
    // What rows are by changes at once.
    terminal.press("\x1b[F\x1b");
    terminal.until(|screen| screen.contains("LIVE") && !screen.contains("filter: "));
    terminal.press("bs");
    terminal.until(|screen| screen.contains("by cache") && screen.contains("LIVE"));
    terminal.press("bc2");
    terminal.until(|screen| screen.contains("RECLAIM"));
    terminal.resize((30, 6));
    terminal.until(|screen| screen.contains("memtrace needs 40x10"));
    terminal.resize((100, 30));
    terminal.until(|screen| screen.contains("RECLAIM"));
    terminal.press("q");
    let status = terminal.ended();
    assert!(status.success(), "{status}");
    terminal.assert_given_back();
    terminal.screen.screen_mut().set_scrollback(SCROLLED);
    let shown = terminal.shows();
    assert!(shown.contains("memtrace  FINAL") && shown.contains("by comm"), "{shown}");
}

/// With the session's options, and whole when it ends: by a key, or with the view.
fn a_recording_begins_and_ends_at_a_key() {
    let comm = unique("rec");
    let directory = tempfile::tempdir().expect("there is room");
    let arguments = ["--cache", "filp", "--comm", &comm, "--by", "pid"];
    let mut terminal = Terminal::start(&host::memtrace(), &arguments, true, (100, 30));
    terminal.until(|screen| screen.contains("LIVE"));
    let mut record = |name: &str, end: &mut dyn FnMut(&mut Terminal)| {
        let path = directory.path().join(name);
        let mut files = Workload::start(&comm, &Task::OpenFiles(700));
        terminal.press(&format!("R{}\r", path.display()));
        terminal.until(|screen| screen.contains("REC LIVE"));
        // Its header comes when all is attached.
        while fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        files.go();
        end(&mut terminal);
        let report =
            Command::new(host::memtrace()).arg("report").args([&path, Path::new("-o")]).arg("json").output();
        let report = Snapshot::parse(&String::from_utf8_lossy(&report.expect("memtrace starts").stdout));
        assert_eq!((report.rows.len(), report.rows[0].objects), (1, 700), "{report}");
        assert!(report.rows[0].pid.is_some(), "{report}");
        files.end();
    };
    record("one.mt", &mut |terminal| {
        terminal.press("R");
        terminal.until(|screen| screen.contains("recorded ") && !screen.contains("REC"));
    });
    record("two.mt", &mut |terminal| {
        terminal.press("q");
        assert!(terminal.ended().success());
    });
    terminal.assert_given_back();
    assert!(terminal.process.wait().is_ok_and(|status| status.success()));
}

/// As a broken connection does. Nobody is there to see the last table.
fn a_closed_window_ends_a_session() {
    let mut terminal = Terminal::start(&host::memtrace(), &["--cache", "filp"], true, (80, 24));
    terminal.until(|screen| screen.contains("LIVE"));
    terminal.hang_up();
    terminal.process.wait().expect("it is our child");
}
