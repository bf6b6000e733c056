//! The program that is run with each bundle that is kept: it may send it somewhere.
//!
//! It runs with all our rights, so nobody else may be able to change it. It is a program and no line for a shell, and gets one argument.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::ExitStatusExt as _,
    },
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    fs::{Access, access},
    process::{Pid, Signal, getegid, geteuid, kill_process_group},
};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::Receiver,
    process::{Child, Command},
    time::timeout,
};

use crate::text::{escape, human};

/// Of what it prints, so much is passed on.
const MAX_OUTPUT: usize = 8 << 10;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Of a directory: who may write in it may still not replace what is another's.
const STICKY: u32 = 0o1000;

#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("--hook {}: {source}", escape::path(path))]
    Io { path: PathBuf, source: io::Error },
    #[error("--hook {}: it is no file", escape::path(.0))]
    NotAFile(PathBuf),
    #[error("--hook {}: it cannot be executed: chmod +x it", escape::path(.0))]
    NotExecutable(PathBuf),
    #[error(
        "--hook {}: others than root and its user could change what it runs: {} can be written to by others",
        escape::path(hook),
        escape::path(path)
    )]
    Writable { hook: PathBuf, path: PathBuf },
}

pub struct Hook {
    path: PathBuf,
    within: Duration,
}

/// What became of it.
#[derive(Debug)]
pub struct Ran {
    /// What it printed, line by line, and how it ended if that is worth a word.
    pub said: Vec<String>,
    pub is_good: bool,
}

impl Hook {
    /// Refuses at once what would fail in the night. After `within` it is killed.
    pub fn new(path: &Path, within: Duration) -> Result<Self, HookError> {
        let io = |source| HookError::Io { path: path.to_owned(), source };
        let hook = Self { path: path.canonicalize().map_err(io)?, within };
        hook.check()?;
        Ok(hook)
    }

    fn check(&self) -> Result<(), HookError> {
        let Self { path, .. } = self;
        let io = |source| HookError::Io { path: path.clone(), source };
        if !path.metadata().map_err(io)?.is_file() {
            return Err(HookError::NotAFile(path.clone()));
        }
        access(path, Access::EXEC_OK).map_err(|_| HookError::NotExecutable(path.clone()))?;
        for one in path.ancestors() {
            if may_be_changed(&one.metadata().map_err(io)?) {
                return Err(HookError::Writable { hook: path.clone(), path: one.to_owned() });
            }
        }
        Ok(())
    }

    /// Runs it to its end, or kills it with all that it started. Never fails: it says what went wrong.
    pub async fn run(&self, bundle: &Path) -> Ran {
        let ended = match self.check() {
            Ok(()) => self.start(bundle).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let (mut child, mut output) = match ended {
            Ok(started) => started,
            Err(why) => return Ran { said: vec![format!("hook not run: {why}")], is_good: false },
        };
        let (group, mut said) = (child.id(), Vec::new());
        let both = async { tokio::join!(child.wait(), read(&mut output, &mut said)).0 };
        let ended = timeout(self.within, both).await;
        let is_good = matches!(&ended, Ok(Ok(status)) if status.success());
        let how = match ended {
            Err(_) => {
                kill_group(group);
                Some(format!("hook killed: it took more than {}", human::round_duration(self.within)))
            }
            Ok(Err(error)) => Some(format!("hook failed: {error}")),
            Ok(Ok(status)) => (!status.success()).then(|| format!("hook failed: {}", why(status))),
        };
        // No zombie stays.
        let _ = child.wait().await;
        let lines = String::from_utf8_lossy(&said);
        let lines = lines.lines().map(|line| format!("hook: {}", escape::terminal(line.as_bytes())));
        Ran { said: lines.chain(how).collect(), is_good }
    }

    /// In a process group of its own.
    fn start(&self, bundle: &Path) -> io::Result<(Child, Receiver)> {
        let (output, input) = io::pipe()?;
        let child = Command::new(&self.path)
            .arg(bundle)
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, Receiver::from_owned_fd(output.into())?))
    }
}

/// By somebody who is neither root nor us.
fn may_be_changed(found: &fs::Metadata) -> bool {
    let (mode, is_directory) = (found.permissions().mode(), found.is_dir());
    let is_ours = [0, geteuid().as_raw()].contains(&found.uid());
    let is_of_our_group = [0, getegid().as_raw()].contains(&found.gid());
    let group_writes = mode & GROUP_WRITES != 0 && !is_of_our_group && !is_directory;
    let others_write = mode & OTHERS_WRITE != 0 && !(is_directory && mode & STICKY != 0);
    !is_ours || group_writes || others_write
}

/// All of it is read, so that whoever prints much does not wait for ever.
async fn read(output: &mut Receiver, said: &mut Vec<u8>) {
    let mut bytes = [0; 1024];
    while let Ok(more @ 1..) = output.read(&mut bytes).await {
        let room = MAX_OUTPUT - said.len();
        said.extend_from_slice(&bytes[..more.min(room)]);
    }
}

/// With what it started, which may hold its output open.
fn kill_group(leader: Option<u32>) {
    if let Some(group) = leader.and_then(|id| Pid::from_raw(id.cast_signed())) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn why(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, signal) => format!("ended by signal {}", signal.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
