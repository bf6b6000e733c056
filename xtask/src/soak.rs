//! A long session beside a leak and churn, with all that must stay right.

use std::process::ExitCode;

use anyhow::Result;

use crate::command::CommandExt;
use crate::executables::{self, Build};
use crate::{build_ebpf, host};

/// Trace this host for a while, beside a leak and churn, and check what must hold all the time: cargo xtask soak --minutes 60
///
/// The leak is exact, what was emitted is applied or lost, misses never fall, and memtrace's own memory and files grow only with
/// what is outstanding. Not part of cargo xtask test, since it takes long.
#[derive(clap::Args)]
pub struct Args {
    /// How long
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    build_ebpf::build()?;
    let built = executables::build(
        &Build::ForHost,
        &["test", "--no-run", "--workspace", "--bins", "--test", "kernel"],
    )?;
    let memtrace = &executables::find(&built, "bin", "memtrace")?.path;
    let tests = &executables::find(&built, "test", "kernel")?.path;
    let mut soak = host::as_root("env");
    soak.arg(format!("MEMTRACE_BIN={}", memtrace.display())).arg(tests);
    soak.args(["--soak", &args.minutes.to_string()]).check()?;
    Ok(ExitCode::SUCCESS)
}
