//! What may happen to the machine under a session. These tests make it happen, so the machine must be their own.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use crate::{
    Test,
    exact::{CACHES_OF_PIPES, Flood, accounts_for, check, pipes_of_a_flood},
    program::{Task, crew},
    session::Session,
    snapshot::Snapshot,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![OwnMachine, ManyCpus: cpus_that_go_under_a_flood_take_no_count_along, cpus_that_come_count_too];
    tests.extend(tests![OwnMachine, OneKernel:
        a_clock_that_is_set_changes_the_time_and_no_age,
        a_suspend_makes_nothing_older,
    ]);
    tests
}

/// A CPU that is offline until it is dropped.
struct Offline(PathBuf);

impl Offline {
    fn take(cpu: usize) -> Self {
        let offline = Self(PathBuf::from(format!("/sys/devices/system/cpu/cpu{cpu}/online")));
        fs::write(&offline.0, "0").expect("a CPU may go");
        offline
    }

    /// All but the first, which may not go.
    fn all_others() -> Vec<Self> {
        crew::cpus().into_iter().skip(1).map(Self::take).collect()
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        fs::write(&self.0, "1").expect("a CPU that went may come");
    }
}

fn cpus_that_go_under_a_flood_take_no_count_along() {
    let comm = unique("flood");
    let mut flood = Flood::start(&comm, pipes_of_a_flood());
    let mut session = Session::start(&[&CACHES_OF_PIPES[..], &["--comm", &comm]].concat());
    flood.begin();
    for cpu in crew::cpus().into_iter().skip(1) {
        drop(Offline::take(cpu));
    }
    flood.done();
    // What they counted before they went still counts.
    let _gone = Offline::all_others();
    session.until("all of it", |report| accounts_for(report, &comm, flood.objects()));
    check(&session.interrupt(), &comm, flood.objects());
}

fn cpus_that_come_count_too() {
    let comm = unique("flood");
    let gone = Offline::all_others();
    let mut flood = Flood::start(&comm, pipes_of_a_flood() / 2);
    let mut session = Session::start(&[&CACHES_OF_PIPES[..], &["--comm", &comm]].concat());
    flood.begin();
    drop(gone);
    flood.done();
    session.until("all of it", |report| accounts_for(report, &comm, flood.objects()));
    check(&session.interrupt(), &comm, flood.objects());
}

const HOUR: i64 = 3600;

/// The wall clock, put back when dropped.
struct WallClock {
    stepped: i64,
}

impl WallClock {
    /// Sets it so many seconds ahead of the right time.
    fn set_ahead(&mut self, seconds: i64) {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
        let time = Timespec { tv_sec: tv_sec - self.stepped + seconds, tv_nsec };
        clock_settime(ClockId::Realtime, time).expect("root may set the clock");
        self.stepped = seconds;
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        self.set_ahead(0);
    }
}

/// Seconds that the wall clock went between two reports beyond those that passed.
fn seconds_ahead(earlier: &Snapshot, later: &Snapshot) -> i64 {
    let passed = Duration::from_nanos(later.elapsed_ns - earlier.elapsed_ns);
    let expected = earlier.time() + passed;
    let seconds = |duration: Duration| duration.as_secs() as i64;
    match later.time().duration_since(expected) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

/// The oldest object got older by as much as the session did, to the nanosecond.
#[track_caller]
fn check_age(earlier: &Snapshot, later: &Snapshot, comm: &str) {
    let age = |report: &Snapshot| report.row(comm).oldest_ns.expect("it holds objects");
    assert_eq!(age(later) - age(earlier), later.elapsed_ns - earlier.elapsed_ns);
}

fn a_clock_that_is_set_changes_the_time_and_no_age() {
    let [comm, late] = ["files", "late"].map(unique);
    let mut files = Workload::start(&comm, &Task::OpenFiles(500));
    let mut session = Session::start(&["--cache", "filp"]);
    let mut old = Session::start(&["--cache", "filp", "--older", "1h"]);
    files.go();
    let first = session.until_objects(&comm, 500);
    let mut clock = WallClock { stepped: 0 };
    for hours in [6, -6, 0] {
        clock.set_ahead(hours * HOUR);
        let mut more = Workload::start(&late, &Task::OpenFiles(300));
        more.go();
        let mut before: Option<Snapshot> = None;
        let report = session.until("the new time", |report| {
            if let Some(before) = before.replace(report.clone()) {
                check_rate(&before, report, &late);
            }
            (seconds_ahead(&first, report) - hours * HOUR).abs() < HOUR && report.objects(&late) == 300
        });
        check_age(&first, &report, &comm);
        let report = old.until("its row", |report| report.row(&comm).allocs == 500);
        assert_eq!(report.objects(&comm), 0, "no object is an hour old");
        more.end();
        session.until_objects(&late, 0);
    }
    let last = session.interrupt();
    assert_eq!((last.objects(&comm), last.row(&late).allocs), (500, 900));
}

/// The rate is that of what was counted between two reports.
#[track_caller]
fn check_rate(earlier: &Snapshot, later: &Snapshot, comm: &str) {
    let seconds = (later.elapsed_ns - earlier.elapsed_ns) as f64 / 1e9;
    let (row, counted) = (later.row(comm), later.row(comm).allocs - earlier.row(comm).allocs);
    assert!(
        (row.allocs_per_s * seconds - counted as f64).abs() < 0.5,
        "{} /s is {counted}",
        row.allocs_per_s
    );
}

/// Enough to fall asleep before the alarm rings, which nobody would hear.
const SLEEP: &str = "+8";

/// Puts the machine to sleep. Returns how long it slept.
fn suspend() -> Duration {
    const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
    let now = |clock| Duration::try_from(clock_gettime(clock)).expect("clocks count up from boot");
    let slept = || now(ClockId::Boottime).saturating_sub(now(ClockId::Monotonic));
    let before = slept();
    fs::write(ALARM, SLEEP).expect("the clock can wake the machine");
    fs::write("/sys/power/state", "mem").expect("the machine can sleep");
    slept() - before
}

/// CLOCK_MONOTONIC stands still meanwhile: ages and rates are of the time that the machine was awake.
fn a_suspend_makes_nothing_older() {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(500));
    let start = Instant::now();
    let mut session = Session::start(&["--cache", "filp", "--comm", &comm]);
    files.go();
    let first = session.until_objects(&comm, 500);
    let slept = suspend();
    assert!(slept > Duration::from_secs(1), "it slept {slept:?}");
    // One that was made before may be read after.
    let report = session
        .until("a report after it", |report| seconds_ahead(&first, report) >= slept.as_secs() as i64 - 2);
    check_age(&first, &report, &comm);
    assert!(Duration::from_nanos(report.elapsed_ns) <= start.elapsed(), "its sleep counts as time");
    files.release();
    session.until_objects(&comm, 0);
    let row = session.interrupt().row(&comm);
    assert_eq!((row.allocs, row.frees), (500, 500));
}
