//! Running other programs, with errors that say which one failed and why.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;

pub trait CommandExt {
    /// Runs it, its output going where ours goes; an exit code other than 0 is an error.
    fn check(&mut self) -> Result<()>;
    /// Runs it and gives what it wrote to stdout; an exit code other than 0 is an error that quotes stderr.
    fn text(&mut self) -> Result<String>;
}

impl CommandExt for Command {
    fn check(&mut self) -> Result<()> {
        let status = self.status().with_context(|| format!("cannot run {}", shown(self)))?;
        if !status.success() {
            bail!("{} failed: {status}", shown(self));
        }
        Ok(())
    }

    fn text(&mut self) -> Result<String> {
        let output =
            self.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", shown(self)))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let said = format!("{} failed: {}\n{stderr}", shown(self), output.status);
            bail!("{}", said.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The command line, as for a log: not quoted, not for a shell.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// The cargo that runs us, in the workspace.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::root());
    cargo
}

/// Looks a program up in PATH and in the system directories that only root has in PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}
