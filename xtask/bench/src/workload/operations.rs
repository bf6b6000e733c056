//! What the loads do.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Access, AtFlags, Mode, OFlags, accessat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;

use super::{Bound, Measured, Workload};
use crate::process::own_cpu_ns;

/// The clock is looked at between batches only.
const BATCH: u64 = 64;

/// A workload that is ready to run.
pub struct Prepared {
    workload: Workload,
    /// A CPU for each thread.
    cpus: Vec<usize>,
    names: Option<MissingNames>,
}

pub fn prepare(workload: Workload, threads: usize, directory: &Path) -> io::Result<Prepared> {
    let names = (workload == Workload::Negative).then(|| MissingNames::new(directory)).transpose()?;
    let cpus = allowed_cpus()?.into_iter().cycle().take(threads).collect();
    Ok(Prepared { workload, cpus, names })
}

impl Prepared {
    pub fn run(&mut self, bound: Bound) -> io::Result<Measured> {
        let cpu_before = own_cpu_ns()?;
        let (ops, wall) = self.operate(bound)?;
        Ok(Measured {
            ops,
            wall_ns: wall.as_nanos() as u64,
            cpu_ns: own_cpu_ns()? - cpu_before,
            threads: self.cpus.len() as u64,
        })
    }

    fn operate(&mut self, bound: Bound) -> io::Result<(u64, Duration)> {
        let cpus = &self.cpus;
        match self.workload {
            Workload::Open => on_each(cpus, bound, open_null),
            Workload::Eventfd => on_each(cpus, bound, make_eventfd),
            Workload::Socketpair => on_each(cpus, bound, make_socketpair),
            Workload::Mix => on_each(cpus, bound, || {
                open_null()?;
                make_eventfd()?;
                make_socketpair()
            }),
            Workload::Fork => {
                pin_to(cpus[0])?;
                let mut stack = vec![0; CHILD_STACK];
                repeat(bound, || fork_and_wait(&mut stack))
            }
            Workload::Negative => {
                pin_to(cpus[0])?;
                let names = self.names.as_mut().expect("they were prepared");
                repeat(bound, || names.look_up())
            }
        }
    }
}

/// Repeats an operation until a bound is met. Returns how often, and how long it took.
fn repeat(bound: Bound, mut operation: impl FnMut() -> io::Result<()>) -> io::Result<(u64, Duration)> {
    let start = Instant::now();
    let mut ops = 0;
    while ops < bound.ops && start.elapsed() < bound.time {
        let batch = BATCH.min(bound.ops - ops);
        for _ in 0..batch {
            operation()?;
        }
        ops += batch;
    }
    Ok((ops, start.elapsed()))
}

/// A thread on each CPU, all starting together, each doing its share.
fn on_each(
    cpus: &[usize],
    bound: Bound,
    operation: impl Fn() -> io::Result<()> + Sync,
) -> io::Result<(u64, Duration)> {
    let share = Bound { ops: bound.ops / cpus.len() as u64, ..bound };
    let start = Barrier::new(cpus.len());
    let thread = &|cpu: usize| {
        let pinned = pin_to(cpu);
        start.wait();
        pinned?;
        repeat(share, &operation)
    };
    let done: io::Result<Vec<_>> = std::thread::scope(|scope| {
        let threads: Vec<_> = cpus.iter().map(|&cpu| scope.spawn(move || thread(cpu))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let done = done?;
    let slowest = done.iter().map(|(_, wall)| *wall).max().unwrap_or_default();
    Ok((done.iter().map(|(ops, _)| ops).sum(), slowest))
}

fn open_null() -> io::Result<()> {
    rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(())
}

fn make_eventfd() -> io::Result<()> {
    eventfd(0, EventfdFlags::CLOEXEC)?;
    Ok(())
}

fn make_socketpair() -> io::Result<()> {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok(())
}

const CHILD_STACK: usize = 64 << 10;

/// As `vfork` and `_exit` in C, which Rust cannot call: the child would return into our frame.
fn fork_and_wait(stack: &mut [u8]) -> io::Result<()> {
    extern "C" fn exit_at_once(_: *mut libc::c_void) -> libc::c_int {
        0
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child shares our memory, but has this stack to itself and touches nothing else; we are stopped until it has
    // exited. The stack grows down from its end, which glibc aligns.
    let pid = unsafe {
        libc::clone(exit_at_once, stack.as_mut_ptr_range().end.cast(), flags, std::ptr::null_mut())
    };
    let child = Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error)?;
    waitpid(Some(child), WaitOptions::empty())?;
    Ok(())
}

/// Names that do not exist, in a directory of their own. The kernel keeps each name's dentry until the directory goes.
struct MissingNames {
    open: File,
    /// Removed when this is dropped.
    _directory: TempDir,
    number: u64,
}

impl MissingNames {
    fn new(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::tempdir_in(parent)?;
        Ok(Self { open: File::open(directory.path())?, _directory: directory, number: 0 })
    }

    fn look_up(&mut self) -> io::Result<()> {
        self.number += 1;
        let mut buffer = [0; NAME_LEN];
        match accessat(&self.open, name(&mut buffer, self.number), Access::EXISTS, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Err(io::Error::other("a name exists that should not")),
        }
    }
}

/// `.` and 16 digits: short enough to be in the dentry itself on every kernel, so that a lookup makes one object.
const NAME_LEN: usize = 18;

/// Written without the formatting machinery, which would be a good part of the operation.
fn name(buffer: &mut [u8; NAME_LEN], number: u64) -> &CStr {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    buffer[0] = b'.';
    for (at, digit) in buffer[1..NAME_LEN - 1].iter_mut().enumerate() {
        *digit = DIGITS[(number >> (4 * at) & 15) as usize];
    }
    CStr::from_bytes_until_nul(buffer).expect("the last byte is 0")
}

/// The CPUs that we may run on, the last first: interrupts go to the first ones.
fn allowed_cpus() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).rev().filter(|&cpu| allowed.is_set(cpu)).collect())
}

fn pin_to(cpu: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    const SHORT: Bound = Bound { ops: 100, time: Duration::from_secs(60) };

    #[test]
    fn an_operation_runs_as_often_as_is_counted() {
        for ops in [0, 1, BATCH, 100, 1000] {
            let mut calls = 0;
            let (counted, _) = repeat(Bound { ops, ..SHORT }, || {
                calls += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!((counted, calls), (ops, ops));
        }
        let (counted, _) = repeat(Bound { time: Duration::ZERO, ..SHORT }, || Ok(())).unwrap();
        assert_eq!(counted, 0);
    }

    #[test]
    fn every_workload_runs_a_hundred_operations_and_leaves_nothing() {
        for &workload in Workload::value_variants() {
            let directory = tempfile::tempdir().unwrap();
            // A thread of its own, because it pins itself.
            let measured = std::thread::scope(|scope| {
                let run = || prepare(workload, workload.threads(), directory.path())?.run(SHORT);
                scope.spawn(run).join().unwrap().unwrap()
            });
            assert_eq!(measured.ops, 100, "{workload:?}");
            assert_eq!(measured.threads, workload.threads() as u64, "{workload:?}");
            assert!(measured.wall_ns > 0, "{workload:?}");
            assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "{workload:?}");
        }
    }

    #[test]
    fn names_differ_and_have_their_full_length() {
        let text = |number| name(&mut [0; NAME_LEN], number).to_str().unwrap().to_owned();
        assert_eq!(text(0), ".0000000000000000");
        assert_eq!(text(0x12f), ".f210000000000000");
        assert_eq!(text(u64::MAX), ".ffffffffffffffff");
    }
}
