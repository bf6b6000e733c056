//! Every event is accounted for, whatever is lost, whoever stalls, and on whichever CPU it happens.
//!
//! Tests on as many CPUs as there are have names with `cpus_`: they run once more in a VM with many.

use std::{thread, time::Duration};

use rustix::process::Signal;

use crate::{
    Test, host,
    program::{Task, crew},
    session::Session,
    snapshot::Snapshot,
    tests, ways,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    tests![Tracing, ManyCpus:
        cpus_lose_no_count_in_a_flood_through_the_smallest_ring,
        cpus_lose_no_count_in_a_flood_with_stalls,
        cpus_lose_nothing_in_a_stall_of_a_second,
        cpus_that_pass_messages_on_leave_none,
        cpus_that_pass_files_on_leave_none,
    ]
}

/// What a pipe is made of: two of the first, and one of each other.
pub const CACHES_OF_PIPES: [&str; 6] = ["--cache", "filp", "--cache", "dentry", "--cache", "inode_cache"];
const OBJECTS_OF_A_PIPE: u64 = 4;

/// What each thread of a flood makes: together 20 seconds' work for two CPUs, where the machine is not emulated.
pub fn pipes_of_a_flood() -> usize {
    if host::is_our_own() { 10_000 } else { 400_000 }
}

/// Processes of one command name, each with threads that make and close pipes.
pub struct Flood {
    processes: Vec<Workload>,
    pipes: u64,
}

impl Flood {
    const PROCESSES: usize = 2;
    const THREADS: usize = 2;

    pub fn start(comm: &str, pipes: usize) -> Self {
        let task = Task::Flood { threads: Self::THREADS, pipes };
        let processes = (0..Self::PROCESSES).map(|_| Workload::start(comm, &task)).collect();
        Self { processes, pipes: (Self::PROCESSES * Self::THREADS * pipes) as u64 }
    }

    pub fn begin(&mut self) {
        self.processes.iter_mut().for_each(Workload::begin);
    }

    pub fn done(&mut self) {
        self.processes.iter_mut().for_each(Workload::done);
    }

    pub fn objects(&self) -> u64 {
        self.pipes * OBJECTS_OF_A_PIPE
    }
}

/// Whether all of so many objects were seen and are gone. Of those that were not, the events were lost and counted, or the
/// kernel skipped their probes, which it counts as well. Where it preempts probes it skips those of other tasks too, and
/// an allocation that is lost twice counts twice; elsewhere only those of interrupts, in which nobody makes a pipe.
pub fn accounts_for(report: &Snapshot, comm: &str, objects: u64) -> bool {
    let (row, trust) = (report.row(comm), report.trust);
    let skipped = if host::preempts_probes() { trust.recursion_misses } else { 0 };
    let allocs = row.allocs + trust.lost_allocs;
    let frees_unseen = row.objects + trust.reused_pointers;
    allocs.abs_diff(objects) <= skipped && frees_unseen <= trust.lost_frees + trust.recursion_misses
}

/// That it does, and that all figures fit together.
#[track_caller]
pub fn check(last: &Snapshot, comm: &str, objects: u64) {
    let (row, trust) = (last.row(comm), last.trust);
    assert!(accounts_for(last, comm, objects), "{objects} objects are accounted for");
    assert_eq!(row.allocs, row.frees + row.objects, "objects are freed or outstanding");
    assert_eq!((trust.refused, trust.unresolved), (0, 0));
}

/// A page of ring, which one CPU fills a thousand times between two drains.
fn cpus_lose_no_count_in_a_flood_through_the_smallest_ring() {
    ways::rings().iter().for_each(|rings| flood_through_the_smallest_ring(rings));
}

fn flood_through_the_smallest_ring(rings: &[&str]) {
    let comm = unique("flood");
    let mut flood = Flood::start(&comm, pipes_of_a_flood() / 5);
    let session =
        Session::start(&[&CACHES_OF_PIPES[..], rings, &["--comm", &comm, "--ring-bytes", "4096"]].concat());
    flood.begin();
    flood.done();
    // Ending it asserts that what was emitted is what was applied and what was lost.
    let last = session.interrupt();
    assert!(last.trust.lost_allocs > 0 && last.trust.lost_frees > 0);
    check(&last, &comm, flood.objects());
}

/// A ring that holds what comes between two drains, and overflows when there are none. Two threads follow what waits then.
fn cpus_lose_no_count_in_a_flood_with_stalls() {
    ways::rings().iter().for_each(|rings| flood_with_stalls(rings));
}

fn flood_with_stalls(rings: &[&str]) {
    let comm = unique("flood");
    let mut flood = Flood::start(&comm, pipes_of_a_flood());
    let session = Session::start(
        &[&CACHES_OF_PIPES[..], rings, &["--comm", &comm, "--ring-bytes", "1048576", "--readers", "2"]]
            .concat(),
    );
    flood.begin();
    for _ in 0..5 {
        session.signal(Signal::STOP);
        thread::sleep(Duration::from_millis(400));
        session.signal(Signal::CONT);
        thread::sleep(Duration::from_millis(400));
    }
    flood.done();
    let last = session.interrupt();
    check(&last, &comm, flood.objects());
}

/// What each thread makes: together what two CPUs make in a second, 1.1 million events. The rings of our own machine are
/// small: there it is what one of them holds.
fn pipes_of_a_stall() -> usize {
    if host::is_our_own() { 1_200 } else { 35_000 }
}

/// With the rings that users have.
fn cpus_lose_nothing_in_a_stall_of_a_second() {
    ways::rings().iter().for_each(|rings| stall_of_a_second(rings));
}

fn stall_of_a_second(rings: &[&str]) {
    let comm = unique("stall");
    let mut flood = Flood::start(&comm, pipes_of_a_stall());
    let mut session = Session::start(&[&CACHES_OF_PIPES[..], rings, &["--comm", &comm]].concat());
    session.signal(Signal::STOP);
    flood.begin();
    flood.done();
    session.signal(Signal::CONT);
    session.until("all of it", |report| accounts_for(report, &comm, flood.objects()));
    let last = session.interrupt();
    assert_eq!((last.trust.lost_allocs, last.trust.lost_frees), (0, 0));
    check(&last, &comm, flood.objects());
}

/// Objects that are allocated on one CPU and freed on the next, where their addresses are handed out again.
#[track_caller]
fn passed_on(session: &[&str], comm: &str, task: &Task, objects: u64) {
    ways::rings().iter().for_each(|rings| passed_on_by(&[session, rings].concat(), comm, task, objects));
}

#[track_caller]
fn passed_on_by(session: &[&str], comm: &str, task: &Task, objects: u64) {
    let mut relay = Workload::start(comm, task);
    let mut session = Session::start(&[session, &["--comm", comm]].concat());
    relay.go();
    session.until_objects(comm, 0);
    let last = session.interrupt();
    let (row, trust) = (last.row(comm), last.trust);
    assert_eq!((row.objects, row.allocs, row.frees), (0, objects, objects));
    assert_eq!((trust.lost_allocs, trust.lost_frees), (0, 0));
}

/// Times that each CPU passes something on.
fn passes() -> usize {
    let all = if host::is_our_own() { 5_000 } else { 100_000 };
    all / crew::cpus().len()
}

fn all_passes(at_once: usize, laps: usize) -> u64 {
    (crew::cpus().len() * at_once * laps) as u64
}

fn cpus_that_pass_messages_on_leave_none() {
    for at_once in [1, 16] {
        let laps = passes() / at_once;
        let task = Task::RelayMessages { at_once, laps, payload: 464 };
        passed_on(&["--cache", "*-512"], &unique("relay"), &task, all_passes(at_once, laps));
    }
}

fn cpus_that_pass_files_on_leave_none() {
    for at_once in [1, 50] {
        let laps = passes() / at_once;
        let task = Task::RelayFiles { at_once, laps };
        passed_on(&["--cache", "filp"], &unique("relay"), &task, all_passes(at_once, laps));
    }
}
