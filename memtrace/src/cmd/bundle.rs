//! `memtrace bundle`: one file for the ticket. Records, watches the host meanwhile, and packs all that tells what happened.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use tempfile::NamedTempFile;

use super::{
    check::{self, CheckArgs},
    live,
    record::max_size,
    report::with_progress,
    rows::RowArgs,
    trace::TraceArgs,
    triage::about,
};
use crate::{
    cmd::{
        progress::ProgressLine,
        triage::{
            trace,
            watch::{self, WatchError},
        },
    },
    evidence::{
        bundle::{
            ABOUT_RECORDING, Member, RECORDING,
            archive::{ArchiveError, Target},
            host::{HostFiles, When},
            pages,
            readme::Readme,
        },
        recording::{
            Progress, ReadError, Reader,
            file::{OpenError, Sink, WriteError},
        },
        redact::{Redactor, recording::rewrite},
        replay::{
            self, Query, Report,
            filter::{Filter, FilterError},
            window::WindowError,
        },
    },
    knowledge::incidents::{Incidents, IncidentsError},
    output::triage,
    session::{self, Options, SessionError, StacksOption, sink::RecordingTarget},
    text::{escape, human},
    triage::{page::Page, window::Window},
};

/// As long as triage watches.
const DURATION: Duration = Duration::from_secs(30);

#[derive(Args, Clone, Debug)]
pub struct BundleArgs {
    /// Where to write the bundle
    #[arg(short, long, value_name = "FILE.tar.zst")]
    pub output: PathBuf,

    /// Overwrite the file if it is there
    #[arg(long)]
    pub force: bool,

    /// Put tokens for names of programs, users, files, cgroups and hosts, the same for the same name
    #[arg(long)]
    pub redact: bool,

    /// Make it of this recording instead of a new one; without this host's own figures
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["caches", "pids", "comms", "stacks", "interval", "duration", "count", "settle", "sample", "max_memory", "max_cpu", "max_size"]
    )]
    pub from_recording: Option<PathBuf>,

    /// End when the recording has this size
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = max_size, allow_hyphen_values = true)]
    pub max_size: u64,

    #[command(flatten)]
    pub trace: TraceArgs,

    #[command(flatten)]
    pub rows: RowArgs,
}

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Copy(#[from] WriteError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error("cannot make the pages: {0}")]
    Pages(#[source] io::Error),
    #[error("{source}\nWhat was recorded is kept, with all names: memtrace bundle --from-recording {path} -o ...", path = .path.display())]
    Kept { source: Box<BundleError>, path: PathBuf },
}

pub fn run(args: &BundleArgs) -> Result<(), BundleError> {
    let target = Target::new(&args.output, args.force)?;
    let bundle = Bundle {
        args,
        target,
        redactor: args.redact.then(Redactor::default),
        incidents: args.rows.incidents()?,
    };
    match &args.from_recording {
        Some(path) => bundle.make(path, None),
        None => {
            let recording = bundle.target.beside(".mt")?;
            let made =
                bundle.record(recording.path()).and_then(|host| bundle.make(recording.path(), Some(host)));
            made.map_err(|error| kept(error, recording))
        }
    }
}

/// What was recorded outlives what went wrong afterwards.
fn kept(error: BundleError, recording: NamedTempFile) -> BundleError {
    let has_blocks = Reader::open(recording.path()).is_ok();
    match recording.keep() {
        Ok((_, path)) if has_blocks => BundleError::Kept { source: Box::new(error), path },
        Ok((_, path)) => {
            let _ = std::fs::remove_file(path);
            error
        }
        Err(_) => error,
    }
}

/// What the host said while it was recorded.
struct Watched {
    window: Window,
    files: HostFiles,
}

/// A bundle in the making.
struct Bundle<'a> {
    args: &'a BundleArgs,
    target: Target,
    redactor: Option<Redactor>,
    incidents: Incidents,
}

impl Bundle<'_> {
    /// Records into a file, and watches the host meanwhile.
    fn record(&self, path: &Path) -> Result<Watched, BundleError> {
        let options = self.options()?;
        let progress = Arc::new(Progress::default());
        let is_terminal = io::stderr().is_terminal();
        let line = ProgressLine::new(io::stderr(), is_terminal, Arc::clone(&progress), options.duration);
        let target = RecordingTarget {
            sink: Sink::create(path, true, None)?,
            max_bytes: Some(self.args.max_size),
            command: env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            filters: self.args.trace.filters(),
            progress,
        };
        let mut files = HostFiles::live();
        files.read_figures(When::Before);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SessionError::Runtime)?;
        let recorded = session::record(options, Box::new(line), target);
        let (window, recorded) = runtime.block_on(watch::beside(recorded))?;
        recorded?;
        files.read_figures(When::After);
        Ok(Watched { window, files })
    }

    fn options(&self) -> Result<Options, BundleError> {
        let mut options = live::options(self.args.trace.clone(), self.args.rows.clone())?;
        options.duration.get_or_insert(DURATION);
        options.stacks.get_or_insert(StacksOption::Both);
        Ok(options)
    }

    /// Makes all members of a recording, and packs them.
    fn make(&self, recording: &Path, watched: Option<Watched>) -> Result<(), BundleError> {
        let Some(redactor) = &self.redactor else {
            return self.pack(&Reader::open(recording)?, recording, watched);
        };
        // Pages that are made of it have no other names than it has.
        let copy = self.target.beside(".mt")?;
        let reader = Reader::open(recording)?;
        let mut sink = Sink::create(copy.path(), true, None)?;
        with_progress(|progress| rewrite(&reader, &mut sink, redactor, progress))?;
        let watched =
            watched.map(|Watched { window, files }| Watched { window: redactor.window(window), files });
        self.pack(&Reader::open(copy.path())?, copy.path(), watched)
    }

    fn pack(&self, reader: &Reader, path: &Path, watched: Option<Watched>) -> Result<(), BundleError> {
        let ask = Query {
            report_options: self.args.rows.report_options(),
            filter: Filter::default(),
            incidents: self.incidents.clone(),
            from: None,
            to: None,
            call_sites: true,
            nodes: true,
        };
        let report = with_progress(|progress| replay::report(reader, &ask, progress))?;
        let mut members = pages::of_report(&report, self.args.rows.older).map_err(BundleError::Pages)?;
        members.push(Member::new(RECORDING, ABOUT_RECORDING, []));
        let (mut missing, mut headline) = (Vec::new(), None);
        match watched {
            None => missing
                .push("triage and host/: the bundle was made of a recording, perhaps elsewhere".to_owned()),
            Some(Watched { window, mut files }) => {
                files.add_cgroups(When::Before, &window.before.cgroups);
                files.add_cgroups(When::After, &window.after.cgroups);
                let page = self.page(reader, &window);
                headline = Some(triage::headline(&page));
                let json = triage::json::line(&page).map_err(BundleError::Pages)?;
                members.push(Member::new(
                    "triage.md",
                    "what fills the memory, slab or not, and what to do",
                    triage::markdown(&page),
                ));
                members.push(Member::new("triage.json", "the same for programs (docs/triage.md)", json));
                files.read_facts(self.redactor.as_ref());
                members.push(Member::new(
                    "host/memtrace-check",
                    "what memtrace can do on this host",
                    offer(),
                ));
                members.append(&mut files.members);
                missing.append(&mut files.missing);
            }
        }
        let readme = self.readme(&report, headline, &members, &missing);
        // The recording is packed from its file.
        members.retain(|member| member.name != RECORDING);
        members.insert(0, Member::new("README.txt", "", readme));
        let mut recording = File::open(path).map_err(ArchiveError::Write)?;
        let len = self.target.write(&members, &mut recording)?;
        self.say(&report, members.len() + 1, len);
        Ok(())
    }

    fn page(&self, reader: &Reader, window: &Window) -> Page {
        let tracing = trace::recorded(watch::suspicious_caches(window), reader, self.incidents.clone());
        let about = match &self.redactor {
            Some(redactor) => redactor.about(about()),
            None => about(),
        };
        Page::new(about, window, tracing)
    }

    fn readme(
        &self,
        report: &Report,
        triage: Option<String>,
        members: &[Member],
        missing: &[String],
    ) -> String {
        let snapshot = &report.snapshot;
        let is_redacted = self.redactor.is_some();
        Readme {
            snapshot,
            triage,
            ended: snapshot.time,
            length: snapshot.elapsed,
            members,
            missing,
            is_redacted,
        }
        .text()
    }

    /// Nowhere to complain if even standard error is closed.
    fn say(&self, report: &Report, files: usize, len: u64) {
        let path = self.target.path().to_string_lossy();
        let path = escape::terminal(path.as_bytes());
        let mut text = format!("{path}: {files} files, {}\n", human::bytes(len));
        for sentence in crate::output::table::verdict_sentences(&report.snapshot).iter().take(1) {
            text += &format!("  {sentence}\n");
        }
        text += &format!("  tar --zstd -xf {path}\n");
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// What `memtrace check` prints.
fn offer() -> Vec<u8> {
    let mut text = Vec::new();
    let args = CheckArgs { output: check::Output::Text, avoid: Vec::new() };
    if let Err(error) = check::run(&args, &mut text) {
        text.extend(format!("\n{error}\n").into_bytes());
    }
    let version = format!("memtrace {}\n", env!("CARGO_PKG_VERSION"));
    [version.into_bytes(), text].concat()
}
