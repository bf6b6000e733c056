//! A recording that comes through a pipe: `memtrace record -o - | memtrace report -`. Its index is at its end, and a report reads
//! some blocks twice, so it is copied to a temporary file, which has no name and is gone with the process.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    os::{fd::AsFd as _, unix::fs::FileTypeExt as _},
    path::Path,
};

use crate::evidence::output_file;

/// What is on the command line for standard input.
const STANDARD_INPUT: &str = "-";

/// A longer recording is read from a file of its own. Recorders stop at 2 GiB unless they are asked for more.
const MAX: u64 = 4 << 30;

#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    #[error(
        "it is a terminal; name a file, or pipe a recording in: memtrace record -o - | memtrace report -"
    )]
    Terminal,
    #[error("it is longer than {} GiB; save it to a file and name that", MAX >> 30)]
    TooLong,
    #[error("cannot copy it to a temporary file: {0}")]
    Copy(#[source] io::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whether this is how a command line names standard input, or a pipe that the shell made: `<(command)`.
pub fn is_descriptor(path: &Path) -> bool {
    is_stdin(path) || output_file::is_descriptor(path)
}

pub fn is_stdin(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT) || path == Path::new("/dev/stdin")
}

/// What is behind a descriptor, as a file that can be read back and forth.
pub fn open(path: &Path) -> Result<File, PipeError> {
    let input = if is_stdin(path) {
        File::from(io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        File::open(path)?
    };
    if input.is_terminal() {
        return Err(PipeError::Terminal);
    }
    let kind = input.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() { copied(input, MAX) } else { Ok(input) }
}

fn copied(input: impl Read, max: u64) -> Result<File, PipeError> {
    let mut copy = tempfile::tempfile().map_err(PipeError::Copy)?;
    let len = io::copy(&mut input.take(max + 1), &mut copy).map_err(PipeError::Copy)?;
    if len > max { Err(PipeError::TooLong) } else { Ok(copy) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn a_pipe_is_copied_up_to_a_limit() {
        let copy = copied(&b"recorded"[..], 8).unwrap();
        let mut bytes = [0; 8];
        copy.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"recorded");
        assert!(matches!(copied(&b"recorded"[..], 7), Err(PipeError::TooLong)));
    }
}
