//! `memtrace run`: a command, from its first allocation to its end, and then the report.

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{self, Exit, Failure},
    live,
    shared::{
        command::{CommandArgs, CommandError},
        finding::FindingArgs,
        lines::Lines,
        rows::RowArgs,
        runtime::block_on,
        terminal::{Size, WidthArgs},
        trace::TraceArgs,
    },
};
use crate::{
    evidence::output_file::{Destination, FileError, NewFile, Target},
    knowledge::incidents::IncidentsError,
    output::{
        Output, Shown,
        documents::report,
        json,
        render::terminal::{Frame, Style, text},
        shown,
    },
    rights::needs::Needs,
    session::{self, Options, SessionError, options::TakeCensus},
    view::Snapshot,
};

#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub trace: TraceArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    /// A table at the end; one JSON object with exact numbers; or a line for each report meanwhile, as vmstat
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    /// Write the report to this file, - for standard output [default: standard error, as the command's output is on standard
    /// output]
    #[arg(long = "out", value_name = "PATH")]
    pub path: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub width: WidthArgs,

    #[command(flatten)]
    pub finding: FindingArgs,

    #[command(flatten)]
    pub command: CommandArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Line,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Failure for RunError {
    fn exit(&self) -> Exit {
        match self {
            Self::Incidents(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::Command(error) => error.exit(),
            Self::Session(error) => error.exit(),
        }
    }
}

/// The exit code is the command's.
pub fn run(args: RunArgs) -> Result<ExitCode, RunError> {
    let options = live::options(args.trace.clone(), args.rows.clone())?;
    // What was there before is none of the command's.
    let needs = options.needs.map(Needs::with_files);
    let mut options = Options { has_early_report: false, census: TakeCensus::Never, needs, ..options };
    let (out, file) = open(&args)?;
    let (output, outcome) = args.finding.watch(output(out, args.output, frame(&args)));
    let Some((command, ending)) = args.command.start(&mut options)? else {
        // The command line has one.
        return Ok(ExitCode::SUCCESS);
    };
    block_on(session::run_command(options, output, command)).map_err(SessionError::Runtime)??;
    if let Some(mut file) = file {
        file.publish()?;
    }
    Ok(exit::of_command(ending.status(), outcome.found()))
}

/// Where the report goes.
fn open(args: &RunArgs) -> Result<(Box<dyn Write + Send>, Option<NewFile>), FileError> {
    let Some(path) = &args.path else { return Ok((Box::new(io::stderr()), None)) };
    let target = Target { path, replace: args.force, inputs: &[], is_binary: false };
    Ok(match target.open()? {
        Destination::Stream(stream) => (stream, None),
        Destination::File(file) => (Box::new(file.handle()?), Some(file)),
    })
}

fn frame(args: &RunArgs) -> Frame {
    let is_terminal = args.path.is_none() && io::stderr().is_terminal();
    match args.width.width {
        None if is_terminal => Frame::wide(Size::of_terminal().columns.into()),
        _ => args.width.frame(false),
    }
}

fn output(out: Box<dyn Write + Send>, format: Format, frame: Frame) -> Box<dyn Output + Send> {
    let out = BufWriter::new(out);
    let table = move |last: &Snapshot| Ok(text(&report::block(last), frame, Style::Plain));
    match format {
        Format::Table => Box::new(Last { out, text: table }),
        Format::Line => Box::new(Lines::plain(out, frame)),
        Format::Json => Box::new(Last { out, text: json::line }),
    }
}

/// Shows the last report alone: before, the terminal is the command's.
struct Last<W, F> {
    out: W,
    text: F,
}

impl<W: Write, F: Fn(&Snapshot) -> io::Result<String>> Output for Last<W, F> {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        if !snapshot.is_final {
            return Ok(Shown::Yes);
        }
        let text = (self.text)(snapshot)?;
        shown(self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()))
    }
}
