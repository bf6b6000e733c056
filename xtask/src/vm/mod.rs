//! Virtual machines: memtrace and its kernel tests on kernels other than the host's.

mod initramfs;
mod kernels;
mod qemu;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValuesParser, RangedI64ValueParser};
use serde_json::Value;
use vm_init::{Outcome, job};

pub use self::initramfs::Programs;
use self::initramfs::{Fetch, Job, KERNEL_TESTS, MEMTRACE};
pub use self::kernels::{names as kernel_names, obtain as obtain_kernel};
pub use self::qemu::{CPUS, Machine};
use self::qemu::{Console, Watchdog};
use crate::command::cargo;
use crate::setup::Part;
use crate::{build_ebpf, paths, setup};

/// Run memtrace live in a VM: cargo xtask vm --kernel 6.12 -- memtrace --cache dentry
///
/// The VM's console is your terminal, and Ctrl-C is memtrace's. The VM ends when memtrace does. All of it is in target/vm/logs.
/// MEMTRACE_VM_ACCEL=kvm makes it faster where KVM works.
#[derive(clap::Args)]
pub struct Args {
    /// Kernel to boot
    #[arg(long, value_parser = kernel_parser())]
    kernel: String,
    /// CPUs that the VM has
    #[arg(long, default_value_t = CPUS, value_parser = cpus_parser())]
    cpus: u8,
    /// NUMA nodes that share its CPUs and its memory
    #[arg(long, default_value_t = 1, value_parser = nodes_parser())]
    nodes: u8,
    /// Run this workload of the kernel tests' program beside it
    #[arg(long, value_name = "ARGS")]
    workload: Option<String>,
    /// Afterwards, copy a file out of the VM: /tmp/x.mt=recording.mt
    #[arg(long, value_name = "THERE=HERE", value_parser = fetch_parser)]
    fetch: Option<Fetch>,
    /// Program and its arguments: memtrace, or kernel-tests
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub fn kernel_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(kernel_names())
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
    let workload = args.workload.as_deref().map(|workload| {
        let words = [KERNEL_TESTS, "--workload"].into_iter().chain(workload.split_whitespace());
        words.map(str::to_owned).collect()
    });
    let job = Job {
        argv: args.command.clone(),
        env: env(&["TERM", "NO_COLOR", "RUST_LOG"]),
        workload: workload.unwrap_or_default(),
        fetch: args.fetch.clone(),
        winsize: winsize(),
    };
    let kernel = obtain_kernel(&args.kernel)?;
    let machine = Machine { kernel: &kernel, cpus: args.cpus, nodes: args.nodes };
    let run = boot(&job, &build_programs()?, machine, &Console::Interactive)?;
    Ok(match run.outcome {
        Outcome::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Outcome::Killed(_) | Outcome::Broken(_) => ExitCode::FAILURE,
    })
}

/// Runs the kernel tests in a VM; gives how they ended and all they printed.
pub fn test(
    machine: Machine<'_>,
    programs: &Programs,
    filter: Option<&str>,
    leave_out: Option<&str>,
) -> Result<(Outcome, String)> {
    // One at a time: they look at the whole kernel, so one would see the other.
    let mut argv = vec![KERNEL_TESTS.to_owned(), "--test-threads=1".to_owned(), "--color=never".to_owned()];
    argv.extend(filter.map(str::to_owned));
    argv.extend(leave_out.map(|name| format!("--skip={name}")));
    let mut env = env(&["MEMTRACE_NO_SKIP", "RUST_BACKTRACE"]);
    env.push(format!("MEMTRACE_TEST_NODES={}", machine.nodes));
    env.push(format!("MEMTRACE_TEST_RECORDING={RECORDING}"));
    let fetch = Some(Fetch { from: RECORDING.to_owned(), to: recording(machine) });
    let job = Job { argv, env, fetch, ..Job::default() };
    let watchdog = Watchdog { silence: Duration::from_secs(300), total: Duration::from_secs(20 * 60) };
    let run = boot(&job, programs, machine, &Console::Batch(watchdog))?;
    Ok((run.outcome, run.console))
}

/// Where the tests leave a recording for the host.
const RECORDING: &str = "/tmp/for-the-host.mt";

/// And where it is here.
pub fn recording(machine: Machine<'_>) -> PathBuf {
    paths::target("vm/recordings").join(format!("{}.mt", machine.name()))
}

fn boot(job: &Job, programs: &Programs, machine: Machine<'_>, console: &Console) -> Result<qemu::Run> {
    let initramfs = paths::target("vm").join(format!("{}.cpio.gz", machine.name()));
    initramfs::pack(job, programs, machine.kernel, &initramfs)?;
    let Machine { kernel, cpus, nodes } = machine;
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

/// The kernels are x86-64's, whatever the host is.
const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds what goes into a VM, linked statically: there are no libraries in there.
pub fn build_programs() -> Result<Programs> {
    let init = build_static(&["build", "--package", "vm-init"])?;
    let tests = build_static(&["test", "--no-run", "--package", "memtrace", "--test", "kernel"])?;
    let find = |artifacts: &[(String, PathBuf)], name: &str| -> Result<PathBuf> {
        let found = artifacts.iter().find(|(artifact, _)| artifact == name);
        Ok(found.with_context(|| format!("cargo built no {name}"))?.1.clone())
    };
    Ok(Programs {
        init: find(&init, "bin vm-init")?,
        memtrace: find(&tests, "bin memtrace")?,
        kernel_tests: find(&tests, "test kernel")?,
    })
}

/// Runs cargo and gives the executables it made, by kind and name.
fn build_static(args: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let output = cargo()
        .args(args)
        .args(["--release", "--target", STATIC_TARGET, "--message-format=json-render-diagnostics"])
        // For the linker's and the initramfs's sake; nobody measures or debugs in there.
        .args(["--config", "profile.release.lto=\"off\"", "--config", "profile.release.strip=true"])
        .arg("--target-dir")
        .arg(paths::target("static"))
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the static build for the VMs failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(executable).collect())
}

/// Reads one of cargo's messages.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = Path::new(message["executable"].as_str()?).to_owned();
    let target = &message["target"];
    Some((format!("{} {}", target["kind"][0].as_str()?, target["name"].as_str()?), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_read_from_cargos_messages() {
        let message = r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"kernel"},"executable":"/x/kernel-1"}"#;
        assert_eq!(executable(message), Some(("test kernel".to_owned(), "/x/kernel-1".into())));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable("running 1 test"), None);
    }
}
