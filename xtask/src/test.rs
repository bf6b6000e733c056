//! Runs every test there is: the tree's rules, the workspace's tests, the kernel tests on this host and in VMs.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use vm_init::Outcome;

use crate::command::cargo;
use crate::setup::Part;
use crate::summary::{Counts, Row, Summary};
use crate::{build_ebpf, host, paths, recording, setup, tidy, vm};

/// Run every test there is, on this host and in VMs of other kernels
///
/// Installs first what is missing. A failure does not stop the rest. With MEMTRACE_NO_SKIP=1 what cannot be tested here counts
/// as failed, not as skipped.
#[derive(clap::Args)]
pub struct Args {
    /// No VMs, only this host
    #[arg(long, conflicts_with = "kernel")]
    no_vm: bool,
    /// Only VMs, not this host
    #[arg(long, conflicts_with = "no_vm")]
    no_host: bool,
    /// Only this kernel's VM, besides the host (repeatable)
    #[arg(long, value_parser = vm::kernel_parser())]
    kernel: Vec<String>,
    /// CPUs that each VM has, instead of 2 and one run with 8
    #[arg(long, value_parser = vm::cpus_parser())]
    cpus: Option<u8>,
    /// NUMA nodes that each VM has, instead of 1 and one run with 2
    #[arg(long, value_parser = vm::nodes_parser())]
    nodes: Option<u8>,
    /// Only tests whose name contains this
    filter: Option<String>,
}

const NO_SKIP: &str = "MEMTRACE_NO_SKIP";
const UNIT_TESTS: &str = "unit tests";
const KERNEL_TESTS: &str = "kernel tests";

pub fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure(if args.no_vm { Part::Host } else { Part::All })?;
    build_ebpf::build()?;
    let filter = args.filter.as_deref();
    let mut summary = Summary::default();
    if !args.no_host {
        summary.add(tree_rules()?);
        host_tests(filter)?.into_iter().for_each(|row| summary.add(row));
    }
    if !args.no_vm {
        vm_tests(args).into_iter().for_each(|row| summary.add(row));
    }
    print!("{summary}");
    Ok(if summary.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tree_rules() -> Result<Row> {
    let start = Instant::now();
    let rules = tidy::check_tree()?;
    let broken = tidy::report(&rules);
    let counts = Counts { passed: rules.len() - broken, failed: broken, skipped: 0 };
    Ok(Row::new("tree rules", "", counts, start))
}

/// `cargo test`, once as we are, and once more as root for the kernel tests if we are not.
fn host_tests(filter: Option<&str>) -> Result<Vec<Row>> {
    let kernel = format!("{} (this host)", host::kernel_release());
    let start = Instant::now();
    let mut test = cargo();
    test.args(["test", "--workspace", "--no-fail-fast"]).args(filter);
    if host::is_root() {
        let suites = run_suites(&mut test)?;
        return Ok(vec![suites.unit_row(start), Row::new(KERNEL_TESTS, &kernel, suites.kernel, start)]);
    }

    // The kernel tests skip themselves now, and that is made up for below.
    let unit = run_suites(test.env_remove(NO_SKIP))?.unit_row(start);
    let start = Instant::now();
    let mut test = cargo();
    test.args(["test", "--package", "memtrace", "--test", "kernel"]);
    test.args(["--config", "target.'cfg(all())'.runner = ['sudo', '--preserve-env']"]).args(filter);
    let Suites { unit: cargo, kernel: tests, notes } = run_suites(&mut test)?;
    let mut row = Row::new(KERNEL_TESTS, &kernel, [cargo, tests].into_iter().sum(), start);
    row.notes = notes;
    Ok(vec![unit, row])
}

/// Runs `cargo test`, showing what it prints, and counts.
fn run_suites(test: &mut Command) -> Result<Suites> {
    let disk = paths::target("test-disk");
    std::fs::create_dir_all(&disk)?;
    // The directory for temporary files may be a tmpfs, the one that we are built in hardly.
    if std::env::var_os("MEMTRACE_TEST_DISK").is_none() {
        test.env("MEMTRACE_TEST_DISK", &disk);
    }
    // Cargo names the suites on stderr, and they print their results on stdout.
    let (output, input) = std::io::pipe()?;
    test.stdout(input.try_clone()?).stderr(input);
    let mut child = test.spawn().context("cannot run cargo test")?;
    // Drops our ends of the pipe, so that it ends when the tests do.
    test.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut suites = Suites::read(BufReader::new(output), &mut |line| println!("{line}"))?;
    if !child.wait()?.success() && suites.unit.failed + suites.kernel.failed == 0 {
        suites.unit.failed += 1;
        suites.notes.push("cargo test failed before or after the tests; see above".into());
    }
    Ok(suites)
}

/// What `cargo test` ran.
#[derive(Debug, Default, PartialEq)]
struct Suites {
    unit: Counts,
    kernel: Counts,
    notes: Vec<String>,
}

impl Suites {
    fn read(output: impl BufRead, show: &mut dyn FnMut(&str)) -> Result<Self> {
        let mut suites = Self::default();
        let mut running: Option<String> = None;
        for line in output.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            show(&line);
            if let Some(suite) = started_suite(&line) {
                if let Some(died) = running.replace(suite.to_owned()) {
                    suites.died(&died);
                }
            } else if let Some(counts) = Counts::parse(&line) {
                let suite = running.take().unwrap_or_default();
                *suites.counts_of(&suite) += counts;
            }
        }
        if let Some(died) = running {
            suites.died(&died);
        }
        Ok(suites)
    }

    fn counts_of(&mut self, suite: &str) -> &mut Counts {
        if suite.starts_with("tests/kernel/") { &mut self.kernel } else { &mut self.unit }
    }

    fn died(&mut self, suite: &str) {
        self.counts_of(suite).failed += 1;
        self.notes.push(format!("{suite} ended without a result"));
    }

    fn unit_row(&self, start: Instant) -> Row {
        let mut row = Row::new(UNIT_TESTS, "", self.unit, start);
        row.notes.clone_from(&self.notes);
        row
    }
}

/// What cargo says before each suite.
fn started_suite(line: &str) -> Option<&str> {
    line.strip_prefix("     Running ").or_else(|| line.strip_prefix("   Doc-tests "))
}

/// One boot of a VM.
#[derive(Debug, PartialEq)]
struct Boot<'a> {
    kernel: &'static str,
    cpus: u8,
    nodes: u8,
    filter: Option<&'a str>,
}

/// What is run once more with many CPUs, and where: the newest kernel, whose slab caches keep most for each CPU.
const MANY_CPUS: Boot<'_> = Boot { kernel: "7.x", cpus: 8, nodes: 1, filter: Some("cpus_") };

/// What is run once more with several NUMA nodes, and where: on any, since pages tell their nodes in the same way.
const SEVERAL_NODES: Boot<'_> = Boot { kernel: "6.12", cpus: vm::CPUS, nodes: 2, filter: Some("numa_") };

/// Scenes that memtrace triage has to name: each takes half a minute, and little of it depends on the kernel. So they run on the host
/// and on one kernel, unless they are asked for.
const SCENES: &str = "triage_names";
const SCENES_ON: &str = "6.12";

/// Each kernel once, one of them once more with many CPUs and one with several NUMA nodes, unless somebody wants something
/// particular.
fn boots(args: &Args) -> Vec<Boot<'_>> {
    let filter = args.filter.as_deref();
    let (cpus, nodes) = (args.cpus.unwrap_or(vm::CPUS), args.nodes.unwrap_or(1));
    let is_chosen =
        |kernel: &str| args.kernel.is_empty() || args.kernel.iter().any(|chosen| chosen == kernel);
    let mut boots: Vec<_> =
        vm::kernel_names().into_iter().map(|kernel| Boot { kernel, cpus, nodes, filter }).collect();
    if filter.is_none() && args.cpus.is_none() && args.nodes.is_none() {
        boots.extend([MANY_CPUS, SEVERAL_NODES]);
    }
    boots.retain(|boot| is_chosen(boot.kernel));
    boots
}

fn vm_tests(args: &Args) -> Vec<Row> {
    let start = Instant::now();
    let programs = match vm::build_programs() {
        Ok(programs) => programs,
        Err(error) => return vec![Row::failure(KERNEL_TESTS, "VMs", &error, start)],
    };
    boots(args).iter().map(|boot| vm_test(boot, &programs)).collect()
}

fn vm_test(&Boot { kernel: name, cpus, nodes, filter }: &Boot<'_>, programs: &vm::Programs) -> Row {
    let start = Instant::now();
    let kernel = match vm::obtain_kernel(name) {
        Ok(kernel) => kernel,
        Err(error) if no_skip() => return Row::failure(KERNEL_TESTS, name, &error, start),
        Err(error) => return Row::skip(KERNEL_TESTS, name, &error, start),
    };
    let on = match (cpus, nodes) {
        (vm::CPUS, 1) => format!("{} (VM)", kernel.release),
        (cpus, 1) => format!("{} (VM, {cpus} CPUs)", kernel.release),
        (cpus, nodes) => format!("{} (VM, {cpus} CPUs, {nodes} nodes)", kernel.release),
    };
    let leave_out = (filter.is_none() && name != SCENES_ON).then_some(SCENES);
    let machine = vm::Machine { kernel: &kernel, cpus, nodes };
    match vm::test(machine, programs, filter, leave_out) {
        Ok((outcome, console)) => {
            let mut row = vm_row(&on, &outcome, &console, start);
            if console.contains(LEAVES_RECORDING) {
                count(&mut row, recording::check(&vm::recording(machine), &kernel.release));
            }
            row
        }
        Err(error) => Row::failure(KERNEL_TESTS, &on, &error, start),
    }
}

/// The test that leaves a recording for us.
const LEAVES_RECORDING: &str = "a_recording_for_the_host";

/// Adds a test that ran here.
fn count(row: &mut Row, result: Result<()>) {
    match result {
        Ok(()) => row.counts.passed += 1,
        Err(error) => {
            row.counts.failed += 1;
            row.notes.push(format!("{error:#}"));
        }
    }
}

fn vm_row(on: &str, outcome: &Outcome, console: &str, start: Instant) -> Row {
    let counts: Counts = console.lines().filter_map(Counts::parse).sum();
    let mut row = Row::new(KERNEL_TESTS, on, counts, start);
    let told = counts != Counts::default();
    if *outcome != Outcome::Exited(0) && counts.failed == 0 {
        row.counts.failed += 1;
        row.notes.push(format!("the tests ended badly ({outcome})"));
    } else if !told {
        row.counts.failed += 1;
        row.notes.push("the tests printed no result".into());
    }
    row
}

fn no_skip() -> bool {
    std::env::var_os(NO_SKIP).is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(output: &str) -> Suites {
        Suites::read(output.as_bytes(), &mut |_| ()).unwrap()
    }

    #[test]
    fn kernel_tests_are_counted_apart() {
        let read = suites(
            "     Running unittests src/lib.rs (target/debug/deps/memtrace-1)\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
             \x20    Running tests/kernel/main.rs (target/debug/deps/kernel-1)\n\
             test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured\n\
             \x20  Doc-tests memtrace\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n",
        );
        assert_eq!(read.unit, Counts { passed: 5, failed: 0, skipped: 1 });
        assert_eq!(read.kernel, Counts { passed: 4, failed: 1, skipped: 0 });
    }

    #[test]
    fn suite_without_a_result_failed() {
        let read = suites("     Running tests/kernel/main.rs (x)\n     Running unittests src/lib.rs (y)\n");
        assert_eq!((read.kernel.failed, read.unit.failed, read.notes.len()), (1, 1, 2));
    }

    #[test]
    fn all_vms_run_all_tests_and_some_run_some_on_larger_machines() {
        let args = |kernel: &[&str], cpus, filter: Option<&str>| Args {
            no_vm: false,
            no_host: false,
            kernel: kernel.iter().map(ToString::to_string).collect(),
            cpus,
            nodes: None,
            filter: filter.map(str::to_owned),
        };
        let all = args(&[], None, None);
        let all = boots(&all);
        assert_eq!(all.len(), vm::kernel_names().len() + 2);
        assert!(all.contains(&MANY_CPUS) && all.contains(&SEVERAL_NODES));
        let boot = |kernel, cpus, filter| Boot { kernel, cpus, nodes: 1, filter };
        assert_eq!(boots(&args(&["6.1"], None, None)), [boot("6.1", 2, None)]);
        assert_eq!(boots(&args(&["6.12"], None, None)), [boot("6.12", 2, None), SEVERAL_NODES]);
        assert_eq!(boots(&args(&["7.x"], None, Some("churn"))), [boot("7.x", 2, Some("churn"))]);
        assert_eq!(boots(&args(&["7.x"], Some(4), None)), [boot("7.x", 4, None)]);
        let two_nodes = Args { nodes: Some(2), ..args(&["6.12"], None, Some("numa_")) };
        assert_eq!(boots(&two_nodes), [SEVERAL_NODES]);
    }

    #[test]
    fn vm_that_ended_badly_failed() {
        let row = |outcome, console| vm_row("6.1", &outcome, console, Instant::now()).counts.failed;
        let fine = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured\r\n";
        let failed = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured\r\n";
        assert_eq!(row(Outcome::Exited(0), fine), 0);
        assert_eq!(row(Outcome::Exited(101), failed), 2);
        assert_eq!(row(Outcome::Killed(11), fine), 1);
        assert_eq!(row(Outcome::Exited(0), ""), 1);
    }
}
