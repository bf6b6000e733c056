//! On which machines a test runs when `cargo xtask test` runs them all, each on its machine.

use std::env;

use crate::{Needs, Test};

/// What a test depends on, and so where it runs. With a filter, or without [`MACHINE`], it runs wherever it can.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// On the host and on each other kernel: it depends on the kernel, as probes and readers of kernel memory do.
    EachKernel,
    /// Likewise, and once more on a machine with many CPUs.
    ManyCpus,
    /// Likewise, and once more on a machine with several NUMA nodes.
    SeveralNodes,
    /// Likewise, and once more on a machine that is odd: one CPU, slab objects that nobody pays for, huge pages, KFENCE.
    Odd,
    /// On the host and on one other kernel: it uses what all kernels say alike, but is worth a second, slow machine.
    OneKernel,
    /// On the host: it does not depend on the kernel.
    Once,
}

/// In the environment: which machine this is, by [`Machine::name`].
const MACHINE: &str = "MEMTRACE_TEST_MACHINE";

/// The machines that `cargo xtask test` runs the tests on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    Host,
    /// A VM of each kernel but one.
    Kernel,
    /// The VM of that one kernel.
    OneKernel,
    ManyCpus,
    SeveralNodes,
    Odd,
    /// The host, before a commit, when there is little time.
    Quick,
}

/// What runs before each commit: a few seconds that touch most of the way from a probe to a report.
const QUICK: [&str; 6] = [
    "pipes_are_of_three_caches",
    "threads_fold_into_their_process",
    "rows_by_call_site_name_a_function",
    "an_interrupt_ends_with_a_final_report",
    "a_recording_for_the_host",
    "an_unknown_cache_is_a_usage_error_that_names_the_nearest",
];

impl Machine {
    const ALL: [Self; 7] = [
        Self::Host,
        Self::Kernel,
        Self::OneKernel,
        Self::ManyCpus,
        Self::SeveralNodes,
        Self::Odd,
        Self::Quick,
    ];

    /// The name that xtask calls it by.
    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Kernel => "kernel",
            Self::OneKernel => "one-kernel",
            Self::ManyCpus => "many-cpus",
            Self::SeveralNodes => "several-nodes",
            Self::Odd => "odd",
            Self::Quick => "quick",
        }
    }

    /// This one; `None` where all tests are to run.
    fn current() -> Option<Self> {
        let name = env::var(MACHINE).ok()?;
        let machine = Self::ALL.into_iter().find(|machine| machine.name() == name);
        Some(machine.unwrap_or_else(|| panic!("{MACHINE} is {name:?}, which is not a machine")))
    }

    fn runs(self, test: &Test) -> bool {
        match self {
            Self::Host => test.needs != Needs::OwnMachine,
            Self::Kernel => !matches!(test.runs, Runs::OneKernel | Runs::Once),
            Self::OneKernel => test.runs != Runs::Once,
            Self::ManyCpus => test.runs == Runs::ManyCpus,
            Self::SeveralNodes => test.runs == Runs::SeveralNodes,
            Self::Odd => test.runs == Runs::Odd,
            Self::Quick => QUICK.contains(&test.name.as_str()),
        }
    }
}

/// The tests of this machine. The names of the others are printed: `cargo xtask test` checks that each ran somewhere.
pub fn of_this_machine(tests: Vec<Test>) -> Vec<Test> {
    for test in &tests {
        let runs = Machine::ALL.iter().any(|&machine| machine != Machine::Quick && machine.runs(test));
        assert!(runs, "{} runs nowhere: declare it otherwise", test.name);
    }
    for name in QUICK {
        assert!(tests.iter().any(|test| test.name == name), "there is no test {name}");
    }
    let Some(machine) = Machine::current() else { return tests };
    let (here, elsewhere): (Vec<_>, Vec<_>) = tests.into_iter().partition(|test| machine.runs(test));
    for test in elsewhere {
        println!("left to another machine: {}", test.name);
    }
    here
}

/// A line a test: its machines, and its name.
pub fn print_list(tests: &[Test]) {
    for test in tests {
        let machines: Vec<_> =
            Machine::ALL.iter().filter(|machine| machine.runs(test)).map(|machine| machine.name()).collect();
        println!("{:<55} {}", machines.join(", "), test.name);
    }
}
