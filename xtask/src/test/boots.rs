//! The kernel tests in VMs of other kernels.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use vm_init::Outcome;

use super::progress::Part;
use super::summary::Row;
use super::transcript::Transcript;
use super::{Args, KERNEL_TESTS, no_skip, recording};
use crate::vm;

/// One boot of a VM.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot<'a> {
    kernel: vm::KernelChoice,
    cpus: u8,
    nodes: u8,
    /// Which of the machines of a full run it is; its tests run. Without, all do.
    machine: Option<&'static str>,
    filter: Option<&'a str>,
    /// More options for the kernel.
    options: Option<&'static str>,
}

/// What is run once more with many CPUs, and where: the newest kernel, whose slab caches keep most for each CPU.
const MANY_CPUS: (&str, u8) = ("7.x", 8);

/// What is run once more with several NUMA nodes, and where: on any, since pages tell their nodes in the same way.
const SEVERAL_NODES: (&str, u8) = ("6.12", 2);

/// What is run once more on an odd machine, and where: one CPU, slab objects that nobody pays for, huge pages, and KFENCE, whose objects
/// are in slabs that are like no other. On any kernel but the newest, where a slab has no processor of its own.
const ODD: (&str, u8, &str) = ("6.1", 1, "cgroup.memory=nokmem hugepages=32 kfence.sample_interval=10");

/// Where those tests run that one kernel besides the host's is enough for.
const ONE_KERNEL: &str = "6.12";

/// Each kernel once, one of them once more with many CPUs, one with several NUMA nodes and one on an odd machine, unless somebody wants something
/// particular.
pub fn plan(args: &Args) -> Vec<Boot<'_>> {
    let filter = args.filter.as_deref();
    let chosen = |series: &'static str| {
        if args.kernel.is_empty() {
            return Some(vm::KernelChoice::newest(series));
        }
        args.kernel.iter().find(|kernel| kernel.series == series).cloned()
    };
    let boot = |series, cpus, nodes, machine: &'static str| {
        let machine = filter.is_none().then_some(machine);
        Some(Boot { kernel: chosen(series)?, cpus, nodes, machine, filter, options: None })
    };
    let (cpus, nodes) = (args.cpus.unwrap_or(vm::CPUS), args.nodes.unwrap_or(1));
    let machine_of = |series| if series == ONE_KERNEL { "one-kernel" } else { "kernel" };
    let kernels = vm::kernel_names().into_iter();
    let mut boots: Vec<_> = kernels.map(|series| boot(series, cpus, nodes, machine_of(series))).collect();
    if filter.is_none() && args.cpus.is_none() && args.nodes.is_none() {
        boots.push(boot(MANY_CPUS.0, MANY_CPUS.1, 1, "many-cpus"));
        boots.push(boot(SEVERAL_NODES.0, vm::CPUS, SEVERAL_NODES.1, "several-nodes"));
        boots.push(boot(ODD.0, ODD.1, 1, "odd").map(|boot| Boot { options: Some(ODD.2), ..boot }));
    }
    boots.into_iter().flatten().collect()
}

/// The kernels of these boots, each once: looked for one after another, since apt does not run twice.
pub fn obtain_kernels(boots: &[Boot<'_>]) -> BTreeMap<&'static str, Result<vm::Kernel>> {
    let mut kernels = BTreeMap::new();
    for Boot { kernel, .. } in boots {
        kernels.entry(kernel.series).or_insert_with(|| vm::obtain_kernel(kernel));
    }
    kernels
}

impl Boot<'_> {
    pub fn series(&self) -> &'static str {
        self.kernel.series
    }

    fn name(&self) -> String {
        let series = self.kernel.series;
        match (self.cpus, self.nodes) {
            _ if self.options.is_some() => format!("{series} (VM, odd)"),
            (vm::CPUS, 1) => format!("{series} (VM)"),
            (cpus, 1) => format!("{series} (VM, {cpus} CPUs)"),
            (cpus, nodes) => format!("{series} (VM, {cpus} CPUs, {nodes} nodes)"),
        }
    }

    pub fn part<'a>(&'a self, kernel: &'a Result<vm::Kernel>, programs: &'a vm::Programs) -> Part<'a, Row> {
        let name = self.name();
        Part { name, run: Box::new(|| self.run(kernel, programs)) }
    }

    fn run(&self, kernel: &Result<vm::Kernel>, programs: &vm::Programs) -> Row {
        let start = Instant::now();
        let name = self.name();
        let mut row = match kernel {
            Ok(kernel) => self.boot(kernel, programs, &name),
            Err(error) => {
                let mut row = Row::new(KERNEL_TESTS, &name);
                let note = format!("{error:#}");
                if no_skip() {
                    row.fail(note);
                } else {
                    row.skip(note);
                }
                row
            }
        };
        row.took = start.elapsed();
        row
    }

    fn boot(&self, kernel: &vm::Kernel, programs: &vm::Programs, name: &str) -> Row {
        let mut row = Row::new(KERNEL_TESTS, &name.replacen(kernel.series, &kernel.release, 1));
        let machine = vm::Machine { kernel, cpus: self.cpus, nodes: self.nodes, options: self.options };
        let mut transcript = Transcript::new(name);
        let selection = vm::Selection { machine: self.machine, filter: self.filter };
        let ended = vm::test(machine, programs, selection, &mut |line| transcript.line(line));
        let left_recording = transcript.tests.iter().any(|test| test.name == LEAVES_RECORDING);
        match ended {
            Ok(Outcome::Exited(0)) => row.add(transcript, None),
            Ok(outcome) => row.add(transcript, Some(format!("the tests ended badly ({outcome})"))),
            Err(error) => {
                row.add(transcript, Some(format!("{error:#}")));
                return row;
            }
        }
        if left_recording {
            match recording::check(&programs.memtrace, &vm::recording(machine), &kernel.release) {
                Ok(()) => row.pass(),
                Err(error) => row.fail(format!("{error:#}")),
            }
        }
        row
    }
}

/// The test that leaves a recording for us.
const LEAVES_RECORDING: &str = "a_recording_for_the_host";

#[cfg(test)]
mod tests {
    use super::*;

    fn args(kernels: &[&str], cpus: Option<u8>, filter: Option<&str>) -> Args {
        let kernel = kernels.iter().map(|kernel| kernel.parse().unwrap()).collect();
        Args { kernel, cpus, filter: filter.map(str::to_owned), ..Args::default() }
    }

    #[track_caller]
    fn check(args: &Args, expected: &[(&str, Option<&str>)]) {
        let boots = plan(args);
        let boots: Vec<_> = boots.iter().map(|boot| (boot.name(), boot.machine)).collect();
        let expected: Vec<_> = expected.iter().map(|&(name, machine)| (name.to_owned(), machine)).collect();
        assert_eq!(boots, expected);
    }

    #[test]
    fn all_kernels_run_their_tests_and_some_run_a_few_on_other_machines() {
        check(
            &args(&[], None, None),
            &[
                ("5.10 (VM)", Some("kernel")),
                ("6.1 (VM)", Some("kernel")),
                ("6.12 (VM)", Some("one-kernel")),
                ("7.x (VM)", Some("kernel")),
                ("7.x (VM, 8 CPUs)", Some("many-cpus")),
                ("6.12 (VM, 2 CPUs, 2 nodes)", Some("several-nodes")),
                ("6.1 (VM, odd)", Some("odd")),
            ],
        );
        check(&args(&["6.1"], None, None), &[("6.1 (VM)", Some("kernel")), ("6.1 (VM, odd)", Some("odd"))]);
        check(
            &args(&["6.12"], None, None),
            &[("6.12 (VM)", Some("one-kernel")), ("6.12 (VM, 2 CPUs, 2 nodes)", Some("several-nodes"))],
        );
    }

    #[test]
    fn what_is_asked_for_runs_wherever_it_is_asked_for() {
        check(&args(&["7.3"], None, Some("churn")), &[("7.x (VM)", None)]);
        check(&args(&["7.x"], Some(4), None), &[("7.x (VM, 4 CPUs)", Some("kernel"))]);
        let two_nodes = Args { nodes: Some(2), ..args(&["6.12"], None, Some("numa_")) };
        check(&two_nodes, &[("6.12 (VM, 2 CPUs, 2 nodes)", None)]);
    }
}
