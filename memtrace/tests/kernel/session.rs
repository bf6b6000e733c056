//! A running `memtrace`, read report by report.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{host, snapshot::Snapshot};

/// Reports that a condition may take to come true: RCU frees objects when it sees fit.
const MAX_REPORTS: usize = 150;

/// How a session exits that was asked to fail on a finding, and has one.
const FINDING: i32 = 3;

/// A report that takes longer will never come. Emulated, on a busy machine, all takes long.
fn report_most() -> Duration {
    Duration::from_secs(if host::is_our_own() { 240 } else { 60 })
}

/// The most probes that the kernel skipped in one session since [`take_misses`].
static MISSES: AtomicU64 = AtomicU64::new(0);

/// How many probes the kernel skipped in one session since the last call: with any, its counts may not be exact.
pub fn take_misses() -> u64 {
    MISSES.swap(0, Ordering::Relaxed)
}

/// The last report of a session since [`take_last`].
static LAST: Mutex<Option<Snapshot>> = Mutex::new(None);

/// The last report since the last call, for whoever wonders why a test failed.
pub fn take_last() -> Option<Snapshot> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).take()
}

pub struct Session {
    process: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    pub last: Snapshot,
}

impl Session {
    /// Starts a session; returns when its probes are attached, which the first report shows.
    pub fn start<A: AsRef<OsStr>>(arguments: &[A]) -> Self {
        Self::of(Command::new(host::memtrace()), arguments)
    }

    /// The same, of a memtrace that is started in some way of its own.
    pub fn of<A: AsRef<OsStr>>(mut memtrace: Command, arguments: &[A]) -> Self {
        let mut process = memtrace
            .args(["--output", "json", "--interval", "200ms", "--top", "1000000"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("memtrace starts");
        let stdout = process.stdout.take().expect("it is piped");
        let mut stderr = process.stderr.take().expect("it is piped");
        // Read at once, so that no report is ever left out because the pipe is full.
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let nothing = Snapshot::default();
        let mut session = Self { process, lines, errors: Some(errors), last: nothing };
        session.next();
        session
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Reads reports until one meets the condition; those that came before the call do not count.
    #[track_caller]
    pub fn until(&mut self, expected: &str, mut is_met: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        while let Ok(line) = self.lines.try_recv() {
            self.take(&line);
        }
        for report in 1..=MAX_REPORTS {
            if is_met(self.next()) {
                return self.last.clone();
            }
            if report % (MAX_REPORTS / 3) == 0 {
                eprintln!("not in {report} reports: {expected}; trust: {:?}", self.last.trust);
            }
        }
        panic!("not in {MAX_REPORTS} reports: {expected}");
    }

    /// Reads reports until the row of this key has so many objects.
    #[track_caller]
    pub fn until_objects(&mut self, key: &str, objects: u64) -> Snapshot {
        self.until(&format!("{objects} objects of {key:?}"), |report| report.objects(key) == objects)
    }

    /// Ends the session, and waits until it traces no allocations any more and follows frees. It has closed some of its probes
    /// then, closes no more, and only sleeps between two looks at its rings.
    pub fn interrupt_and_settle(&self) {
        const SLEEPS: u64 = 20;
        let (before, mut open, mut since) = (self.probes(), 0, 0);
        self.signal(Signal::INT);
        loop {
            let (probes, sleeps) = (self.probes(), self.sleeps());
            if probes != open || probes == before {
                (open, since) = (probes, sleeps);
            }
            if sleeps >= since + SLEEPS {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many files it has open that are none: probes, and some that stay.
    fn probes(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").flatten();
        let is_none = |target: PathBuf| target.as_os_str().as_encoded_bytes().starts_with(b"anon_inode:");
        files.filter(|file| fs::read_link(file.path()).is_ok_and(is_none)).count()
    }

    fn sleeps(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sleeps.and_then(|sleeps| sleeps.trim().parse().ok()).expect("the kernel counts them")
    }

    /// Ends the session as Ctrl-C does. Returns its last report.
    #[track_caller]
    pub fn interrupt(self) -> Snapshot {
        self.end_by(Signal::INT)
    }

    /// Likewise, where it was asked to fail on a finding, and has one.
    #[track_caller]
    pub fn interrupt_with_finding(self) -> Snapshot {
        self.signal(Signal::INT);
        self.ended_with(FINDING).0
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.process_id(), signal).expect("it still runs");
    }

    #[track_caller]
    pub fn end_by(self, signal: Signal) -> Snapshot {
        self.signal(signal);
        self.ended().0
    }

    pub fn kill(mut self) {
        self.process.kill().expect("it still runs");
        self.process.wait().expect("it is our child");
    }

    fn process_id(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Reads until the session ends. Returns its last report and how many came before it. Every session must end well.
    #[track_caller]
    pub fn ended(self) -> (Snapshot, usize) {
        self.ended_with(0)
    }

    #[track_caller]
    fn ended_with(mut self, code: i32) -> (Snapshot, usize) {
        let mut reports = 0;
        while !self.last.is_final {
            self.next();
            reports += 1;
        }
        let after = self.lines.recv_timeout(report_most()).ok();
        assert_eq!(after, None, "the final report is the last line");
        let status = self.process.wait().expect("it is our child");
        assert_eq!(status.code(), Some(code), "{status}: {}", self.errors());
        assert!(self.last.trust.is_conserved(), "events are missing: {:?}", self.last.trust);
        (self.last.clone(), reports)
    }

    #[track_caller]
    fn next(&mut self) -> &Snapshot {
        let Ok(line) = self.lines.recv_timeout(report_most()) else {
            let _ = self.process.kill();
            panic!("no report came: {}", self.errors());
        };
        self.take(&line);
        &self.last
    }

    fn take(&mut self, line: &str) {
        let (is_first, last) = (self.last.time.is_empty(), Snapshot::parse(line));
        let (before, misses) = (self.last.trust.recursion_misses, last.trust.recursion_misses);
        assert!(misses >= before, "misses fell from {before}: {line}");
        self.last = if is_first || last.is_final { Snapshot::parse_and_check(line) } else { last };
        MISSES.fetch_max(self.last.trust.recursion_misses, Ordering::Relaxed);
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.last.clone());
    }

    fn errors(&mut self) -> String {
        self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that failed leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
