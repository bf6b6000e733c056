//! Builds the bench, a program of its own, and becomes it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::command::{CommandExt, cargo};
use crate::paths;

/// Measure what memtrace costs, beside empty programs and its peers; see cargo xtask bench --help
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// The bench's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let target = paths::target("");
    cargo().args(["build", "--release", "--package", "bench", "--target-dir"]).arg(&target).check()?;
    let bench = target.join("release/bench");
    Err(Command::new(&bench).args(&args.args).exec())
        .with_context(|| format!("cannot start {}", bench.display()))
}
