//! The loads: small, exact loops of our own that count their operations.
//!
//! Each runs in a process of its own, this program again, pinned to one CPU (the mix: a thread on each). It says `ready`,
//! and for each line that it reads it runs once and says what it measured. At the end of its input it cleans up and ends.

mod load;
mod operations;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum as _;
use clap::builder::PossibleValue;
use serde::{Deserialize, Serialize};

pub use self::load::Load;

/// The text of each is what tables and `--help` say one operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// open and close /dev/null
    Open,
    /// eventfd, close
    Eventfd,
    /// access() of a new name that does not exist
    Negative,
    /// socketpair, close both
    Socketpair,
    /// vfork, exit, wait
    Fork,
    /// two threads on two CPUs: open, eventfd, socketpair, close all
    Mix,
}

impl Workload {
    pub fn name(self) -> String {
        self.value().get_name().to_owned()
    }

    /// What one operation is.
    pub fn operation(self) -> String {
        self.value().get_help().map(ToString::to_string).unwrap_or_default()
    }

    fn value(self) -> PossibleValue {
        self.to_possible_value().expect("no workload is skipped")
    }

    pub fn threads(self) -> usize {
        if self == Self::Mix { 2 } else { 1 }
    }
}

/// Run one workload of the bench, once for each line of input
#[derive(clap::Args)]
pub struct Args {
    workload: Workload,
    /// End after this many operations
    #[arg(long)]
    ops: u64,
    /// Or after this many milliseconds, whichever comes first
    #[arg(long)]
    milliseconds: u64,
    /// Threads, each on a CPU of its own while there are enough CPUs; fork and negative have one
    #[arg(long)]
    threads: usize,
    /// A directory on a disk, in which one is made where names are looked up; it is removed afterwards
    #[arg(long)]
    directory: PathBuf,
}

/// When to end.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub ops: u64,
    pub time: Duration,
}

/// What a workload did and took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub ops: u64,
    pub wall_ns: u64,
    /// User and system time of the process and the children it waited for.
    pub cpu_ns: u64,
    pub threads: u64,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let bound = Bound { ops: args.ops, time: Duration::from_millis(args.milliseconds) };
    let mut prepared = operations::prepare(args.workload, args.threads, &args.directory)
        .with_context(|| format!("cannot prepare the workload {}", args.workload.name()))?;
    writeln!(io::stdout(), "ready")?;
    for order in io::stdin().lines() {
        order?;
        let measured = prepared.run(bound).context("the workload failed")?;
        writeln!(io::stdout(), "{}", serde_json::to_string(&measured)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
