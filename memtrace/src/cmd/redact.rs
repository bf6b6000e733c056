//! `memtrace redact`: a recording that can be given away.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;

use super::{
    exit::{Exit, Failure},
    shared::{sandboxed, status::with_bar},
};
use crate::{
    evidence::{
        output_file::{Destination, FileError, NewFile, Target},
        recording::{
            ReadError,
            file::{Sink, WriteError},
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
    /// The recording; - is standard input
    pub file: PathBuf,

    /// Where to write the copy; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Failure for RedactError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::Write(error) => error.exit(),
        }
    }
}

pub fn run(args: &RedactArgs) -> Result<(), RedactError> {
    let inputs = [&*args.file];
    let target = Target { path: &args.output, replace: args.force, inputs: &inputs, is_binary: true };
    let destination = target.open()?;
    let sandbox = destination.sandbox();
    let mut copy = Copy::new(destination)?;
    let reader = sandboxed::open(&args.file, &sandbox)?;
    let rewritten = with_bar(|progress| rewrite(&reader, &mut copy.sink, &Redactor::default(), progress))?;
    copy.publish()?;
    // Nowhere to complain if even standard error is closed.
    let _ = io::stderr().write_all(summary(rewritten).as_bytes());
    Ok(())
}

/// The copy: a file that is there when it is complete, or a stream.
struct Copy {
    sink: Sink,
    file: Option<NewFile>,
}

impl Copy {
    fn new(destination: Destination) -> Result<Self, FileError> {
        Ok(match destination {
            Destination::Stream(stream) => Self { sink: Sink::stream(stream), file: None },
            Destination::File(file) => Self { sink: Sink::scratch(file.handle()?), file: Some(file) },
        })
    }

    fn publish(self) -> Result<(), FileError> {
        self.file.map_or(Ok(()), |mut file| file.publish())
    }
}

fn summary(rewritten: Rewritten) -> String {
    let Rewritten { blocks, bytes, left_out } = rewritten;
    let mut text = format!("redacted {blocks} blocks, {}\n", human::bytes(bytes));
    if left_out > 0 {
        text += &format!("{left_out} blocks were left out: they are damaged, or too long once redacted\n");
    }
    text
}
