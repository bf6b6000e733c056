//! The tests on this host: those of the workspace's crates, and the kernel tests.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::summary::Row;
use super::transcript::Transcript;
use super::{KERNEL_TESTS, MACHINE, NO_SKIP};
use crate::executables::{self, Build, Executable};
use crate::{host, paths};

pub const UNIT_TESTS: &str = "unit tests";

/// The library's own tests take longer to optimise than to run.
const UNOPTIMISED: &str = "profile.tests.package.memtrace.opt-level=0";

/// The test programs of the workspace.
pub struct Programs {
    unit: Vec<Executable>,
    kernel: Executable,
}

impl Programs {
    pub fn build(build: &Build) -> Result<Self> {
        let mut built =
            executables::build(build, &["test", "--no-run", "--workspace", "--bins", "--test", "*"])?;
        let mut of_libraries = vec!["test", "--no-run", "--workspace", "--lib"];
        if matches!(build, Build::ForHost) {
            of_libraries.extend(["--config", UNOPTIMISED]);
        }
        built.extend(executables::build(build, &of_libraries)?);
        let mut unit: Vec<_> = built.into_iter().filter(is_for_here).collect();
        let kernel = unit.iter().position(|test| test.kind == "test" && test.name == "kernel");
        let kernel = unit.remove(kernel.context("cargo built no kernel tests")?);
        Ok(Self { unit, kernel })
    }

    pub fn unit_tests(&self, filter: Option<&str>) -> Row {
        let start = Instant::now();
        let mut row = Row::new(UNIT_TESTS, "");
        for test in &self.unit {
            let mut program = Command::new(&test.path);
            // As cargo does: tests read files of their package.
            program.current_dir(&test.package).env("CARGO_MANIFEST_DIR", &test.package);
            // How long each test takes is not a stable part of libtest's output, and all the same there.
            program.env("RUSTC_BOOTSTRAP", "1").args(["-Zunstable-options", "--report-time"]).args(filter);
            run(&mut program, &test.name, &mut row);
        }
        row.took = start.elapsed();
        row
    }

    /// Those of a machine, or all that can run here.
    pub fn kernel_tests(&self, machine: Option<&str>, filter: Option<&str>) -> Row {
        let start = Instant::now();
        let mut row = Row::new(KERNEL_TESTS, &format!("{} (this host)", host::kernel_release()));
        match self.kernel_program(machine) {
            Ok(mut program) => run(program.args(filter), "this host", &mut row),
            Err(error) => row.fail(format!("{error:#}")),
        }
        row.took = start.elapsed();
        row
    }

    /// Prints which kernel test runs on which machines.
    pub fn list_machines(&self) -> Result<()> {
        let status = self.kernel_program(None)?.arg("--list-machines").status()?;
        ensure!(status.success(), "the kernel tests cannot be listed: {status}");
        Ok(())
    }

    /// The kernel tests as root, with what they are told by.
    fn kernel_program(&self, machine: Option<&str>) -> Result<Command> {
        let disk = paths::target("test-disk");
        std::fs::create_dir_all(&disk).with_context(|| format!("cannot make {}", disk.display()))?;
        // sudo keeps no environment, so it goes into the command.
        let mut program = host::as_root("env");
        // The directory for temporary files may be a tmpfs, the one that we are built in hardly.
        let disk = std::env::var("MEMTRACE_TEST_DISK").unwrap_or_else(|_| disk.display().to_string());
        program.arg(format!("MEMTRACE_TEST_DISK={disk}"));
        for name in [NO_SKIP, "RUST_BACKTRACE"] {
            program.args(std::env::var(name).ok().map(|value| format!("{name}={value}")));
        }
        program.args(machine.map(|machine| format!("{MACHINE}={machine}")));
        program.arg(&self.kernel.path).current_dir(&self.kernel.package);
        Ok(program)
    }
}

/// `--bins` makes test programs of the kernel's programs too, which have no tests and do not run on a host.
fn is_for_here(executable: &Executable) -> bool {
    executable.is_test && !executable.package.ends_with("memtrace-ebpf")
}

/// Runs a test program, shows what it prints, and counts.
fn run(program: &mut Command, name: &str, row: &mut Row) {
    let mut transcript = Transcript::new(name);
    let ended = read_lines(program, &mut |line| transcript.line(line));
    let problem = match ended {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("{name} ended badly ({status})")),
        Err(error) => Some(format!("{name}: {error:#}")),
    };
    row.add(transcript, problem);
}

/// Runs a program and gives each line that it prints to either stream.
fn read_lines(program: &mut Command, line: &mut dyn FnMut(&str)) -> Result<std::process::ExitStatus> {
    let (output, input) = std::io::pipe()?;
    program.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let mut child = program.spawn().context("it does not start")?;
    // Drops our ends of the pipe, so that it ends when the program does.
    program.stdout(Stdio::null()).stderr(Stdio::null());
    for bytes in BufReader::new(output).split(b'\n') {
        line(String::from_utf8_lossy(&bytes?).trim_end());
    }
    Ok(child.wait()?)
}
