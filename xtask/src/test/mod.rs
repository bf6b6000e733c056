//! Runs every test there is: the tree's rules, lints, the workspace's tests, the kernel tests on this host and in VMs.

mod boots;
mod counts;
mod host;
mod lints;
mod packages;
mod progress;
mod recording;
mod summary;
mod transcript;

use std::process::ExitCode;
use std::thread;

use anyhow::Result;

use self::boots::Boot;
use self::host::{Programs, UNIT_TESTS};
use self::progress::{Part, Progress};
use self::summary::{Row, Summary};
use crate::executables::Build;
use crate::setup::{self, Part as SetupPart};
use crate::{build_ebpf, vm};

/// Run every test there is, on this host and in VMs of other kernels
///
/// Installs first what is missing. A failure does not stop the rest. With MEMTRACE_NO_SKIP=1 what cannot be tested here counts
/// as failed, not as skipped.
#[derive(clap::Args, Default)]
pub struct Args {
    /// Before a commit: the tree's rules, lints, unit tests, and a few kernel tests on this host
    #[arg(long, conflicts_with_all = ["no_vm", "no_host", "kernel", "cpus", "nodes", "list_machines", "filter"])]
    quick: bool,
    /// No VMs, only this host
    #[arg(long, conflicts_with = "kernel")]
    no_vm: bool,
    /// Only VMs, not this host
    #[arg(long, conflicts_with = "no_vm")]
    no_host: bool,
    /// Only this kernel's VM, besides the host (repeatable): 5.10, 6.1, 6.12, 7.x, or a release of one of them
    #[arg(long)]
    kernel: Vec<vm::KernelChoice>,
    /// CPUs that each VM has, instead of 2 and one run with 8
    #[arg(long, value_parser = vm::cpus_parser())]
    cpus: Option<u8>,
    /// NUMA nodes that each VM has, instead of 1 and one run with 2
    #[arg(long, value_parser = vm::nodes_parser())]
    nodes: Option<u8>,
    /// Run nothing: list the kernel tests and the machines that each runs on
    #[arg(long)]
    list_machines: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Args {
    /// Nothing was left out.
    fn is_full(&self) -> bool {
        let Self { quick, no_vm, no_host, kernel, cpus, nodes, list_machines: _, filter } = self;
        let some_machines = *no_vm || *no_host || !kernel.is_empty() || cpus.is_some() || nodes.is_some();
        !quick && !some_machines && filter.is_none()
    }
}

const NO_SKIP: &str = "MEMTRACE_NO_SKIP";
/// Tells the kernel tests which machine they run on, and so which of them run: `memtrace/tests/kernel/runs.rs`.
const MACHINE: &str = vm::TEST_MACHINE;
const KERNEL_TESTS: &str = "kernel tests";

pub fn main(args: &Args) -> Result<ExitCode> {
    let progress = Progress::new();
    progress.part("setup for building", || setup::ensure(SetupPart::Build))?;
    progress.part("build eBPF object", build_ebpf::build)?;
    if args.list_machines {
        Programs::build(&Build::Plain)?.list_machines()?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut summary = Summary::default();
    run(args, &progress, &mut summary)?;
    let ran_nowhere = if args.is_full() { summary.ran_nowhere() } else { Default::default() };
    if !ran_nowhere.is_empty() {
        let mut row = Row::new(KERNEL_TESTS, "no machine");
        ran_nowhere.iter().for_each(|name| row.fail(format!("{name} ran nowhere")));
        summary.add(row);
    }
    progress.save()?;
    print!("{}{}{}{summary}", progress.table(), summary.slowest(), summary.failures());
    Ok(if summary.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The host's kernel tests run alone: some of them judge what grows on the host. The rest runs side by side.
fn run(args: &Args, progress: &Progress, summary: &mut Summary) -> Result<()> {
    let filter = args.filter.as_deref();
    let boots = if args.no_vm || args.quick { Vec::new() } else { boots::plan(args) };
    let needed = if boots.is_empty() { SetupPart::Host } else { SetupPart::All };
    let build = if args.quick { Build::Plain } else { Build::ForHost };
    // Downloads wait for the network, builds for the CPUs.
    let (host, vms, kernels) = thread::scope(|scope| {
        let kernels = scope.spawn(|| {
            progress.part("setup for testing", || setup::ensure_beyond_building(needed))?;
            anyhow::Ok(boots::obtain_kernels(&boots))
        });
        let vms = (!boots.is_empty()).then(|| progress.part("build for VMs", vm::build_programs));
        let host = (!args.no_host).then(|| progress.part("build for this host", || Programs::build(&build)));
        (host.transpose(), vms.transpose(), kernels.join().expect("it does not panic"))
    });
    let (host, vms, kernels) = (host?, vms?, kernels?);
    if let Some(host) = &host {
        let machine = match (args.quick, filter) {
            (true, _) => Some("quick"),
            (false, None) => Some("host"),
            (false, Some(_)) => None,
        };
        summary.add(progress.part("kernel tests on this host", || host.kernel_tests(machine, filter)));
    }
    let mut parts = Vec::new();
    if let Some(vms) = &vms {
        parts.extend(boots.iter().map(|boot: &Boot<'_>| boot.part(&kernels[boot.series()], vms)));
        if filter.is_none() {
            parts
                .push(Part { name: "packages".to_owned(), run: Box::new(|| packages::check(&vms.memtrace)) });
        }
    }
    if let Some(host) = &host {
        parts.push(Part { name: UNIT_TESTS.to_owned(), run: Box::new(|| host.unit_tests(filter)) });
        if filter.is_none() {
            parts.push(Part { name: "lints".to_owned(), run: Box::new(|| lints::check(&build)) });
        }
    }
    let lanes = thread::available_parallelism().map_or(1, usize::from).min(MAX_LANES);
    progress.side_by_side(lanes, parts).into_iter().for_each(|row| summary.add(row));
    Ok(())
}

/// Parts that run side by side, at most: each VM takes 2 GiB.
const MAX_LANES: usize = 4;

fn no_skip() -> bool {
    std::env::var_os(NO_SKIP).is_some_and(|value| value == "1")
}
