//! `memtrace record`: a session into a file, from which every report can be made later.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::Args;

use super::{
    live::{self, Format},
    rows::RowArgs,
    size,
    trace::TraceArgs,
};
use crate::{
    knowledge::incidents::IncidentsError,
    output::{Output, Shown, escape, human, progress::ProgressLine},
    recording::{
        Progress, Written,
        file::{LEAST_RING, OpenError, Sink},
    },
    session::{self, SessionError, record::Target},
    view::Snapshot,
};

/// What is on the command line for standard output.
const STANDARD_OUTPUT: &str = "-";

#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// Where to write the recording; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Overwrite the file if it is there
    #[arg(long)]
    pub force: bool,

    /// End when the recording has this size; with --ring, keep the last so much of it
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = max_size, allow_hyphen_values = true)]
    pub max_size: u64,

    /// Go on for as long as it takes, and keep the end: blocks are written over the oldest ones
    #[arg(long)]
    pub ring: bool,

    /// Show the last report too, as a live session would
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub report: Option<Format>,

    #[command(flatten)]
    pub trace: TraceArgs,

    #[command(flatten)]
    pub rows: RowArgs,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("a terminal cannot show a recording; name a file with -o, or pipe it to a command")]
    Terminal,
    #[error("--report and a recording cannot both go to standard output")]
    ReportOnStream,
    #[error(
        "a ring of less than {} has too little room; say --max-size {} or more",
        human::bytes(LEAST_RING),
        size_of_least_ring()
    )]
    SmallRing,
    #[error(transparent)]
    Session(#[from] SessionError),
}

fn size_of_least_ring() -> String {
    format!("{}M", LEAST_RING >> 20)
}

pub fn run(args: RecordArgs) -> Result<(), RecordError> {
    let duration = args.trace.duration;
    let options = live::options(args.trace.clone(), args.rows.clone())?;
    let is_stream = args.output == Path::new(STANDARD_OUTPUT);
    let target = Target {
        sink: sink(&args, is_stream)?,
        most_bytes: (!args.ring).then_some(args.max_size),
        command: env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        progress: Arc::new(Progress::default()),
    };
    let progress = Arc::clone(&target.progress);
    let emitted = Arc::new(AtomicU64::new(0));
    let output = Recording {
        line: ProgressLine::new(io::stderr(), io::stderr().is_terminal(), Arc::clone(&progress), duration),
        report: args.report.map(live::output),
        lost: Arc::clone(&emitted),
        elapsed: Duration::ZERO,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SessionError::Runtime)?;
    let recorded = runtime.block_on(session::record(options, Box::new(output), target));
    if recorded.is_err() && !is_stream {
        remove_if_empty(&args.output);
    }
    let lost = emitted.load(Relaxed);
    let summary = summary(&recorded?, lost, progress.waited_ns.load(Relaxed), &args.output, is_stream);
    // Nowhere to complain if even standard error is closed.
    let _ = io::stderr().write_all(summary.as_bytes());
    Ok(())
}

fn sink(args: &RecordArgs, is_stream: bool) -> Result<Sink, RecordError> {
    if args.ring && args.max_size < LEAST_RING {
        return Err(RecordError::SmallRing);
    }
    if !is_stream {
        let ring = args.ring.then_some(args.max_size);
        return Ok(Sink::create(&args.output, args.force, ring)?);
    }
    match (args.ring, args.report, io::stdout().is_terminal()) {
        (true, ..) => Err(OpenError::RingOnStream.into()),
        (_, Some(_), _) => Err(RecordError::ReportOnStream),
        (.., true) => Err(RecordError::Terminal),
        _ => Ok(Sink::stream(io::stdout())),
    }
}

/// The session could not even begin: nobody wants an empty file.
fn remove_if_empty(path: &Path) {
    if path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        let _ = std::fs::remove_file(path);
    }
}

/// Shows how it goes on, and the last report to whoever asked for it.
struct Recording {
    line: ProgressLine<io::Stderr>,
    report: Option<Box<dyn Output + Send>>,
    /// Events that were lost, for the summary.
    lost: Arc<AtomicU64>,
    elapsed: Duration,
}

impl Output for Recording {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let trust = &snapshot.trust;
        self.lost.store(trust.lost_allocs + trust.lost_frees + trust.lost_names, Relaxed);
        self.elapsed = snapshot.elapsed;
        // That nobody reads how it goes on is no reason to stop.
        let _ = self.line.show(snapshot);
        match &mut self.report {
            Some(report) if snapshot.is_final => report.show(snapshot),
            _ => Ok(Shown::Yes),
        }
    }
}

fn summary(written: &Written, lost: u64, waited_ns: u64, file: &Path, is_stream: bool) -> String {
    let Written { bytes, entries, blocks, overwritten } = *written;
    let each = bytes as f64 / entries.max(1) as f64;
    let mut text = format!(
        "recorded {} events in {} ({each:.1} bytes each), {} lost\n",
        human::grouped(entries),
        human::bytes(bytes),
        human::grouped(lost),
    );
    if overwritten > 0 {
        let all = overwritten + blocks;
        text += &format!("of {all} blocks the last {blocks} are kept: the ring is as long as it may be\n");
    }
    if waited_ns > 0 {
        let waited = human::duration(Duration::from_nanos(waited_ns));
        text += &format!("the session waited {waited} for the file: the disk is slow\n");
    }
    if !is_stream {
        let name = file.to_string_lossy();
        text += &format!("  memtrace report {}\n", escape::terminal(name.as_bytes()));
    }
    text
}

pub(super) fn max_size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 20;
    let bytes = size::parse(text).map_err(|error| error.to_string())?;
    if bytes < LEAST { Err("a recording has a mebibyte at least".to_owned()) } else { Ok(bytes) }
}
