//! The bench's side of a workload: the process that runs it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Bound, Measured, Workload};
use crate::bench::process;

/// A workload that waits or runs. Its process ends when this is dropped.
pub struct Load {
    child: Child,
    /// Closing it ends the process, also if we die.
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Load {
    /// Starts the process, which prepares itself; `directory` is made and removed by it.
    pub fn start(workload: Workload, bound: Bound, threads: usize, directory: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find our own program")?);
        command
            .args(["bench-workload", workload.name()])
            .args(["--ops", &bound.ops.to_string()])
            .args(["--milliseconds", &bound.time.as_millis().to_string()])
            .args(["--threads", &threads.to_string(), "--directory"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = process::spawn(&mut command)?;
        let orders = child.stdin.take();
        let replies = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut load = Self { child, orders, replies };
        let reply = load.reply()?;
        if reply != "ready" {
            bail!("the workload {} said {reply:?} instead of \"ready\"", workload.name());
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
        serde_json::from_str(&reply).with_context(|| format!("the workload said {reply:?}"))
    }

    /// Has it clean up, and waits until it is gone.
    pub fn end(mut self) -> Result<()> {
        drop(self.orders.take());
        let status = self.child.wait()?;
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

impl Drop for Load {
    fn drop(&mut self) {
        // One that is still running is not waited for: its directory goes with the bench's own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
