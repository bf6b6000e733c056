//! `memtrace report`: what a live session would have shown, and more, from a recording.

use std::{
    io::{self, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Failure, Found},
    shared::{
        finding::FindingArgs,
        follow::{FollowError, follow},
        output::OutputArgs,
        rows::RowArgs,
        sandboxed,
        screen::Screen,
        select::SelectArgs,
        status::with_bar,
        terminal::{self, WidthArgs},
    },
};
use crate::{
    evidence::{
        output_file::FileError,
        recording::{Header, ReadError},
        replay::{
            self, Query, Report,
            key_series::key_series,
            when,
            window::{When, WindowError},
        },
    },
    knowledge::incidents::IncidentsError,
    output::{self, Output, documents, html::Recorded, render, tables},
    select::filter::FilterError,
    view::{key_series::KeySeries, object, profile::Weight},
};

#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The recording; - is standard input
    pub file: PathBuf,

    #[command(flatten)]
    pub select: SelectArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    /// Start here: 30s after the start, -30s before the end, 2026-11-25T03:00:00Z, peak (most bytes outstanding), or mark:LABEL
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub from: Option<When>,

    /// End here; the same forms as --from
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub to: Option<When>,

    /// Show the state at this time; the same as --to
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, conflicts_with = "to")]
    pub at: Option<When>,

    /// Show what was outstanding over time, by key: the first --top keys, and (other). As csv, json or openmetrics
    #[arg(long, conflicts_with = "fail_on_finding")]
    pub series: bool,

    /// Show each report of a session that is still being recorded as it comes, until the session ends
    #[arg(long, conflicts_with_all = ["to", "at", "series", "path"])]
    pub follow: bool,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    #[command(flatten)]
    pub width: WidthArgs,

    #[command(flatten)]
    pub finding: FindingArgs,

    #[command(flatten)]
    pub out: OutputArgs,

    /// What flame graphs and folded stacks count
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub weight: Weight,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The final table of a live session
    #[default]
    Table,
    /// One JSON object, as in a live session
    Json,
    /// One JSON object a line: caches, rows, directories
    Ndjson,
    /// One line a row, for spreadsheets
    Csv,
    /// For a ticket
    Markdown,
    /// Folded stacks, for flame graph tools
    Folded,
    /// Flame graph
    Svg,
    /// Profile for go tool pprof
    Pprof,
    /// Self-contained page with charts
    Html,
    /// Outstanding objects as a table, for DuckDB, Spark, ClickHouse
    Parquet,
    /// With --series, for Prometheus: promtool tsdb create-blocks-from openmetrics
    Openmetrics,
}

impl Format {
    /// Whether it shows call stacks.
    fn has_profile(self) -> bool {
        matches!(self, Self::Folded | Self::Svg | Self::Pprof | Self::Html)
    }

    /// Whether it is not text.
    fn is_binary(self) -> bool {
        matches!(self, Self::Pprof | Self::Parquet)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("--follow shows -o table or -o json")]
    NotFollowed,
    #[error("--series is for programs: add -o csv, -o json or -o openmetrics")]
    NoSeries,
    #[error("-o openmetrics has figures over time: add --series")]
    NotASeries,
}

impl Failure for ReportError {
    fn exit(&self) -> Exit {
        match self {
            Self::Incidents(error) => error.exit(),
            Self::Filter(error) => error.exit(),
            Self::Read(error) => error.exit(),
            Self::Window(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::Follow(error) => error.exit(),
            Self::NotFollowed | Self::NoSeries | Self::NotASeries => Exit::Usage,
        }
    }
}

pub fn run(args: &ReportArgs) -> Result<Found, ReportError> {
    let query = query(args)?;
    if args.follow {
        return followed(args, &query);
    }
    let write_series = series(args)?;
    let inputs = [&*args.file];
    let destination = args.out.target(args.output.is_binary(), &inputs).open()?;
    let reader = sandboxed::open(&args.file, &destination.sandbox())?;
    if let Some(write) = write_series {
        let keys = args.rows.top.get();
        let series = with_bar(|progress| key_series(&reader, &query, keys, progress))?;
        destination.write(args.out.path(), |out| write(&series, out))?;
        return Ok(Found::Nothing);
    }
    let report = with_bar(|progress| replay::report(&reader, &query, progress))?;
    if args.output == Format::Table && args.out.is_terminal() {
        let shown = Screen::stdout(terminal::style(), args.width).show(&report.snapshot);
        shown.map_err(FileError::Stdout).map(drop)?;
    } else {
        destination.write(args.out.path(), |out| write(args, &reader.header, &report, out))?;
    }
    Ok(args.finding.found(&report.snapshot))
}

/// The reports of a session that goes on.
fn followed(args: &ReportArgs, query: &Query) -> Result<Found, ReportError> {
    let mut output: Box<dyn Output> = match args.output {
        Format::Table => Box::new(Screen::stdout(terminal::style(), args.width)),
        Format::Json => Box::new(output::json::JsonLines::new(io::stdout())),
        _ => return Err(ReportError::NotFollowed),
    };
    let last = follow(&args.file, query, &mut *output)?;
    Ok(last.map_or(Found::Nothing, |last| args.finding.found(&last)))
}

/// How a series is written; None where one report is.
fn series(args: &ReportArgs) -> Result<Option<WriteSeries>, ReportError> {
    match (args.series, args.output) {
        (true, Format::Csv) => Ok(Some(output::series::csv::write)),
        (true, Format::Json) => Ok(Some(output::series::json::write)),
        (true, Format::Openmetrics) => Ok(Some(output::series::openmetrics::write)),
        (true, _) => Err(ReportError::NoSeries),
        (false, Format::Openmetrics) => Err(ReportError::NotASeries),
        (false, _) => Ok(None),
    }
}

type WriteSeries = fn(&KeySeries, &mut dyn Write) -> io::Result<()>;

fn query(args: &ReportArgs) -> Result<Query, ReportError> {
    Ok(Query {
        report_options: args.rows.report_options(),
        filter: args.select.filter()?,
        incidents: args.rows.incidents()?,
        from: args.from.clone(),
        to: args.to.clone().or(args.at.clone()),
        call_sites: args.output.has_profile() || args.output == Format::Parquet,
        nodes: args.output.is_binary(),
    })
}

fn write(
    args: &ReportArgs,
    header: &Header,
    report: &Report,
    mut out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let snapshot = &report.snapshot;
    let profile = || report.profile(args.rows.older);
    let text = match args.output {
        Format::Table => return Screen::stream(out, args.width).show(snapshot).map(drop),
        Format::Json => output::json::line(snapshot)?,
        Format::Ndjson => output::ndjson::report(snapshot)?,
        Format::Csv => render::csv::text(&tables::rows::table(snapshot))?,
        Format::Markdown => render::markdown::text(&documents::report::page(snapshot)),
        Format::Folded => return output::folded::write(&profile(), args.weight, &mut out),
        Format::Svg => return output::flamegraph::write(&profile(), snapshot, args.weight, &mut out),
        Format::Pprof => return output::pprof::write(&profile(), snapshot, &mut out),
        Format::Html => {
            let (file, series, profile) = (file_name(&args.file), &report.series, &profile());
            output::html::report(snapshot, Recorded { file, series, profile })?
        }
        Format::Parquet => return write_parquet(args, header, report, out),
        // It has been refused.
        Format::Openmetrics => return Ok(()),
    };
    out.write_all(text.as_bytes())
}

fn write_parquet(
    args: &ReportArgs,
    header: &Header,
    report: &Report,
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let Report { state, checkpoint, .. } = report;
    state.with_lookups(|lookups| {
        let most = output::parquet::MAX_OBJECTS;
        let objects = object::outstanding(&state.ledger, checkpoint, lookups, args.rows.older, most);
        let partial = report.snapshot.caches.iter().filter(|cache| cache.partial.is_some());
        let partial = partial.map(|cache| cache.name.as_str()).collect();
        let taken = output::parquet::Taken { started: header.started_ns, now: checkpoint.now, partial };
        output::parquet::outstanding(out, &header.into(), &taken, objects)
    })
}

fn file_name(path: &Path) -> &[u8] {
    path.file_name().map_or(&[], |name| name.as_bytes())
}
