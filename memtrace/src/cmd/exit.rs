//! Exit codes: 0 done, 1 failed, 2 asked for something that cannot be, 3 somebody leaks or floods. Of a command that memtrace ran, its
//! own, as a shell has it.
//!
//! For a recording, 2 means: not a recording, or one of a newer version; no such window or mark; a bad pattern; a file that
//! exists, without --force, or that cannot be written to. 1 means that it cannot be read or written, or is damaged beyond use.

use std::{
    error::Error,
    fmt, io,
    os::unix::process::ExitStatusExt as _,
    process::{ExitCode, ExitStatus},
};

use crate::{
    evidence::{
        output_file::FileError,
        recording::{ReadError, file::WriteError, header::HeaderError, pipe::PipeError},
        replay::{events::StreamError, window::WindowError},
    },
    knowledge::incidents::IncidentsError,
    procfs::{HostError, slab::ResolveError},
    select::filter::FilterError,
    session::{SessionError, SetupError},
    text::escape,
    view::diff::DifferentKeys,
};

const FAILED: u8 = 1;
/// As clap exits on a usage error.
const USAGE: u8 = 2;
const FOUND: u8 = 3;
const COMMAND_NOT_RUNNABLE: u8 = 126;
const COMMAND_NOT_FOUND: u8 = 127;
/// Of a command that a signal ended: so much more than the signal.
const SIGNAL: u8 = 128;

/// Whether somebody is accused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the exit code tells"]
pub enum Found {
    Nothing,
    Suspect,
}

/// The exit code of a command that memtrace ran, as a shell has it. One that was left to itself counts as ended by SIGTERM.
pub fn of_command(status: Option<ExitStatus>, found: Found) -> ExitCode {
    let signal = |signal: i32| SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX));
    let code = match status.map(|status| (status.code(), status.signal())) {
        Some((Some(0), _)) => return found.into(),
        Some((Some(code), _)) => u8::try_from(code).unwrap_or(FAILED),
        Some((None, by)) => signal(by.unwrap_or_default()),
        None => signal(libc::SIGTERM),
    };
    ExitCode::from(code)
}

impl From<Found> for ExitCode {
    fn from(found: Found) -> Self {
        match found {
            Found::Nothing => Self::SUCCESS,
            Found::Suspect => Self::from(FOUND),
        }
    }
}

/// How a command that could not do its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The reader of our output has gone, as `head` does: no error.
    ReaderGone,
    Failed,
    /// It was asked for something that cannot be.
    Usage,
    /// The command that it was to run is not there, or is none: as a shell exits.
    CommandNotFound,
    CommandNotRunnable,
}

/// An error that says how its command ends.
pub trait Failure: Error {
    fn exit(&self) -> Exit;
}

/// What went wrong in a command.
#[derive(Debug)]
pub struct CommandError(Box<dyn Failure>);

impl<E: Failure + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// Each line by itself harmless for a terminal, whoever made the names in it.
impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0.to_string()))
    }
}

impl CommandError {
    pub fn exit(&self) -> Exit {
        self.0.exit()
    }
}

/// A message of several lines, in which names were escaped already, as they should be, or not.
pub fn printable(message: &str) -> String {
    message.lines().map(|line| escape::column(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::ReaderGone => Self::SUCCESS,
            Exit::Failed => Self::from(FAILED),
            Exit::Usage => Self::from(USAGE),
            Exit::CommandNotFound => Self::from(COMMAND_NOT_FOUND),
            Exit::CommandNotRunnable => Self::from(COMMAND_NOT_RUNNABLE),
        }
    }
}

impl Failure for io::Error {
    fn exit(&self) -> Exit {
        if self.kind() == io::ErrorKind::BrokenPipe { Exit::ReaderGone } else { Exit::Failed }
    }
}

impl Failure for FileError {
    fn exit(&self) -> Exit {
        match self {
            Self::Io { source, .. } | Self::Stdout(source) => source.exit(),
            Self::NotPrivate { .. } => Exit::Failed,
            _ => Exit::Usage,
        }
    }
}

impl Failure for ReadError {
    fn exit(&self) -> Exit {
        match self {
            Self::Header { source: HeaderError::Damaged(_), .. } => Exit::Failed,
            Self::Header { .. } | Self::NotAFile(_) => Exit::Usage,
            Self::Pipe(PipeError::Terminal | PipeError::TooLong) => Exit::Usage,
            Self::Pipe(_) | Self::Open { .. } | Self::NoBlocks(_) => Exit::Failed,
        }
    }
}

impl Failure for WriteError {
    fn exit(&self) -> Exit {
        match self {
            Self::Write { source, .. } => source.exit(),
            Self::File(error) => error.exit(),
            Self::Pack(_) | Self::NoRoom(_) | Self::TooMuch(_) => Exit::Failed,
        }
    }
}

impl Failure for StreamError {
    fn exit(&self) -> Exit {
        match self {
            Self::Window(error) => error.exit(),
            Self::Write(error) => error.exit(),
            Self::TooMuch(_) => Exit::Failed,
        }
    }
}

impl Failure for WindowError {
    fn exit(&self) -> Exit {
        match self {
            Self::TooMuch(_) => Exit::Failed,
            _ => Exit::Usage,
        }
    }
}

impl Failure for SessionError {
    fn exit(&self) -> Exit {
        match self {
            Self::Setup(SetupError::Resolve(error)) => error.exit(),
            Self::Setup(SetupError::NoSuchProcess(_)) => Exit::Usage,
            Self::Record(error) => error.exit(),
            Self::Command(error) => command_failure(error),
            Self::Output(error) | Self::Events(error) => error.exit(),
            _ => Exit::Failed,
        }
    }
}

/// Why a command cannot be run.
pub fn command_failure(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::NotFound => Exit::CommandNotFound,
        _ => Exit::CommandNotRunnable,
    }
}

impl Failure for HostError {
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

/// What the user wrote cannot be.
macro_rules! usage {
    ($($error:ty),+) => {
        $(impl Failure for $error {
            fn exit(&self) -> Exit {
                Exit::Usage
            }
        })+
    };
}

usage!(DifferentKeys, FilterError, IncidentsError, ResolveError);

#[cfg(test)]
mod tests;
