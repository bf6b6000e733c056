//! `memtrace` without a command: the live session.

use std::{env, io, num::NonZeroU64};

use clap::{Args, ValueEnum};

use super::{rows::RowArgs, trace::TraceArgs};
use crate::{
    knowledge::incidents::IncidentsError,
    output::{Output, json::JsonLines, screen::Screen, table::Style},
    session::{self, Options, SessionError, budget::CpuLimit},
};

#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    #[command(flatten)]
    pub trace: TraceArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    /// As a table, or as one JSON object a line with exact numbers
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Session(#[from] SessionError),
}

pub fn run(args: LiveArgs) -> Result<(), LiveError> {
    let options = options(args.trace, args.rows)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SessionError::Runtime)?;
    Ok(runtime.block_on(session::run(options, output(args.output)))?)
}

/// Reports on standard output.
pub fn output(format: Format) -> Box<dyn Output + Send> {
    match format {
        Format::Table => Box::new(Screen::stdout(style())),
        Format::Json => Box::new(JsonLines::new(io::stdout())),
    }
}

/// What a session is to do.
pub fn options(trace: TraceArgs, rows: RowArgs) -> Result<Options, IncidentsError> {
    Ok(Options {
        caches: trace.caches,
        pids: trace.pids,
        comms: trace.comms,
        report_options: rows.report_options(),
        stacks: trace.stacks,
        incidents: rows.incidents()?,
        interval: trace.interval,
        duration: trace.duration,
        count: trace.count.map(NonZeroU64::get),
        settle: trace.settle,
        sample: trace.sample,
        max_memory: trace.max_memory,
        max_cpu: trace.max_cpu.map(|percent| CpuLimit { percent }),
        verbose: trace.verbose,
        avoid: trace.avoid,
        ring_bytes: trace.ring_bytes,
    })
}

/// Colour, unless the user does not want it; a pipe or file never gets any. See https://no-color.org.
pub fn style() -> Style {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if no_color { Style::Plain } else { Style::Colour }
}
