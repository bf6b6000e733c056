//! Builds everything and becomes memtrace.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command::{CommandExt, cargo};
use crate::setup::Part;
use crate::{build_ebpf, host, paths, setup};

/// Build memtrace and run it as root: cargo xtask run -- --cache dentry
///
/// Installs first what building needs and is missing. memtrace takes this process's place, so the terminal and all signals are its
/// own.
#[derive(clap::Args)]
pub struct Args {
    /// memtrace's own arguments; without any, its help is shown
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure(Part::Build)?;
    build_ebpf::build()?;
    let target = paths::target("");
    cargo().args(["build", "--release", "--package", "memtrace", "--target-dir"]).arg(&target).check()?;

    let help = [OsString::from("--help")];
    let args = if args.args.is_empty() { &help[..] } else { &args.args };
    let memtrace = target.join("release/memtrace");
    Err(host::as_root(&memtrace).args(args).exec())
        .with_context(|| format!("cannot start {}", memtrace.display()))
}
