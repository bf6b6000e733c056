//! The table as it stands on a terminal.

use std::{
    fs::File,
    io::Read as _,
    num::NonZero,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{
    Test, host,
    program::Task,
    tests,
    workload::{Workload, unique},
};

const ROWS: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();

/// Lines that a terminal keeps of what scrolled out of it.
const SCROLLBACK: usize = 500;

/// A terminal that shows nothing new for so long will never.
const SILENCE_MOST: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    tests![Tracing, Once: the_table_fits_a_terminal_of_eighty_columns]
}

fn the_table_fits_a_terminal_of_eighty_columns() {
    let comm = unique("tty");
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut terminal = Terminal::start(&["--cache", "filp", "--interval", "200ms"]);
    terminal.until(|screen| screen.contains("trust:"));
    files.go();
    terminal.until(|screen| screen.contains(&comm) && screen.contains("700"));
    assert!(terminal.screen.screen().hide_cursor(), "nothing blinks in a table that refreshes");
    terminal.interrupt();
    let status = terminal.process.wait().expect("it is our child");
    assert!(status.success(), "{status}");
    terminal.read_rest();
    assert!(!terminal.screen.screen().hide_cursor(), "the cursor is back");
    assert!(terminal.screen.screen().contents().contains("trust: "), "its end is in view");
    // The last block is whole, and has scrolled.
    terminal.screen.screen_mut().set_scrollback(SCROLLBACK);
    let shown = terminal.screen.screen().contents();
    let first = shown.lines().next().unwrap_or_default();
    assert!(first.starts_with("memtrace  FINAL"), "it stands where the others stood:\n{shown}");
    let row = shown.lines().find(|line| line.starts_with(&comm)).expect("whoever holds most is at its top");
    assert!(row.contains("700"), "{row}");
}

/// memtrace on a pseudo-terminal, and what the terminal shows.
struct Terminal {
    process: Child,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there is a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("it is a terminal");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let side = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("a path in /dev"))
            .expect("its other side");
        let process = Command::new(host::memtrace())
            .args(arguments)
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .stdout(side)
            .spawn()
            .expect("memtrace starts");
        let (sender, output) = channel();
        // Ends with an error when the last writer has gone.
        thread::spawn(move || {
            let mut master = File::from(master);
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = master.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { process, output, screen: vt100::Parser::new(ROWS, COLUMNS, SCROLLBACK) }
    }

    #[track_caller]
    fn until(&mut self, is_met: impl Fn(&str) -> bool) {
        while !is_met(&self.screen.screen().contents()) {
            match self.output.recv_timeout(SILENCE_MOST) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => panic!("{error}; the terminal shows:\n{}", self.screen.screen().contents()),
            }
        }
    }

    fn read_rest(&mut self) {
        while let Ok(bytes) = self.output.recv_timeout(SILENCE_MOST) {
            self.screen.process(&bytes);
        }
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).expect("it still runs");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
