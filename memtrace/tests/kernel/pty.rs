//! memtrace on a pseudo-terminal: what the terminal shows, and somebody at its keyboard.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZero,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Termios, Winsize, tcgetattr, tcsetwinsize},
};

/// Lines that a terminal keeps of what scrolled out of it.
const SCROLLBACK: usize = 500;

/// What a terminal does not show by then it never will.
const SHOWN_WITHIN: Duration = Duration::from_secs(120);

pub struct Terminal {
    pub process: Child,
    /// None when it has hung up.
    master: Option<File>,
    output: Receiver<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    has_hung_up: Arc<AtomicBool>,
    pub screen: vt100::Parser,
    /// Of a screen that is being drawn: a terminal shows it when it is whole.
    unshown: Vec<u8>,
    before: Termios,
}

/// Columns and rows.
pub type Size = (u16, u16);

impl Terminal {
    /// `has_keyboard`: else standard input is empty.
    pub fn start(program: &Path, arguments: &[&str], has_keyboard: bool, (columns, rows): Size) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("there is a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        tcsetwinsize(&master, winsize((columns, rows))).expect("it is a terminal");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let name = name.to_str().expect("a path in /dev").to_owned();
        let side = || File::options().read(true).write(true).open(&name).expect("its other side");
        let before = tcgetattr(&master).expect("it is a terminal");
        let process = Command::new(program)
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(if has_keyboard { Stdio::from(side()) } else { Stdio::null() })
            .stdout(side())
            .stderr(Stdio::null())
            .spawn()
            .expect("memtrace starts");
        let (sender, output) = channel();
        let master = File::from(master);
        let reader = master.try_clone().expect("a descriptor can be copied");
        let has_hung_up = Arc::<AtomicBool>::default();
        let hangs_up = Arc::clone(&has_hung_up);
        let reader = thread::spawn(move || read_all(reader, &hangs_up, &sender));
        let dimension = |cells| NonZero::new(cells).expect("a window has cells");
        let screen = vt100::Parser::new(dimension(rows), dimension(columns), SCROLLBACK);
        let (master, reader) = (Some(master), Some(reader));
        Self { process, master, output, reader, has_hung_up, screen, unshown: Vec::new(), before }
    }

    /// Closes the window, as it were.
    pub fn hang_up(&mut self) {
        self.has_hung_up.store(true, Relaxed);
        let reader = self.reader.take().expect("it hangs up once");
        reader.join().expect("it only reads");
        self.master = None;
    }

    fn master(&self) -> &File {
        self.master.as_ref().expect("it has not hung up")
    }

    /// Without blanks at the ends of lines, which nobody sees.
    pub fn shows(&self) -> String {
        let contents = self.screen.screen().contents();
        contents.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// Waits until it shows something.
    #[track_caller]
    pub fn until(&mut self, is_met: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + SHOWN_WITHIN;
        while !is_met(&self.shows()) {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("{error}; the terminal shows:\n{}", self.shows()),
            }
        }
    }

    /// Types these characters.
    pub fn press(&mut self, keys: &str) {
        self.master().write_all(keys.as_bytes()).expect("somebody reads");
    }

    pub fn resize(&mut self, (columns, rows): Size) {
        tcsetwinsize(self.master(), winsize((columns, rows))).expect("it is a terminal");
        let dimension = |cells| NonZero::new(cells).expect("a window has cells");
        self.screen.screen_mut().set_size(dimension(rows), dimension(columns));
        // The kernel tells it only to those whom the terminal controls.
        self.signal(Signal::WINCH);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it still runs");
    }

    /// Waits for its end, and for the rest of what it shows.
    pub fn ended(&mut self) -> ExitStatus {
        let status = self.process.wait().expect("it is our child");
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.take(&bytes);
        }
        self.screen.process(&std::mem::take(&mut self.unshown));
        status
    }

    /// As terminals do that know synchronized updates: what is drawn between a beginning and an end is shown at once.
    fn take(&mut self, bytes: &[u8]) {
        const BEGIN: &[u8] = b"\x1b[?2026h";
        const END: &[u8] = b"\x1b[?2026l";
        self.unshown.extend(bytes);
        let unshown = &self.unshown;
        let last = |wanted: &[u8]| unshown.windows(wanted.len()).rposition(|found| found == wanted);
        // The beginning itself may come in two parts.
        let is_begun = |len: &usize| unshown.ends_with(&BEGIN[..*len]);
        let whole = match last(BEGIN) {
            Some(begin) if last(END) < Some(begin) => begin,
            _ => unshown.len() - (1..BEGIN.len()).rev().find(is_begun).unwrap_or(0),
        };
        self.screen.process(&self.unshown[..whole]);
        self.unshown.drain(..whole);
    }

    /// The terminal is as it was.
    #[track_caller]
    pub fn assert_given_back(&self) {
        let screen = self.screen.screen();
        assert!(!screen.hide_cursor(), "the cursor is back");
        assert!(!screen.alternate_screen(), "the screen is back");
        let (before, after) = (&self.before, tcgetattr(self.master()).expect("it is a terminal"));
        assert_eq!(
            (before.local_modes, before.input_modes, before.output_modes),
            (after.local_modes, after.input_modes, after.output_modes)
        );
    }
}

/// Until the last writer has gone, or the terminal hangs up.
fn read_all(mut reader: File, hangs_up: &AtomicBool, sender: &Sender<Vec<u8>>) {
    let mut bytes = [0; 4096];
    let a_moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !hangs_up.load(Relaxed) {
        let is_there = poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&a_moment));
        if is_there == Ok(0) {
            continue;
        }
        let Ok(read @ 1..) = reader.read(&mut bytes) else { break };
        if sender.send(bytes[..read].to_vec()).is_err() {
            break;
        }
    }
}

fn winsize((columns, rows): Size) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
