//! `memtrace bundle`: one file for the ticket. Records, watches the host meanwhile, and packs all that tells what happened.

use std::{
    env,
    io::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use rustix::{process::Signal, thread::CapabilitySet};

use super::{
    check::{self, CheckArgs},
    exit::{Exit, Failure},
    live,
    record::max_size,
    shared::{
        parent::{ParentError, end_with},
        progress::ProgressLine,
        rows::RowArgs,
        runtime::block_on,
        sandboxed,
        status::{StatusLine, with_bar},
        trace::TraceArgs,
    },
    triage::{
        about, trace,
        watch::{self, WatchError},
    },
};
use crate::{
    armed::shelf,
    evidence::{
        bundle::{
            ABOUT_RECORDING, Member, RECORDING, archive,
            host::{HostFiles, When},
            pages,
            readme::Readme,
        },
        output_file::{Destination, FileError, NewFile, Target, directory},
        recording::{
            Progress, ReadError, Reader,
            file::{Sink, WriteError},
        },
        redact::{Redactor, recording::rewrite},
        replay::{self, Query, Report, window::WindowError},
    },
    knowledge::incidents::{Incidents, IncidentsError},
    output::{self, documents::report::verdict_sentences, triage},
    rights::{
        capability,
        needs::{Needs, Starts},
        sandbox::Sandbox,
    },
    select::filter::Filter,
    session::{self, Options, SessionError, StacksOption, sink::RecordingTarget},
    text::{escape, human},
    triage::{page::Page, window::Window},
};

/// As long as triage watches.
const DURATION: Duration = Duration::from_secs(30);

#[derive(Args, Clone, Debug)]
pub struct BundleArgs {
    /// Where to write the bundle, with mode 0600; - is standard output
    #[arg(short, long, value_name = "FILE.tar.zst", required_unless_present = "into")]
    pub output: Option<PathBuf>,

    /// Write it to this directory, named after its time and what it found; prints its path and the finding
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "force", "from_recording"])]
    pub into: Option<PathBuf>,

    /// Of memtrace watch: end with this process, which is the parent
    #[arg(long, value_name = "PID", hide = true, requires = "into")]
    pub with_parent: Option<u32>,

    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,

    /// Replace names of programs, users, files, cgroups and hosts by tokens
    #[arg(long)]
    pub redact: bool,

    /// Use this recording instead of making one; leaves out triage and this host's files
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["caches", "pids", "comms", "stacks", "interval", "duration", "count", "settle", "sample", "max_memory", "max_cpu", "readers", "max_size"]
    )]
    pub from_recording: Option<PathBuf>,

    /// Stop recording at this size
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
    File(#[from] FileError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Copy(#[from] WriteError),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error("cannot make the reports: {0}")]
    Pages(#[source] io::Error),
    #[error("cannot say on standard output what was found: {0}")]
    Told(#[source] io::Error),
    #[error(transparent)]
    Parent(#[from] ParentError),
    #[error(
        "{source}\nThe recording is kept, with all names: memtrace bundle --from-recording {} -o ...",
        escape::path(path)
    )]
    Kept { source: Box<BundleError>, path: PathBuf },
}

impl Failure for BundleError {
    fn exit(&self) -> Exit {
        match self {
            Self::Incidents(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::Session(error) => error.exit(),
            Self::Watch(error) => error.exit(),
            Self::Read(error) => error.exit(),
            Self::Copy(error) => error.exit(),
            Self::Window(error) => error.exit(),
            Self::Told(error) => error.exit(),
            Self::Pages(_) | Self::Parent(_) => Exit::Failed,
            Self::Kept { source, .. } => source.exit(),
        }
    }
}

pub fn run(args: &BundleArgs) -> Result<(), BundleError> {
    // What it would leave a watch would remove.
    args.with_parent.map_or(Ok(()), |parent| end_with(parent, Signal::KILL))?;
    let inputs: Vec<_> = args.from_recording.as_deref().into_iter().collect();
    let place = match (&args.output, &args.into) {
        (Some(path), _) => {
            let target = Target { path, replace: args.force, inputs: &inputs, is_binary: true };
            Place::File(path.clone(), target.open()?)
        }
        (None, into) => Place::Into(into.clone().unwrap_or_default()),
    };
    let bundle = Bundle {
        args,
        scratch: place.scratch(),
        redactor: args.redact.then(Redactor::default),
        incidents: args.rows.incidents()?,
        held: capability::held(),
    };
    match &args.from_recording {
        Some(path) => bundle.make(sandboxed::open(path, &bundle.sandbox(&place))?, None, place),
        None => {
            let recording = NewFile::scratch(&bundle.scratch)?;
            let made = bundle
                .record(&recording)
                .and_then(|watched| bundle.make(bundle.reader(&recording)?, Some(watched), place));
            made.map_err(|error| bundle.kept(error, &recording))
        }
    }
}

/// Where the bundle goes.
enum Place {
    File(PathBuf, Destination),
    /// Into this directory, under a name that is not known before its end.
    Into(PathBuf),
}

impl Place {
    /// Beside it there is room for what is recorded.
    fn scratch(&self) -> PathBuf {
        match self {
            Self::File(path, Destination::File(_)) => path.clone(),
            Self::File(_, Destination::Stream(_)) => env::temp_dir().join(RECORDING),
            Self::Into(directory) => directory.join(RECORDING),
        }
    }

    fn open(self, name: &str) -> Result<(PathBuf, Destination), FileError> {
        match self {
            Self::File(path, destination) => Ok((path, destination)),
            Self::Into(directory) => {
                let path = directory.join(name);
                let target = Target { path: &path, replace: false, inputs: &[], is_binary: true };
                let destination = target.open()?;
                Ok((path, destination))
            }
        }
    }
}

/// What was seen of the host during the recording.
struct Watched {
    window: Window,
    files: HostFiles,
}

/// A bundle in the making.
struct Bundle<'a> {
    args: &'a BundleArgs,
    /// Beside which recordings are made that nobody sees.
    scratch: PathBuf,
    redactor: Option<Redactor>,
    incidents: Incidents,
    /// What the session begins with.
    held: CapabilitySet,
}

impl Bundle<'_> {
    /// What it takes to make it of a recording.
    fn sandbox(&self, place: &Place) -> Sandbox {
        let sandbox = match place {
            Place::File(_, destination) => destination.sandbox(),
            Place::Into(directory) => Sandbox::default().writes_in(directory),
        };
        // The redacted copy.
        if self.redactor.is_some() { sandbox.writes_in(directory(&self.scratch)) } else { sandbox }
    }

    fn reader(&self, recording: &NewFile) -> Result<Reader, BundleError> {
        Ok(Reader::of_file(recording.handle()?, Path::new(RECORDING))?)
    }

    /// A recording outlives what goes wrong afterwards, if there is anything in it.
    fn kept(&self, error: BundleError, recording: &NewFile) -> BundleError {
        // A watch would remove it.
        let is_wanted = self.args.with_parent.is_none();
        match self.reader(recording).map(|_| is_wanted.then(|| recording.keep(".mt"))) {
            Ok(Some(Ok(path))) => BundleError::Kept { source: Box::new(error), path },
            _ => error,
        }
    }

    /// Records into a file, and watches the host meanwhile.
    fn record(&self, recording: &NewFile) -> Result<Watched, BundleError> {
        let options = self.options()?;
        let progress = Arc::new(Progress::default());
        let line = ProgressLine::new(StatusLine::stderr(), Arc::clone(&progress), options.duration);
        let target = RecordingTarget {
            sink: Sink::scratch(recording.handle()?),
            max_bytes: Some(self.args.max_size),
            command: env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            progress,
            until: None,
        };
        let mut files = HostFiles::live();
        files.read_figures(When::Before);
        let recorded = watch::beside(session::record(options, Box::new(line), target, None));
        let (window, recorded) = block_on(recorded).map_err(SessionError::Runtime)??;
        recorded?;
        files.read_figures(When::After);
        Ok(Watched { window, files })
    }

    fn options(&self) -> Result<Options, BundleError> {
        let mut options = live::options(self.args.trace.clone(), self.args.rows.clone())?;
        options.duration.get_or_insert(DURATION);
        options.stacks.get_or_insert(StacksOption::Both);
        // Afterwards it reads the host, and tries what it offers.
        let packs = |needs: Needs| Needs { starts: Starts::Itself, ..needs.with_files() };
        options.needs = options.needs.map(packs);
        Ok(options)
    }

    /// Makes all members of a recording, and packs them.
    fn make(&self, recording: Reader, watched: Option<Watched>, place: Place) -> Result<(), BundleError> {
        let Some(redactor) = &self.redactor else { return self.pack(&recording, watched, place) };
        // Pages that are made of the redacted recording have no other names than it has.
        let copy = NewFile::scratch(&self.scratch)?;
        let mut sink = Sink::scratch(copy.handle()?);
        with_bar(|progress| rewrite(&recording, &mut sink, redactor, progress))?;
        let watched =
            watched.map(|Watched { window, files }| Watched { window: redactor.window(window), files });
        self.pack(&self.reader(&copy)?, watched, place)
    }

    fn pack(&self, reader: &Reader, watched: Option<Watched>, place: Place) -> Result<(), BundleError> {
        let report = with_bar(|progress| replay::report(reader, &self.query(), progress))?;
        let members = pages::of_report(&report, self.args.rows.older).map_err(BundleError::Pages)?;
        let mut contents = Contents { members, ..Contents::default() };
        contents.members.push(Member::new(RECORDING, ABOUT_RECORDING, []));
        match watched {
            None => contents.missing.push(
                "triage and host/: the bundle was made from an existing recording, perhaps of another host"
                    .to_owned(),
            ),
            Some(watched) => self.add_watched(reader, watched, &mut contents)?,
        }
        let readme = self.readme(&report, &contents);
        let Contents { mut members, headline, name, .. } = contents;
        // The recording is packed from its file.
        members.retain(|member| member.name != RECORDING);
        members.insert(0, Member::new("README.txt", "", readme));
        let mut recording = reader.bytes().map_err(BundleError::Pages)?;
        let ((path, destination), mut len) = (place.open(&name)?, 0);
        destination.write(&path, |out| {
            len = archive::write(&archive::root(&path), &members, &mut recording, out)?;
            Ok(())
        })?;
        say(&path, &report, members.len() + 1, len);
        if self.args.into.is_some() {
            tell(&path, &finding(&report, headline)).map_err(BundleError::Told)?;
        }
        Ok(())
    }

    fn query(&self) -> Query {
        Query {
            report_options: self.args.rows.report_options(),
            filter: Filter::default(),
            incidents: self.incidents.clone(),
            from: None,
            to: None,
            call_sites: true,
            nodes: true,
        }
    }

    /// Triage, and the host's files.
    fn add_watched(
        &self,
        reader: &Reader,
        watched: Watched,
        contents: &mut Contents,
    ) -> Result<(), BundleError> {
        let Watched { window, mut files } = watched;
        files.add_cgroups(When::Before, &window.before.cgroups);
        files.add_cgroups(When::After, &window.after.cgroups);
        let page = self.page(reader, &window);
        contents.headline = Some(output::phrases::triage::headline(&page).text());
        contents.name = shelf::name(page.time, page.suspect(), page.length);
        let json = triage::json::line(&page).map_err(BundleError::Pages)?;
        let markdown = output::render::markdown::text(&output::documents::triage::ticket(&page));
        files.read_facts(self.redactor.as_ref());
        contents.members.extend([
            Member::new("triage.md", "what fills the memory, slab or not, and what to do", markdown),
            Member::new("triage.json", "the same for programs (docs/triage.md)", json),
            Member::new("host/memtrace-check", "what memtrace can do on this host", host_support(self.held)),
        ]);
        contents.members.append(&mut files.members);
        contents.missing.append(&mut files.missing);
        Ok(())
    }

    fn page(&self, reader: &Reader, window: &Window) -> Page {
        let tracing =
            trace::recorded(&self.args.trace.select().cache_patterns(), reader, self.incidents.clone());
        let about = match &self.redactor {
            Some(redactor) => redactor.about(about()),
            None => about(),
        };
        // The session took one.
        let already = tracing.census().cloned().map(Ok);
        Page::new(about, window, tracing, already)
    }

    fn readme(&self, report: &Report, contents: &Contents) -> String {
        let snapshot = &report.snapshot;
        Readme {
            snapshot,
            triage: contents.headline.clone(),
            ended: snapshot.time,
            length: snapshot.elapsed,
            members: &contents.members,
            missing: &contents.missing,
            is_redacted: self.redactor.is_some(),
        }
        .text()
    }
}

/// Nowhere to complain if even standard error is closed.
fn say(path: &Path, report: &Report, files: usize, len: u64) {
    let path = escape::path(path);
    let mut text = format!("{path}: {files} files, {}\n", human::bytes(len));
    for sentence in verdict_sentences(&report.snapshot).iter().take(1) {
        text += &format!("  {sentence}\n");
    }
    text += &format!("  tar --zstd -xf {path}\n");
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Who leaks or floods, if anybody does; else what triage says.
fn finding(report: &Report, headline: Option<String>) -> String {
    let is_accused = report.snapshot.verdict.iter().any(|verdict| verdict.accused().next().is_some());
    let sentences = verdict_sentences(&report.snapshot);
    let verdict = sentences.into_iter().next().filter(|_| is_accused);
    verdict.or(headline).unwrap_or_default()
}

/// For a program: the path, and a line with the finding.
fn tell(path: &Path, finding: &str) -> io::Result<()> {
    let finding = finding.lines().collect::<Vec<_>>().join(" ");
    let line = [path.as_os_str().as_bytes(), b"\n", finding.as_bytes(), b"\n"].concat();
    io::stdout().write_all(&line).and_then(|()| io::stdout().flush())
}

/// What is in the bundle besides the recording.
#[derive(Default)]
struct Contents {
    members: Vec<Member>,
    /// What is not, one sentence each.
    missing: Vec<String>,
    /// Triage in one line.
    headline: Option<String>,
    /// What the bundle is called, if that is left to us.
    name: String,
}

/// What `memtrace check` prints.
fn host_support(held: CapabilitySet) -> Vec<u8> {
    let mut text = Vec::new();
    let args = CheckArgs { output: check::Output::Text, avoid: Vec::new() };
    if let Err(error) = check::print(&args, held, &mut text) {
        text.extend(format!("\n{error}\n").into_bytes());
    }
    let version = format!("memtrace {}\n", env!("CARGO_PKG_VERSION"));
    [version.into_bytes(), text].concat()
}
