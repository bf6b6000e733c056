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
    trace::TraceArgs,
};
use crate::{
    cmd::progress::ProgressLine,
    evidence::recording::{
        Progress, Written,
        file::{MIN_RING, OpenError, Sink},
    },
    knowledge::incidents::IncidentsError,
    output::{Output, Shown},
    session::{self, SessionError, sink::RecordingTarget},
    text::{escape, human, size},
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
        human::bytes(MIN_RING),
        size_of_least_ring()
    )]
    SmallRing,
    #[error(transparent)]
    Session(#[from] SessionError),
}

fn size_of_least_ring() -> String {
    format!("{}M", MIN_RING >> 20)
}

pub fn run(args: RecordArgs) -> Result<(), RecordError> {
    let duration = args.trace.duration;
    let options = live::options(args.trace.clone(), args.rows.clone())?;
    let is_stream = args.output == Path::new(STANDARD_OUTPUT);
    let target = RecordingTarget {
        sink: sink(&args, is_stream)?,
        max_bytes: (!args.ring).then_some(args.max_size),
        command: env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        filters: args.trace.filters(),
        progress: Arc::new(Progress::default()),
    };
    let progress = Arc::clone(&target.progress);
    let seen = Arc::new(Seen::default());
    let output = Recording {
        line: ProgressLine::new(io::stderr(), io::stderr().is_terminal(), Arc::clone(&progress), duration),
        report: args.report.map(live::output),
        seen: Arc::clone(&seen),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SessionError::Runtime)?;
    let recorded = runtime.block_on(session::record(options, Box::new(output), target));
    if recorded.is_err() && !is_stream {
        remove_if_empty(&args.output);
    }
    let waited = Duration::from_nanos(progress.waited_ns.load(Relaxed));
    let summary = summary(&recorded?, &seen, waited, &args.output, is_stream);
    // Nowhere to complain if even standard error is closed.
    let _ = io::stderr().write_all(summary.as_bytes());
    Ok(())
}

fn sink(args: &RecordArgs, is_stream: bool) -> Result<Sink, RecordError> {
    if args.ring && args.max_size < MIN_RING {
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
    seen: Arc<Seen>,
}

/// Events of the last report, for the summary.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    lost: AtomicU64,
}

impl Output for Recording {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let trust = &snapshot.trust;
        self.seen.events.store(trust.applied, Relaxed);
        self.seen.lost.store(trust.lost_allocs + trust.lost_frees + trust.lost_names, Relaxed);
        // That nobody reads how it goes on is no reason to stop.
        let _ = self.line.show(snapshot);
        match &mut self.report {
            Some(report) if snapshot.is_final => report.show(snapshot),
            _ => Ok(Shown::Yes),
        }
    }
}

fn summary(written: &Written, seen: &Seen, waited: Duration, file: &Path, is_stream: bool) -> String {
    let Written { bytes, entries: _, blocks, overwritten } = *written;
    let (events, lost) = (seen.events.load(Relaxed), seen.lost.load(Relaxed));
    // In a ring, most of what was seen may be gone.
    let is_all = overwritten == 0 && events > 0;
    let each = is_all.then(|| format!(" ({:.1} bytes each)", bytes as f64 / events as f64));
    let mut text = format!(
        "recorded {} events in {}{}, {} lost\n",
        human::grouped(events),
        human::bytes(bytes),
        each.unwrap_or_default(),
        human::grouped(lost),
    );
    if overwritten > 0 {
        let all = overwritten + blocks;
        text += &format!("of {all} blocks the last {blocks} are kept: the ring is as long as it may be\n");
    }
    if !waited.is_zero() {
        text += &format!("the session waited {} for the file: the disk is slow\n", human::duration(waited));
    }
    if !is_stream {
        let name = file.to_string_lossy();
        text += &format!("  memtrace report {}\n", escape::terminal(name.as_bytes()));
    }
    text
}

pub(super) fn max_size(text: &str) -> Result<u64, String> {
    const MIN: u64 = 1 << 20;
    let bytes = size::parse(text).map_err(|error| error.to_string())?;
    if bytes < MIN { Err("a recording has a mebibyte at least".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_to_do_next() {
        let seen = |events: u64, lost: u64| Seen { events: events.into(), lost: lost.into() };
        let written = Written { bytes: 30_043_792, entries: 19_528_395, blocks: 100, overwritten: 0 };
        let show = |written: &Written, seen: &Seen, waited| {
            summary(written, seen, Duration::from_millis(waited), Path::new("a\u{1b}[31m.mt"), false)
        };
        insta::assert_snapshot!(show(&written, &seen(19_520_801, 0), 0), @r"
        recorded 19,520,801 events in 28.7 MiB (1.5 bytes each), 0 lost
          memtrace report a\x1b[31m.mt
        ");
        let ring = Written { blocks: 40, overwritten: 60, ..written };
        insta::assert_snapshot!(show(&ring, &seen(19_520_801, 12), 2_500), @r"
        recorded 19,520,801 events in 28.7 MiB, 12 lost
        of 100 blocks the last 40 are kept: the ring is as long as it may be
        the session waited 2.5 s for the file: the disk is slow
          memtrace report a\x1b[31m.mt
        ");
        let nothing = Written { bytes: 4_096, blocks: 1, ..Written::default() };
        let piped = summary(&nothing, &seen(0, 0), Duration::ZERO, Path::new("-"), true);
        insta::assert_snapshot!(piped, @"recorded 0 events in 4.0 KiB, 0 lost");
    }
}
