//! `memtrace record`: a session into a file, from which every report can be made later.

use std::{
    env,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use clap::Args;
use rustix::process::Signal;

use super::{
    exit::{self, Exit, Failure},
    live::{self, Format},
    shared::{
        command::{CommandArgs, CommandError},
        finding::FindingArgs,
        parent::{ParentError, end_with},
        progress::ProgressLine,
        rows::RowArgs,
        runtime::block_on,
        status::StatusLine,
        terminal::WidthArgs,
        trace::TraceArgs,
        until::{Copied, UntilArgs, UntilError},
    },
};
use crate::{
    evidence::{
        output_file::{self, Destination, FileError},
        recording::{
            Progress, Written,
            file::{MIN_RING, Sink},
        },
    },
    knowledge::incidents::IncidentsError,
    output::{Output, Shown},
    rights::needs::Needs,
    session::{self, SessionError, sink::RecordingTarget},
    text::{escape, human, size},
    view::Snapshot,
};

#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// Where to write the recording, with mode 0600; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,

    /// Stop at this size; with --ring, keep the last SIZE
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = max_size, allow_hyphen_values = true)]
    pub max_size: u64,

    /// Keep recording, overwriting the oldest blocks once --max-size is reached
    #[arg(long)]
    pub ring: bool,

    /// Of the live view: end as by Ctrl-C when this process ends, which is the parent
    #[arg(long, value_name = "PID", hide = true)]
    pub with_parent: Option<u32>,

    #[command(flatten)]
    pub until: UntilArgs,

    /// Also print the final report of a live session
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub report: Option<Format>,

    #[command(flatten)]
    pub trace: TraceArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    #[command(flatten)]
    pub finding: FindingArgs,

    #[command(flatten)]
    pub command: CommandArgs,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Until(#[from] UntilError),
    #[error(transparent)]
    Parent(#[from] ParentError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("--report and the recording cannot both go to standard output")]
    ReportOnStream,
    #[error("--ring needs a file: it overwrites old blocks, which a stream cannot")]
    RingOnStream,
    #[error("a ring needs at least {}; use --max-size {}M or more", human::bytes(MIN_RING), MIN_RING >> 20)]
    SmallRing,
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Failure for RecordError {
    fn exit(&self) -> Exit {
        match self {
            Self::Incidents(error) => error.exit(),
            Self::Until(error) => error.exit(),
            Self::Parent(_) => Exit::Failed,
            Self::File(error) => error.exit(),
            Self::ReportOnStream | Self::RingOnStream | Self::SmallRing => Exit::Usage,
            Self::Command(error) => error.exit(),
            Self::Session(error) => error.exit(),
        }
    }
}

/// The exit code is that of the command, where there is one.
pub fn run(args: RecordArgs) -> Result<ExitCode, RecordError> {
    // The recording is whole then.
    args.with_parent.map_or(Ok(()), |parent| end_with(parent, Signal::INT))?;
    let duration = args.trace.duration;
    let mut options = live::options(args.trace.clone(), args.rows.clone())?;
    options.needs = options.needs.map(Needs::with_files);
    let (tell, told) = channel();
    let until = args.until.until(&Copied { path: &args.output, force: args.force }, tell)?;
    let (command, ending) = args.command.start(&mut options)?.unzip();
    let destination = open(&args)?;
    let is_file = matches!(destination, Destination::File(_));
    let progress = Arc::new(Progress::default());
    let target = RecordingTarget {
        sink: match destination {
            Destination::File(file) => Sink::file(file, args.ring.then_some(args.max_size)),
            Destination::Stream(stream) => Sink::stream(stream),
        },
        max_bytes: (!args.ring).then_some(args.max_size),
        command: env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        progress: Arc::clone(&progress),
        until,
    };
    let seen = Arc::new(Seen::default());
    let output = Recording {
        line: ProgressLine::new(StatusLine::stderr(), Arc::clone(&progress), duration),
        report: args.report.map(|format| live::output(format, WidthArgs::default())),
        seen: Arc::clone(&seen),
        told,
    };
    let (output, outcome) = args.finding.watch(Box::new(output));
    let recorded = block_on(session::record(options, output, target, command));
    let recorded = recorded.map_err(SessionError::Runtime)??;
    let waited = Duration::from_nanos(progress.waited_ns.load(Relaxed));
    let file = is_file.then_some(&*args.output);
    // Nowhere to complain if even standard error is closed.
    let _ = io::stderr().write_all(summary(&recorded, &seen, waited, file).as_bytes());
    Ok(match ending {
        Some(ending) => exit::of_command(ending.status(), outcome.found()),
        None => outcome.found().into(),
    })
}

fn open(args: &RecordArgs) -> Result<Destination, RecordError> {
    if args.ring && args.max_size < MIN_RING {
        return Err(RecordError::SmallRing);
    }
    if args.report.is_some() && output_file::is_stdout(&args.output) {
        return Err(RecordError::ReportOnStream);
    }
    let target =
        output_file::Target { path: &args.output, replace: args.force, inputs: &[], is_binary: true };
    match target.open()? {
        Destination::Stream(_) if args.ring => Err(RecordError::RingOnStream),
        destination => Ok(destination),
    }
}

/// Shows how far it is, and the last report where that was asked for.
struct Recording {
    line: ProgressLine,
    report: Option<Box<dyn Output + Send>>,
    seen: Arc<Seen>,
    /// What happened, a sentence each.
    told: Receiver<String>,
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
        self.seen.lost.store(trust.lost(), Relaxed);
        // The last one comes when all is written, copies too.
        self.told.try_iter().for_each(|text| self.line.say(&text));
        // A closed standard error is no reason to stop.
        let _ = self.line.show(snapshot);
        match &mut self.report {
            Some(report) if snapshot.is_final => report.show(snapshot),
            _ => Ok(Shown::Yes),
        }
    }
}

fn summary(written: &Written, seen: &Seen, waited: Duration, file: Option<&Path>) -> String {
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
        text += &format!("kept the last {blocks} of {all} blocks: the ring is full\n");
    }
    if !waited.is_zero() {
        text += &format!("tracing waited {} for slow writes\n", human::duration(waited));
    }
    if let Some(file) = file {
        text += &format!("  memtrace report {}\n", escape::path(file));
    }
    text
}

pub(super) fn max_size(text: &str) -> Result<u64, String> {
    const MIN: u64 = 1 << 20;
    let bytes = size::parse(text).map_err(|error| error.to_string())?;
    if bytes < MIN { Err("the minimum is 1M".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_to_do_next() {
        let seen = |events: u64, lost: u64| Seen { events: events.into(), lost: lost.into() };
        let written = Written { bytes: 30_043_792, entries: 19_528_395, blocks: 100, overwritten: 0 };
        let show = |written: &Written, seen: &Seen, waited| {
            summary(written, seen, Duration::from_millis(waited), Some(Path::new("a\u{1b}[31m.mt")))
        };
        insta::assert_snapshot!(show(&written, &seen(19_520_801, 0), 0), @r"
        recorded 19,520,801 events in 28.7 MiB (1.5 bytes each), 0 lost
          memtrace report a\x1b[31m.mt
        ");
        let ring = Written { blocks: 40, overwritten: 60, ..written };
        insta::assert_snapshot!(show(&ring, &seen(19_520_801, 12), 2_500), @r"
        recorded 19,520,801 events in 28.7 MiB, 12 lost
        kept the last 40 of 100 blocks: the ring is full
        tracing waited 2.5 s for slow writes
          memtrace report a\x1b[31m.mt
        ");
        let nothing = Written { bytes: 4_096, blocks: 1, ..Written::default() };
        let piped = summary(&nothing, &seen(0, 0), Duration::ZERO, None);
        insta::assert_snapshot!(piped, @"recorded 0 events in 4.0 KiB, 0 lost");
    }
}
