//! `memtrace report`: what a live session would have shown, and more, from a recording.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};

use super::{live, rows::RowArgs, when};
use crate::{
    evidence::{
        recording::{Header, ReadError, Reader},
        replay::{
            self, Query, Report,
            filter::{Filter, FilterError},
            window::{When, WindowError},
        },
    },
    knowledge::incidents::IncidentsError,
    output::{self, Output as _, screen::Screen},
    view::{
        object,
        profile::{Profile, Weight},
    },
};

#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The recording
    pub file: PathBuf,

    #[command(flatten)]
    pub select: SelectArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    /// Only from this time on: 30s after the start, -30s before the end, 2026-11-25T03:00:00Z, peak, or mark:LABEL
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub from: Option<When>,

    /// Only up to this time
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub to: Option<When>,

    /// How things stood at this time; the same as --to
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, conflicts_with = "to")]
    pub at: Option<When>,

    /// As what to show it
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    #[command(flatten)]
    pub out: OutArgs,
}

/// Where it goes, and what of it.
#[derive(Args, Clone, Debug)]
pub struct OutArgs {
    /// Write it to this file instead of standard output
    #[arg(long = "out", value_name = "PATH")]
    pub path: Option<PathBuf>,

    /// In flame graphs and folded stacks: what counts
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub weight: Weight,
}

impl OutArgs {
    /// What is no text goes to no terminal.
    pub fn check(&self, is_binary: bool) -> Result<(), ReportError> {
        if is_binary && self.is_terminal() { Err(ReportError::Terminal) } else { Ok(()) }
    }

    pub fn is_terminal(&self) -> bool {
        self.path.is_none() && io::stdout().is_terminal()
    }

    pub fn write(
        &self,
        write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<(), ReportError> {
        let Some(path) = &self.path else {
            let mut out = BufWriter::new(io::stdout());
            return write(&mut out).and_then(|()| out.flush()).map_err(ReportError::Write);
        };
        write_file(path, write)
    }
}

/// Which of the recorded allocations are shown.
#[derive(Args, Clone, Debug)]
pub struct SelectArgs {
    /// Only this slab cache: a name, a glob ('kmalloc-*') or all; may be given several times
    #[arg(short, long = "cache", value_name = "NAME|GLOB")]
    pub caches: Vec<String>,

    /// Only what this process allocated; may be given several times
    #[arg(short, long = "pid", value_name = "PID", value_parser = super::number::process_id, allow_hyphen_values = true)]
    pub pids: Vec<u32>,

    /// Only what was allocated under this command name; may be given several times
    #[arg(long = "comm", value_name = "COMM")]
    pub comms: Vec<String>,
}

impl SelectArgs {
    pub fn filter(&self) -> Result<Filter, FilterError> {
        Filter::new(&self.caches, &self.comms, &self.pids)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// As a live session's last report
    #[default]
    Table,
    /// One object, as a live session's
    Json,
    /// One object a line: caches, rows, directories
    Ndjson,
    /// A line for each row, for spreadsheets
    Csv,
    /// For an incident's ticket
    Markdown,
    /// Stacks with a number each, for flame graphs
    Folded,
    /// A flame graph
    Svg,
    /// For go tool pprof
    Pprof,
    /// A page of its own, with charts, for a browser
    Html,
    /// A table of the outstanding objects, for DuckDB, Spark, ClickHouse
    Parquet,
}

impl Format {
    /// Whether it shows what led to allocations.
    fn has_profile(self) -> bool {
        matches!(self, Self::Folded | Self::Svg | Self::Pprof | Self::Html)
    }

    /// Whether it is no text.
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
    #[error("a terminal cannot show this format; name a file with --out, or pipe it to a command")]
    Terminal,
    #[error("cannot write {path}: {source}", path = .path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot write the report: {0}")]
    Write(#[source] io::Error),
}

pub fn run(args: &ReportArgs) -> Result<(), ReportError> {
    args.out.check(args.output.is_binary())?;
    let ask = ask(args)?;
    let reader = Reader::open(&args.file)?;
    let report = with_progress(|progress| replay::report(&reader, &ask, progress))?;
    if args.output == Format::Table && args.out.path.is_none() {
        return Screen::stdout(live::style()).show(&report.snapshot).map(drop).map_err(ReportError::Write);
    }
    args.out.write(|out| write(args, &reader.header, &report, out))
}

fn ask(args: &ReportArgs) -> Result<Query, ReportError> {
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

/// Into a file that is there as a whole or not at all.
pub fn write_file(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<(), ReportError> {
    let create = |source| ReportError::Create { path: path.to_owned(), source };
    // A pipe or a device cannot be replaced.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        let mut out = BufWriter::new(File::create(path).map_err(create)?);
        return write(&mut out).and_then(|()| out.flush()).map_err(create);
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(create)?;
    let mut out = BufWriter::new(file);
    write(&mut out).map_err(create)?;
    let file = out.into_inner().map_err(|error| create(error.into_error()))?;
    file.persist(path).map(drop).map_err(|error| create(error.error))
}

fn write(
    args: &ReportArgs,
    header: &Header,
    report: &Report,
    mut out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let snapshot = &report.snapshot;
    let profile = || profile(report, args.rows.older);
    let text = match args.output {
        Format::Table => return Screen::stream(out).show(snapshot).map(drop),
        Format::Json => output::json::line(snapshot)?,
        Format::Ndjson => output::ndjson::report(snapshot)?,
        Format::Csv => output::csv::report(snapshot),
        Format::Markdown => output::markdown::report(snapshot),
        Format::Folded => return output::folded::write(&profile(), args.out.weight, &mut out),
        Format::Svg => return output::flamegraph::write(&profile(), snapshot, args.out.weight, &mut out),
        Format::Pprof => return output::pprof::write(&profile(), snapshot, &mut out),
        Format::Html => output::html::of_report(report, &profile(), file_name(&args.file))?,
        Format::Parquet => return write_parquet(args, header, report, out),
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

/// What led to the allocations of a report.
pub fn profile(report: &Report, older: Option<Duration>) -> Profile {
    let ledger = &report.state.ledger;
    report.state.with_lookups(|lookups| Profile::new(ledger, &report.checkpoint, lookups, older))
}

/// Shows how far it is, where it takes long and somebody looks.
pub fn with_progress<T>(work: impl FnOnce(&mut dyn FnMut(usize, usize)) -> T) -> T {
    const PATIENCE: Duration = Duration::from_secs(2);
    const EVERY: Duration = Duration::from_millis(100);
    const WIDTH: usize = 40;
    let start = Instant::now();
    let mut shown: Option<Instant> = None;
    let is_terminal = io::stderr().is_terminal();
    let mut progress = |done: usize, all: usize| {
        let is_time = shown.map_or(start.elapsed() >= PATIENCE, |shown| shown.elapsed() >= EVERY);
        if !is_terminal || !is_time {
            return;
        }
        shown = Some(Instant::now());
        let filled = WIDTH * done / all.max(1);
        let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled));
        let _ = write!(io::stderr(), "\r[{bar}] {:3} %", 100 * done / all.max(1));
    };
    let result = work(&mut progress);
    if shown.is_some() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    result
}
