//! `memtrace events`: every event, one after the other, of a session that runs or of a recording.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Failure},
    shared::{
        number,
        output::OutputArgs,
        runtime::block_on,
        sandboxed,
        select::{LiveSelectArgs, SelectArgs},
        status::with_bar,
        trace,
    },
};
use crate::{
    evidence::{
        output_file::{Destination, FileError, NewFile},
        recording::{ReadError, Reader},
        replay::{
            self,
            events::{EventQuery, StreamError},
            when,
            window::When,
        },
    },
    kernel::trials::Avoid,
    knowledge::incidents::Incidents,
    output::{
        Output, Shown,
        events::{
            EventOutput,
            ndjson::Ndjson,
            text::{Clock, Text},
        },
        parquet,
    },
    rights::needs::Needs,
    select::filter::{Filter, FilterError},
    session::{
        self, Options, Readers, SessionError,
        budget::CpuLimit,
        options::TakeCensus,
        sink::{StreamLosses, StreamTarget},
    },
    text::{duration, human},
    view::{
        By, Snapshot, Sort,
        build::ReportOptions,
        event::{EventKind, Source},
    },
};

/// How often a session inspects outstanding objects, and counts what was lost.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug)]
pub struct EventsArgs {
    /// A recording, - for standard input; without one, events are traced live until Ctrl-C
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub select: SelectArgs,

    #[command(flatten)]
    pub live_select: LiveSelectArgs,

    /// Only events of these kinds, separated by commas: alloc,free
    #[arg(long = "kind", value_enum, value_name = "KIND", value_delimiter = ',')]
    pub kinds: Vec<EventKind>,

    /// Start here: 30s after the start, -30s before the end, 2026-11-25T03:00:00Z, peak (most bytes outstanding), or mark:LABEL
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, requires = "file")]
    pub from: Option<When>,

    /// End here; the same forms as --from
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, requires = "file")]
    pub to: Option<When>,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    /// What the first column of text shows
    #[arg(long, value_enum, value_name = "CLOCK", default_value_t)]
    pub time: Clock,

    #[command(flatten)]
    pub out: OutputArgs,

    #[command(flatten)]
    pub live: LiveArgs,
}

/// What only a live session takes.
#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    /// Stop after this time (30s, 5m) instead of at Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    pub duration: Option<Duration>,

    /// Trace one object in N, chosen by address; each event stands for N
    #[arg(long, value_name = "N", default_value = "1", value_parser = number::period, allow_hyphen_values = true)]
    pub sample: u32,

    /// Memory limit for the process and its kernel buffers together (64M, 1G) [default: 1/32 of the host's]
    #[arg(long, value_name = "SIZE", value_parser = trace::memory_budget, allow_hyphen_values = true)]
    pub max_memory: Option<u64>,

    /// CPU limit for probes and process together, in percent of one CPU as in top. Over it, memtrace samples, and finally detaches
    #[arg(long, value_name = "PERCENT", value_parser = number::percent, allow_hyphen_values = true)]
    pub max_cpu: Option<f64>,

    /// Keep all rights while tracing, for debugging. Without it, those that are not needed any more are given up once the probes are
    /// attached
    #[arg(long)]
    pub keep_privileges: bool,

    /// Print the BPF programs' log to standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// Do without a kernel feature, as on kernels that lack it
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', hide = true)]
    pub avoid: Vec<Avoid>,

    /// Size of the ring buffer in bytes, a power of two: a tiny one overflows
    #[arg(long, value_name = "BYTES", value_parser = trace::ring_bytes, hide = true)]
    pub ring_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns, for people, grep and awk
    #[default]
    Text,
    /// One JSON object a line
    #[value(alias = "ndjson")]
    Json,
    /// Table for DuckDB, Spark, ClickHouse
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
    #[error(transparent)]
    File(#[from] FileError),
}

impl Failure for EventsError {
    fn exit(&self) -> Exit {
        match self {
            Self::Filter(error) => error.exit(),
            Self::Read(error) => error.exit(),
            Self::Stream(error) => error.exit(),
            Self::Session(error) => error.exit(),
            Self::File(error) => error.exit(),
        }
    }
}

pub fn run(args: EventsArgs) -> Result<(), EventsError> {
    let query = EventQuery {
        filter: match args.file {
            Some(_) => args.select.filter(),
            None => Filter::of_session(&args.select.select_live(&args.live_select)),
        }?,
        kinds: args.kinds.clone(),
        from: args.from.clone(),
        to: args.to.clone(),
    };
    let inputs: Vec<_> = args.file.as_deref().into_iter().collect();
    let destination = args.out.target(args.output == Format::Parquet, &inputs).open()?;
    let sandbox = destination.sandbox();
    let (stream, file): (Box<dyn Write + Send>, Option<NewFile>) = match destination {
        Destination::Stream(stream) => (stream, None),
        Destination::File(file) => (Box::new(file.handle()?), Some(file)),
    };
    let out = BufWriter::new(stream);
    match args.file.clone() {
        Some(recording) => recorded(&args, &sandboxed::open(&recording, &sandbox)?, &query, out)?,
        None => live(args, query, out)?,
    }
    file.map_or(Ok(()), |mut file| Ok(file.publish()?))
}

fn recorded(
    args: &EventsArgs,
    reader: &Reader,
    query: &EventQuery,
    out: impl Write + Send + 'static,
) -> Result<(), EventsError> {
    let source = Source::from(&reader.header);
    let mut out = output(out, args.output, args.time, source).map_err(StreamError::Write)?;
    // Between lines on the terminal there is no place for a bar.
    Ok(match args.out.is_terminal() {
        true => replay::events::events(reader, query, &mut *out, &mut |_| {}),
        false => with_bar(|progress| replay::events::events(reader, query, &mut *out, progress)),
    }?)
}

fn output(
    out: impl Write + Send + 'static,
    format: Format,
    clock: Clock,
    source: Source,
) -> io::Result<Box<dyn EventOutput>> {
    Ok(match format {
        Format::Text => Box::new(Text::start(out, source, clock)?),
        Format::Json => Box::new(Ndjson::start(out, source)?),
        Format::Parquet => Box::new(parquet::Events::start(out, source)?),
    })
}

fn live(args: EventsArgs, choice: EventQuery, out: impl Write + Send + 'static) -> Result<(), EventsError> {
    let (format, clock) = (args.output, args.time);
    let dropped = Arc::new(StreamLosses::default());
    let target = StreamTarget {
        query: choice,
        output: Box::new(move |source| output(out, format, clock, source)),
        losses: Arc::clone(&dropped),
    };
    let lost = Arc::new(AtomicU64::new(0));
    let reports = Box::new(Lost(Arc::clone(&lost)));
    block_on(session::stream(options(args), reports, target)).map_err(SessionError::Runtime)??;
    let summary = missing(lost.load(Relaxed), dropped.events.load(Relaxed));
    // Nowhere to complain if even standard error is closed.
    let _ = io::stderr().write_all(summary.as_bytes());
    Ok(())
}

fn options(args: EventsArgs) -> Options {
    let EventsArgs { select, live_select, live, .. } = args;
    Options {
        needs: (!live.keep_privileges).then(|| Needs::default().with_files()),
        select: select.select_live(&live_select),
        report_options: ReportOptions { by: By::Comm.into(), sort: Sort::Bytes, older: None, top: 1 },
        stacks: None,
        incidents: Incidents::built_in(),
        interval: INTERVAL,
        duration: live.duration,
        count: None,
        has_directories: false,
        has_early_report: false,
        census: TakeCensus::Never,
        census_every: None,
        // Frees after the end are of no interest.
        settle: Duration::ZERO,
        sample: live.sample,
        max_memory: live.max_memory,
        max_cpu: live.max_cpu.map(|percent| CpuLimit { percent }),
        readers: Readers::default(),
        verbose: live.verbose,
        avoid: live.avoid,
        ring_bytes: live.ring_bytes,
    }
}

/// Keeps how many events the last report says were lost.
struct Lost(Arc<AtomicU64>);

impl Output for Lost {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let trust = &snapshot.trust;
        self.0.store(trust.lost(), Relaxed);
        Ok(Shown::Yes)
    }
}

/// Nothing where nothing is missing.
fn missing(lost: u64, dropped: u64) -> String {
    let mut text = String::new();
    if lost > 0 {
        text += &format!("{} events were lost: the ring buffers were full\n", human::grouped(lost));
    }
    if dropped > 0 {
        text += &format!(
            "{} events were dropped: the output was too slow; gap events say where\n",
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
        assert_eq!(missing(1234, 0), "1,234 events were lost: the ring buffers were full\n");
        assert!(
            missing(1, 5_000)
                .ends_with("5,000 events were dropped: the output was too slow; gap events say where\n")
        );
    }
}
