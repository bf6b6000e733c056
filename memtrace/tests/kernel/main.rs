//! Tests of the command `memtrace` on the running kernel, as root, against ground truth.
//!
//! A test starts programs that hold a known number of kernel objects ([`workload`], which is this same binary run with
//! [`program::FLAG`]), starts a session beside them ([`session`]), and compares. Nothing waits for a time to pass: programs say
//! when their objects are there, and a session is read until it shows them, or for so many reports. Tracing is
//! system-wide, and so are the objects of other processes: tests look at the rows of their own command names only.
//!
//! Needs nothing else on the machine, so that a static build of it runs in a VM that has only this and `memtrace`.
//! In the environment:
//!
//! - `MEMTRACE_BIN`: the memtrace to test; else the one that cargo built.
//! - `MEMTRACE_TEST_DISK`: a directory on a disk filesystem; else the one for temporary files, if it is on one.
//! - `MEMTRACE_TEST_MODULES`: a directory of modules for the running kernel, set only where the machine is the tests' own.
//! - `MEMTRACE_NO_SKIP=1`: what cannot be tested here fails, unless it needs a machine of its own.
//! - `MEMTRACE_TEST_NODES`: how many NUMA nodes there are, where that is known.
//! - `MEMTRACE_TEST_MACHINE`: which of the machines of `cargo xtask test` this is: only its tests run ([`runs`]).
//! - `MEMTRACE_TEST_EVERY_WAY`: set where the kernel is known to have all ways to learn names.

mod ages;
mod attribution;
mod budget;
mod bulk;
mod census;
mod cgroup;
mod consumers;
mod elsewhere;
mod bundle;
mod errors;
mod events;
mod exact;
mod explain;
mod filters;
mod groups;
mod host;
mod hostile;
mod lifecycle;
mod look;
mod machine;
mod modules;
mod names;
mod objects;
mod outputs;
mod program;
mod pty;
mod recording;
mod rights;
mod runs;
mod scrapers;
mod seeds;
#[path = "../scenes/mod.rs"]
mod scenes;
mod serve;
mod session;
mod settle;
mod snapshot;
mod soak;
mod status;
mod terminal;
mod torture;
mod trees;
mod triage;
mod untraced;
mod watch;
mod ways;
mod verdict;
mod workload;
mod wreck;

use std::{
    panic::{RefUnwindSafe, catch_unwind, resume_unwind},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use runs::Runs;

/// A test: its name, what it needs beside the right to trace, and where it runs.
struct Test {
    name: String,
    needs: Needs,
    runs: Runs,
    run: Box<dyn Fn() + Send + RefUnwindSafe>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Tracing,
    /// Tracing, and a directory whose filesystem keeps negative dentries.
    Disk,
    /// Tracing, and a machine that is the tests' own: they step its clock, load modules, take CPUs away.
    OwnMachine,
}

/// Instead of libtest's arguments: prints which tests there are, and on which machines they run.
const LIST_MACHINES: &str = "--list-machines";

/// Likewise: plays all scenes, and prints what is said of each.
const SCENES: &str = "--scenes";

/// Attempts at a test.
const MAX_TRIES: usize = 2;

/// Makes tests of functions; each is called like its function.
macro_rules! tests {
    ($needs:ident, $runs:ident: $($name:ident),+ $(,)?) => {
        vec![$($crate::Test::new(stringify!($name), $crate::Needs::$needs, $crate::Runs::$runs, $name)),+]
    };
}
use tests;

impl Test {
    fn new(
        name: impl Into<String>,
        needs: Needs,
        runs: Runs,
        run: impl Fn() + Send + RefUnwindSafe + 'static,
    ) -> Self {
        Self { name: name.into(), needs, runs, run: Box::new(run) }
    }

    /// Runs it; once more if it failed, and says so. The kernel skips a probe that already runs on that CPU, in an
    /// interrupt, and in another task where it preempts probes (v7.0 and later): memtrace says so, and its counts are not exact
    /// then. And an emulated machine may starve a program between two steps that belong together. A fault fails twice.
    fn run(&self) {
        for tries_left in (0..MAX_TRIES).rev() {
            session::take_last();
            session::take_misses();
            let Err(panic) = catch_unwind(&self.run) else { return };
            if let Some(last) = session::take_last() {
                eprintln!("{} failed; the last report, {last}", self.name);
            }
            let misses = session::take_misses();
            if tries_left == 0 {
                resume_unwind(panic);
            }
            eprintln!("{} again: it failed where the kernel skipped {misses} probes", self.name);
        }
    }

    fn into_trial(self) -> Trial {
        Trial::ignorable_test(self.name.clone(), move || match host::lacks(self.needs) {
            None => {
                self.run();
                Ok(Completion::Completed)
            }
            // Nobody should test this on a machine that others use.
            Some(reason) if host::may_not_skip() && self.needs != Needs::OwnMachine => {
                Err(Failed::from(reason))
            }
            Some(reason) => Ok(Completion::ignored_with(reason)),
        })
    }
}

fn main() -> ExitCode {
    let asked = program::run_if_asked()
        .or_else(soak::run_if_asked)
        .or_else(torture::run_if_asked)
        .or_else(seeds::run_if_asked)
        .or_else(scenes::play_if_asked);
    if let Some(code) = asked {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((SCENES, arguments)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return scenes::main(arguments);
    }
    let lists_machines = std::env::args().nth(1).is_some_and(|argument| argument == LIST_MACHINES);
    let mut arguments = if lists_machines { Arguments::default() } else { Arguments::from_args() };
    // All sessions see the whole system, and a busy one sees more of it.
    arguments.test_threads = Some(1);
    if let Some(reason) = host::lacks(Needs::Disk) {
        eprintln!("kernel tests will be skipped: {reason}");
    }
    let ways = ways::Ways::found();
    eprintln!("kernel tests for {ways}");
    let tests = [
        objects::tests(ways),
        attribution::tests(),
        census::tests(),
        wreck::tests(),
        verdict::tests(),
        ages::tests(),
        filters::tests(),
        groups::tests(),
        trees::tests(),
        names::tests(ways),
        look::tests(ways),
        untraced::tests(ways),
        bulk::tests(ways),
        events::tests(),
        lifecycle::tests(),
        exact::tests(),
        machine::tests(),
        modules::tests(),
        settle::tests(),
        budget::tests(),
        rights::tests(),
        serve::tests(),
        scrapers::tests(),
        terminal::tests(),
        hostile::tests(),
        errors::tests(),
        triage::tests(),
        bundle::tests(),
        explain::tests(),
        recording::tests(),
        outputs::tests(),
        elsewhere::tests(),
        watch::tests(),
        consumers::tests(),
        ways::tests(),
    ];
    let tests: Vec<_> = tests.into_iter().flatten().collect();
    if lists_machines {
        runs::print_list(&tests);
        return ExitCode::SUCCESS;
    }
    let trials = runs::of_this_machine(tests).into_iter().map(Test::into_trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
