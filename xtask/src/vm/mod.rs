//! Virtual machines: memtrace and its kernel tests on kernels other than the host's.

mod initramfs;
mod kernels;
#[path = "../../../memtrace/tests/kernel/program/named.rs"]
mod named;
mod qemu;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::{PossibleValue, RangedI64ValueParser};
use vm_init::{Outcome, job};

pub use self::initramfs::{Archive, Programs};
use self::initramfs::{Fetch, Job, KERNEL_TESTS, MEMTRACE};
pub use self::kernels::{Choice as KernelChoice, Kernel, names as kernel_names, obtain as obtain_kernel};
use self::named::Named;
pub use self::qemu::{CPUS, Machine};
use self::qemu::{Console, Watchdog};
use crate::executables::{self, Build};
use crate::setup::Part;
use crate::{build_ebpf, paths, setup};

/// Run memtrace live in a VM: cargo xtask vm --kernel 6.12 -- memtrace --cache dentry
///
/// The VM's console is your terminal, and Ctrl-C is memtrace's. The VM ends when memtrace does. All of it is in target/vm/logs.
/// MEMTRACE_VM_ACCEL=kvm makes it faster where KVM works.
#[derive(clap::Args)]
pub struct Args {
    /// Kernel to boot: 5.10, 6.1, 6.12, 7.x, or a release of one of them, such as 6.12.90
    #[arg(long)]
    kernel: KernelChoice,
    /// CPUs that the VM has
    #[arg(long, default_value_t = CPUS, value_parser = cpus_parser())]
    cpus: u8,
    /// NUMA nodes that share its CPUs and its memory
    #[arg(long, default_value_t = 1, value_parser = nodes_parser())]
    nodes: u8,
    /// Run this workload beside it
    #[arg(long)]
    workload: Option<Named>,
    /// Afterwards, copy a file out of the VM: /tmp/x.mt=recording.mt
    #[arg(long, value_name = "THERE=HERE", value_parser = fetch_parser)]
    fetch: Option<Fetch>,
    /// Program and its arguments: memtrace, or kernel-tests
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl ValueEnum for Named {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Flood => "Short-lived processes called curl look up a million names that do not exist",
            Self::Churn => "A process makes and closes pipes",
            Self::Files => "A process opens 3,000 files and keeps them open",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

pub fn cpus_parser() -> RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(1..=64)
}

pub fn nodes_parser() -> RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(1..=4)
}

fn fetch_parser(text: &str) -> Result<Fetch, &'static str> {
    let (from, to) = text.split_once('=').ok_or("it is no THERE=HERE")?;
    Ok(Fetch { from: from.to_owned(), to: to.into() })
}

pub fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure(Part::All)?;
    build_ebpf::build()?;
    let workload = args.workload.map(|named| [KERNEL_TESTS, "--workload", named.name()].map(str::to_owned));
    let job = Job {
        argv: args.command.clone(),
        env: env(&["TERM", "NO_COLOR", "RUST_LOG"]),
        workload: workload.map(Vec::from).unwrap_or_default(),
        fetch: args.fetch.clone(),
        winsize: winsize(),
    };
    let kernel = obtain_kernel(&args.kernel)?;
    let machine = Machine { kernel: &kernel, cpus: args.cpus, nodes: args.nodes, options: None };
    Ok(match boot(&job, &build_programs()?, machine, Console::Interactive)? {
        Outcome::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Outcome::Killed(_) | Outcome::Broken(_) => ExitCode::FAILURE,
    })
}

/// Tells the kernel tests which of the machines of `cargo xtask test` this is.
pub const TEST_MACHINE: &str = "MEMTRACE_TEST_MACHINE";

/// Which of the kernel tests run.
#[derive(Clone, Copy)]
pub struct Selection<'a> {
    /// Those of one of the machines of `cargo xtask test`.
    pub machine: Option<&'a str>,
    /// Those whose names contain this.
    pub filter: Option<&'a str>,
}

/// Runs the kernel tests in a VM, each line that they print going to `line`; gives how they ended.
pub fn test(
    machine: Machine<'_>,
    programs: &Programs,
    selection: Selection<'_>,
    line: &mut dyn FnMut(&str),
) -> Result<Outcome> {
    // One at a time: they look at the whole kernel, so one would see the other.
    let mut argv = vec![KERNEL_TESTS.to_owned(), "--test-threads=1".to_owned(), "--color=never".to_owned()];
    argv.extend(selection.filter.map(str::to_owned));
    let mut env = env(&["MEMTRACE_NO_SKIP", "RUST_BACKTRACE"]);
    env.extend(selection.machine.map(|machine| format!("{TEST_MACHINE}={machine}")));
    env.push(format!("MEMTRACE_TEST_NODES={}", machine.nodes));
    env.push(format!("MEMTRACE_TEST_RECORDING={RECORDING}"));
    let fetch = Some(Fetch { from: RECORDING.to_owned(), to: recording(machine) });
    let job = Job { argv, env, fetch, ..Job::default() };
    let watchdog = Watchdog { silence: Duration::from_secs(300), total: Duration::from_secs(30 * 60) };
    boot(&job, programs, machine, Console::Batch(watchdog, line))
}

/// Boots a system of its own, which says by itself how it ended; each line that it prints goes to `line`.
pub fn system(kernel: &Kernel, initramfs: &Path, line: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let watchdog = Watchdog { silence: Duration::from_secs(300), total: Duration::from_secs(30 * 60) };
    let machine = Machine { kernel, cpus: CPUS, nodes: 1, options: Some("systemd.show_status=no") };
    qemu::run(machine, initramfs, Console::Batch(watchdog, line), None)
}

/// Plays a dozen scenes; gives the page that they print, and whether all was right.
pub fn scenes(kernel: &Kernel) -> Result<(String, bool)> {
    let job = Job {
        argv: [KERNEL_TESTS, "--scenes", "--few"].map(str::to_owned).into(),
        env: env(&["RUST_BACKTRACE"]),
        ..Job::default()
    };
    let watchdog = Watchdog { silence: Duration::from_secs(600), total: Duration::from_secs(30 * 60) };
    let mut page = String::new();
    let mut line = |text: &str| {
        println!("{text}");
        if text.is_empty() || ["| ", "|-", "Precision", "- "].iter().any(|start| text.starts_with(start)) {
            page += &format!("{text}\n");
        }
    };
    let machine = Machine { kernel, cpus: CPUS, nodes: 1, options: None };
    let ended = boot(&job, &build_programs()?, machine, Console::Batch(watchdog, &mut line))?;
    Ok((page, matches!(ended, Outcome::Exited(0))))
}

/// Where the tests leave a recording for the host.
const RECORDING: &str = "/tmp/for-the-host.mt";

/// And where it is here.
pub fn recording(machine: Machine<'_>) -> PathBuf {
    paths::target("vm/recordings").join(format!("{}.mt", machine.name()))
}

fn boot(job: &Job, programs: &Programs, machine: Machine<'_>, console: Console<'_>) -> Result<Outcome> {
    let initramfs = paths::target("vm").join(format!("{}.cpio", machine.name()));
    initramfs::pack(job, programs, machine.kernel, &initramfs)?;
    let Machine { kernel, cpus, nodes, options: _ } = machine;
    println!("booting {} with {cpus} CPUs on {nodes} NUMA node(s)", kernel.release);
    qemu::run(machine, &initramfs, console, job.fetch.as_ref().map(|fetch| fetch.to.as_path()))
}

/// The job's environment: what tests are told by, and these variables of ours.
fn env(passed_on: &[&str]) -> Vec<String> {
    let mut env = vec!["PATH=/bin".into(), "HOME=/tmp".into()];
    env.push(format!("MEMTRACE_BIN={MEMTRACE}"));
    // Debian's kernels have fexit and kprobes.
    env.push("MEMTRACE_TEST_EVERY_WAY=1".to_owned());
    env.push(format!("MEMTRACE_TEST_DISK={}", job::DISK));
    env.push(format!("MEMTRACE_TEST_MODULES={}", job::MODULES));
    env.extend(passed_on.iter().filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?))));
    env
}

fn winsize() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// Builds what goes into a VM.
pub fn build_programs() -> Result<Programs> {
    let init = executables::build(&Build::ForVm, &["build", "--package", "vm-init"])?;
    // Of the whole workspace, so that features are those of the other tests' build.
    let tests = executables::build(&Build::ForVm, &["test", "--no-run", "--workspace", "--test", "kernel"])?;
    Ok(Programs {
        init: executables::find(&init, "bin", "vm-init")?.path.clone(),
        memtrace: executables::find(&tests, "bin", "memtrace")?.path.clone(),
        kernel_tests: executables::find(&tests, "test", "kernel")?.path.clone(),
    })
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        let command = <Args as clap::Args>::augment_args(clap::Command::new("vm"));
        let matches = command.try_get_matches_from([&["vm"], args, &["--", "memtrace"]].concat())?;
        <Args as clap::FromArgMatches>::from_arg_matches(&matches)
    }

    #[test]
    fn an_unknown_workload_is_a_usage_error_that_lists_the_known_ones() {
        let error = parse(&["--kernel", "6.12", "--workload", "fl00d"]).map(drop).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::InvalidValue, 2));
        assert!(error.to_string().contains("[possible values: flood, churn, files]"), "{error}");
        for named in Named::ALL {
            let args = parse(&["--kernel", "6.12", "--workload", named.name()]).unwrap();
            assert_eq!(args.workload, Some(named));
        }
    }

    #[test]
    fn the_help_describes_each_workload() {
        let mut command = <Args as clap::Args>::augment_args(clap::Command::new("vm"));
        let help = command.render_long_help().to_string();
        for named in Named::ALL {
            let value = named.to_possible_value().unwrap();
            let about = value.get_help().unwrap().to_string();
            assert!(help.contains(&format!("- {}:", named.name())) && help.contains(&about), "{help}");
        }
    }

    #[test]
    fn a_kernel_may_be_given_by_its_release() {
        assert_eq!(parse(&["--kernel", "7.3"]).unwrap().kernel.series, "7.x");
        let error = parse(&["--kernel", "8.1"]).map(drop).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ValueValidation, 2));
        assert!(error.to_string().contains("5.10, 6.1, 6.12, 7.x"), "{error}");
    }
}
