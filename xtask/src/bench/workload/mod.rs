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
use serde::{Deserialize, Serialize};

pub use self::load::Load;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// open and close of /dev/null
    Open,
    /// eventfd and close
    Eventfd,
    /// access of a name that does not exist, a new one each time
    Negative,
    /// socketpair and two closes
    Socketpair,
    /// A child that exits at once, and is waited for
    Fork,
    /// On two CPUs: open, eventfd and socketpair, each closed again
    Mix,
}

impl Workload {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Eventfd => "eventfd",
            Self::Negative => "negative",
            Self::Socketpair => "socketpair",
            Self::Fork => "fork",
            Self::Mix => "mix",
        }
    }

    /// What one operation is.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Open => "open and close /dev/null",
            Self::Eventfd => "eventfd, close",
            Self::Negative => "access() of a new name that does not exist",
            Self::Socketpair => "socketpair, close both",
            Self::Fork => "vfork, exit, wait",
            Self::Mix => "two threads on two CPUs: open, eventfd, socketpair, close all",
        }
    }

    pub fn threads(self) -> usize {
        if self == Self::Mix { 2 } else { 1 }
    }
}

/// Run one workload of the bench, once for each line of input
#[derive(clap::Args)]
pub struct Args {
    workload: Workload,
    /// End after so many operations
    #[arg(long)]
    ops: u64,
    /// And after so many milliseconds, whichever comes first
    #[arg(long)]
    milliseconds: u64,
    /// Threads, each on a CPU of its own as far as there are so many; fork and negative have one
    #[arg(long)]
    threads: usize,
    /// A directory of its own on a disk, where names are looked up; removed afterwards
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
    say("ready")?;
    while is_told_to_go_on()? {
        let measured = prepared.run(bound).context("the workload failed")?;
        say(&serde_json::to_string(&measured)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// Waits for a line; false at the end of the input.
fn is_told_to_go_on() -> io::Result<bool> {
    Ok(io::stdin().read_line(&mut String::new())? > 0)
}
