//! `memtrace` without a command: the live session.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal as _},
    num::NonZeroU64,
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Failure, Found},
    shared::{
        finding::FindingArgs,
        keyboard::{self, ViewArgs},
        lines::Lines,
        number,
        recorded::options_of,
        rows::RowArgs,
        runtime::block_on,
        screen::Screen,
        terminal::{self, WidthArgs},
        trace::TraceArgs,
    },
};
use crate::{
    knowledge::incidents::IncidentsError,
    output::{Output, json::JsonLines},
    rights::needs::{Needs, Starts},
    session::{self, Options, SessionError, budget::CpuLimit, options::TakeCensus},
    text::duration,
    top::terminal::is_interactive,
};

#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    #[command(flatten)]
    pub trace: TraceArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    /// Seconds between reports, as for vmstat
    #[arg(index = 1, value_name = "INTERVAL", value_parser = duration::parse, conflicts_with = "interval")]
    pub every: Option<Duration>,

    /// Reports until it stops
    #[arg(index = 2, value_name = "COUNT", value_parser = number::at_least_one::<NonZeroU64>, conflicts_with = "count")]
    pub times: Option<NonZeroU64>,

    /// Plain tables; a line for each report, as vmstat; or a JSON object a line, with exact numbers [default: the live view on a
    /// terminal, tables elsewhere]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,

    #[command(flatten)]
    pub view: ViewArgs,

    #[command(flatten)]
    pub width: WidthArgs,

    #[command(flatten)]
    pub finding: FindingArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Line,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Failure for LiveError {
    fn exit(&self) -> Exit {
        match self {
            Self::Incidents(error) => error.exit(),
            Self::Session(error) => error.exit(),
        }
    }
}

pub fn run(args: LiveArgs) -> Result<Found, LiveError> {
    let mut trace = args.trace;
    trace.interval = args.every.unwrap_or(trace.interval);
    trace.count = args.times.or(trace.count);
    let LiveArgs { rows, view, width, finding, .. } = args;
    match args.output {
        Some(format) => print(trace, rows, format, width, finding),
        None => show(trace, rows, view, width, finding, || options_of::<LiveArgs>(env::args_os())),
    }
}

/// At the keyboard, where there is one; else as tables. `recorded` are the options of `record` for a recording of the same.
/// What the BPF programs log would stand in the middle of a screen.
pub fn show(
    trace: TraceArgs,
    rows: RowArgs,
    view: ViewArgs,
    width: WidthArgs,
    finding: FindingArgs,
    recorded: impl FnOnce() -> Vec<OsString>,
) -> Result<Found, LiveError> {
    if is_interactive() && !trace.verbose {
        // A key starts a recording, in a process of its own, and another writes a report.
        let with_keys = |needs| Needs { starts: Starts::Another, makes_files: true, ..needs };
        let options = options(trace, rows)?;
        let options = Options { has_early_report: true, needs: options.needs.map(with_keys), ..options };
        return Ok(keyboard::session(options, view, width, finding, recorded())?);
    }
    print(trace, rows, Format::Table, width, finding)
}

fn print(
    trace: TraceArgs,
    rows: RowArgs,
    format: Format,
    width: WidthArgs,
    finding: FindingArgs,
) -> Result<Found, LiveError> {
    let mut options = options(trace, rows)?;
    // It is none more, since the next one stands in its place.
    options.has_early_report |= format == Format::Table && io::stdout().is_terminal();
    let (output, outcome) = finding.watch(output(format, width));
    block_on(session::run(options, output)).map_err(SessionError::Runtime)??;
    Ok(outcome.found())
}

/// Reports on standard output.
pub fn output(format: Format, width: WidthArgs) -> Box<dyn Output + Send> {
    match format {
        Format::Table => Box::new(Screen::stdout(terminal::style(), width)),
        Format::Line => Box::new(Lines::stdout(terminal::style(), width)),
        Format::Json => Box::new(JsonLines::new(io::stdout())),
    }
}

/// The options of a session.
pub fn options(trace: TraceArgs, rows: RowArgs) -> Result<Options, IncidentsError> {
    Ok(Options {
        select: trace.select(),
        needs: trace.needs(),
        report_options: rows.report_options(),
        has_directories: false,
        stacks: trace.stacks,
        incidents: rows.incidents()?,
        interval: trace.interval,
        duration: trace.duration,
        // With a count, it would be one more.
        has_early_report: trace.count.is_none(),
        count: trace.count.map(NonZeroU64::get),
        census: if trace.census { TakeCensus::Always } else { TakeCensus::IfMuch },
        census_every: None,
        settle: trace.settle,
        sample: trace.sample,
        max_memory: trace.max_memory,
        max_cpu: trace.max_cpu.map(|percent| CpuLimit { percent }),
        readers: trace.readers,
        verbose: trace.verbose,
        avoid: trace.avoid,
        ring_bytes: trace.ring_bytes,
    })
}
