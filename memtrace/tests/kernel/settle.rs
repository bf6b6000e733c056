//! What is freed late is not called a leak.

use rustix::process::Signal;

use crate::{
    Test,
    program::Task,
    session::Session,
    tests,
    workload::{Workload, unique},
};

const PIPES: u64 = 1000;

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, EachKernel: objects_that_rcu_frees_after_the_end_are_not_outstanding];
    tests.extend(tests![Tracing, Once:
        what_a_process_held_until_the_end_is_told_though_it_ends_meanwhile,
        a_second_signal_ends_the_settling,
        without_settling_the_end_is_at_once,
    ]);
    tests
}

/// A session over a program that makes pipes, whose inodes RCU frees on every kernel.
fn watch_inodes(settle: &str) -> (String, Workload, Session) {
    let comm = unique("late");
    let mut pipes = Workload::start(&comm, &Task::Pipes(PIPES as usize));
    let mut session = Session::start(&["--cache", "inode_cache", "--comm", &comm, "--settle", settle]);
    pipes.go();
    session.until_objects(&comm, PIPES);
    (comm, pipes, session)
}

/// It may take as long as it likes: nothing is left when all is free.
fn objects_that_rcu_frees_after_the_end_are_not_outstanding() {
    let (comm, mut pipes, session) = watch_inodes("1h");
    pipes.release();
    let last = session.interrupt();
    let row = last.row(&comm);
    assert_eq!((row.objects, row.allocs, row.frees), (0, PIPES, PIPES));
    assert!(last.settled.is_some_and(|settled| settled.freed <= PIPES), "{:?}", last.settled);
}

/// It had not given up what it held.
fn what_a_process_held_until_the_end_is_told_though_it_ends_meanwhile() {
    let (comm, pipes, session) = watch_inodes("1h");
    session.interrupt_and_settle();
    pipes.end();
    let last = session.ended().0;
    let row = last.row(&comm);
    assert_eq!((row.objects, row.objects_until_end, row.frees), (0, PIPES, PIPES));
}

fn a_second_signal_ends_the_settling() {
    let (comm, _pipes, session) = watch_inodes("1h");
    session.signal(Signal::INT);
    // Of the same signal, the second might come before the first was taken.
    let last = session.end_by(Signal::TERM);
    assert_eq!(last.objects(&comm), PIPES);
    assert_eq!(last.settled.map(|settled| settled.freed), Some(0));
}

fn without_settling_the_end_is_at_once() {
    let (comm, _pipes, session) = watch_inodes("0");
    let last = session.interrupt();
    assert_eq!(last.objects(&comm), PIPES);
    assert!(last.settled.is_none(), "{:?}", last.settled);
}
