//! `memtrace events`: every event, one after the other, of a session that runs or of a recording.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    number,
    report::{SelectArgs, with_progress},
    trace, when,
};
use crate::{
    evidence::{
        recording::{ReadError, Reader},
        replay::{
            self,
            events::{EventQuery, StreamError},
            filter::FilterError,
            window::When,
        },
    },
    kernel::trials::Avoid,
    knowledge::incidents::Incidents,
    output::{
        Output, Shown,
        events::{
            EventOutput, Source,
            ndjson::Ndjson,
            text::{Clock, Text},
        },
        parquet,
    },
    session::{
        self, Options, SessionError,
        budget::CpuLimit,
        sink::{StreamLosses, StreamTarget},
    },
    text::{duration, human},
    view::{By, Snapshot, Sort, build::ReportOptions, event::EventKind},
};

/// How often a session looks at objects that survive, and counts what was lost.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug)]
pub struct EventsArgs {
    /// A recording; without one, what happens now, until Ctrl-C
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub select: SelectArgs,

    /// Only events of these kinds; several with commas: alloc,free
    #[arg(long = "kind", value_enum, value_name = "KIND", value_delimiter = ',')]
    pub kinds: Vec<EventKind>,

    /// Only from this time on: 30s after the start, -30s before the end, 2026-11-25T03:00:00Z, peak, or mark:LABEL
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, requires = "file")]
    pub from: Option<When>,

    /// Only up to this time
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, requires = "file")]
    pub to: Option<When>,

    /// As what to show them
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    /// In text: what the first column says
    #[arg(long, value_enum, value_name = "CLOCK", default_value_t)]
    pub time: Clock,

    /// Write them to this file instead of standard output
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    pub live: LiveArgs,
}

/// What a session does that is not recorded.
#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    /// End after this time (30s, 5m) instead of with Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true, conflicts_with = "file")]
    pub duration: Option<Duration>,

    /// Follow one object in N, by its address: each stands for N
    #[arg(long, value_name = "N", default_value = "1", value_parser = number::period, allow_hyphen_values = true, conflicts_with = "file")]
    pub sample: u32,

    /// Take this much memory at most, rings in the kernel and the process together (64M, 1G); by default 1/32 of the host's
    #[arg(long, value_name = "SIZE", value_parser = trace::memory_budget, allow_hyphen_values = true, conflicts_with = "file")]
    pub max_memory: Option<u64>,

    /// Take this much CPU time at most, in percent of one CPU as top counts; over it, memtrace samples, and in the end detaches itself
    #[arg(long, value_name = "PERCENT", value_parser = number::percent, allow_hyphen_values = true, conflicts_with = "file")]
    pub max_cpu: Option<f64>,

    /// Show what the kernel-side programs log, on standard error
    #[arg(short, long, conflicts_with = "file")]
    pub verbose: bool,

    /// Do without something that the kernel offers, to see how memtrace fares on kernels that lack it
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', hide = true)]
    pub avoid: Vec<Avoid>,

    /// Size of the ring buffer in bytes, a power of two: a tiny one shows what memtrace does when it overflows
    #[arg(long, value_name = "BYTES", value_parser = trace::ring_bytes, hide = true)]
    pub ring_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns, for people, grep and awk
    #[default]
    Text,
    /// One object a line, for programs
    Ndjson,
    /// A table for DuckDB, Spark, ClickHouse
    Parquet,
}

#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("a terminal cannot show this format; name a file with --out, or pipe it to a command")]
    Terminal,
    #[error("cannot write {path}: {source}", path = .path.display())]
    Create { path: PathBuf, source: io::Error },
}

pub fn run(args: EventsArgs) -> Result<(), EventsError> {
    let is_on_terminal = args.out.is_none() && io::stdout().is_terminal();
    if args.output == Format::Parquet && is_on_terminal {
        return Err(EventsError::Terminal);
    }
    let choice = EventQuery {
        filter: args.select.filter()?,
        kinds: args.kinds.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
    };
    match &args.file {
        Some(file) => {
            let reader = Reader::open(file)?;
            let mut out = output(writer(&args)?, args.output, args.time, Source::from(&reader.header))
                .map_err(StreamError::Write)?;
            // Between lines on the terminal there is no place for a bar.
            Ok(match is_on_terminal {
                true => replay::events::events(&reader, &choice, &mut *out, &mut |_, _| {}),
                false => with_progress(|bar| replay::events::events(&reader, &choice, &mut *out, bar)),
            }?)
        }
        None => live(args, choice),
    }
}

fn writer(args: &EventsArgs) -> Result<Box<dyn Write + Send>, EventsError> {
    let Some(path) = &args.out else { return Ok(Box::new(BufWriter::new(io::stdout()))) };
    let create = |source| EventsError::Create { path: path.clone(), source };
    Ok(Box::new(BufWriter::new(File::create(path).map_err(create)?)))
}

fn output(
    out: impl Write + Send + 'static,
    format: Format,
    clock: Clock,
    source: Source,
) -> io::Result<Box<dyn EventOutput>> {
    Ok(match format {
        Format::Text => Box::new(Text::start(out, source, clock)?),
        Format::Ndjson => Box::new(Ndjson::start(out, source)?),
        Format::Parquet => Box::new(parquet::Events::start(out, source)?),
    })
}

fn live(args: EventsArgs, choice: EventQuery) -> Result<(), EventsError> {
    let out = writer(&args)?;
    let (format, clock) = (args.output, args.time);
    let dropped = Arc::new(StreamLosses::default());
    let target = StreamTarget {
        query: choice,
        output: Box::new(move |source| output(out, format, clock, source)),
        losses: Arc::clone(&dropped),
    };
    let lost = Arc::new(AtomicU64::new(0));
    let reports = Box::new(Lost(Arc::clone(&lost)));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SessionError::Runtime)?;
    runtime.block_on(session::stream(options(args), reports, target))?;
    let summary = missing(lost.load(Relaxed), dropped.events.load(Relaxed));
    // Nowhere to complain if even standard error is closed.
    let _ = io::stderr().write_all(summary.as_bytes());
    Ok(())
}

fn options(args: EventsArgs) -> Options {
    let EventsArgs { select: SelectArgs { caches, pids, comms }, live, .. } = args;
    let caches = if caches.is_empty() { vec!["all".to_owned()] } else { caches };
    Options {
        caches,
        pids,
        comms,
        report_options: ReportOptions { by: By::Comm.into(), sort: Sort::Bytes, older: None, top: 1 },
        stacks: None,
        incidents: Incidents::built_in(),
        interval: INTERVAL,
        duration: live.duration,
        count: None,
        // What is freed behind the end is of no interest.
        settle: Duration::ZERO,
        sample: live.sample,
        max_memory: live.max_memory,
        max_cpu: live.max_cpu.map(|percent| CpuLimit { percent }),
        verbose: live.verbose,
        avoid: live.avoid,
        ring_bytes: live.ring_bytes,
    }
}

/// Reports are not shown; only what the last one says of lost events is of interest.
struct Lost(Arc<AtomicU64>);

impl Output for Lost {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let trust = &snapshot.trust;
        self.0.store(trust.lost_allocs + trust.lost_frees + trust.lost_names, Relaxed);
        Ok(Shown::Yes)
    }
}

/// Nothing where nothing is missing.
fn missing(lost: u64, dropped: u64) -> String {
    let mut text = String::new();
    if lost > 0 {
        text += &format!("{} events were lost: the rings in the kernel were full\n", human::grouped(lost));
    }
    if dropped > 0 {
        text += &format!(
            "{} events were dropped: their reader was too slow; the events say where\n",
            human::grouped(dropped)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(missing(0, 0), "");
        assert_eq!(missing(1234, 0), "1,234 events were lost: the rings in the kernel were full\n");
        assert!(
            missing(1, 5_000)
                .ends_with("5,000 events were dropped: their reader was too slow; the events say where\n")
        );
    }
}
