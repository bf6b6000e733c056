//! `memtrace redact`: a recording that can be given away.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;

use super::report::with_progress;
use crate::{
    evidence::{
        recording::{
            ReadError, Reader,
            file::{OpenError, Sink, WriteError},
        },
        redact::{
            Redactor,
            recording::{Rewritten, rewrite},
        },
    },
    text::human,
};

#[derive(Args, Clone, Debug)]
pub struct RedactArgs {
    /// The recording
    pub file: PathBuf,

    /// Where to write it with tokens for names
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Overwrite the file if it is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("a recording cannot be redacted in place: name another file with -o")]
    SameFile,
}

pub fn run(args: &RedactArgs) -> Result<(), RedactError> {
    let reader = Reader::open(&args.file)?;
    let is_same = args.file.canonicalize().ok().zip(args.output.canonicalize().ok());
    if is_same.is_some_and(|(from, to)| from == to) {
        return Err(RedactError::SameFile);
    }
    let mut sink = Sink::create(&args.output, args.force, None)?;
    let rewritten = with_progress(|progress| rewrite(&reader, &mut sink, &Redactor::default(), progress))?;
    // Nowhere to complain if even standard error is closed.
    let _ = io::stderr().write_all(summary(rewritten).as_bytes());
    Ok(())
}

fn summary(rewritten: Rewritten) -> String {
    let Rewritten { blocks, bytes, left_out } = rewritten;
    let mut text = format!("redacted {blocks} blocks, {}\n", human::bytes(bytes));
    if left_out > 0 {
        text += &format!("{left_out} blocks are left out: they are damaged, or would be too long\n");
    }
    text
}
