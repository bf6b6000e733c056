//! The bench's side of a workload: the process that runs it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Bound, Measured, Workload};
use crate::process::{self, Killed};

/// A workload that waits or runs. Its process is killed when this is dropped; what it left on disk goes with the bench's directory.
pub struct Load {
    child: Killed,
    /// Closing it ends the process, also if we die.
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Load {
    /// Starts the process, which prepares itself; what it needs on disk it makes and removes in `directory`.
    pub fn start(workload: Workload, bound: Bound, threads: usize, directory: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find our own program")?);
        command
            .args(["workload", &workload.name()])
            .args(["--ops", &bound.ops.to_string()])
            .args(["--milliseconds", &bound.time.as_millis().to_string()])
            .args(["--threads", &threads.to_string(), "--directory"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = process::spawn(&mut command)?;
        let orders = child.0.stdin.take();
        let replies = BufReader::new(child.0.stdout.take().expect("it is piped"));
        let mut load = Self { child, orders, replies };
        let reply = load.reply()?;
        if reply != "ready" {
            bail!("the workload {} answered {reply:?} instead of \"ready\"", workload.name());
        }
        Ok(load)
    }

    /// Has it run once.
    pub fn run(&mut self) -> Result<Measured> {
        self.go()?;
        self.measured()
    }

    /// Has it begin a run.
    pub fn go(&mut self) -> Result<()> {
        self.orders.as_mut().context("it has ended")?.write_all(b"\n").context("the workload ended")
    }

    /// Waits until the run is done.
    pub fn measured(&mut self) -> Result<Measured> {
        let reply = self.reply()?;
        serde_json::from_str(&reply).with_context(|| format!("the workload answered {reply:?}"))
    }

    /// Has it clean up, and waits until it is gone.
    pub fn end(mut self) -> Result<()> {
        drop(self.orders.take());
        let status = self.child.0.wait()?;
        if !status.success() {
            bail!("the workload failed: {status}");
        }
        Ok(())
    }

    fn reply(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            bail!("the workload ended without an answer");
        }
        Ok(line.trim_end().to_owned())
    }
}
