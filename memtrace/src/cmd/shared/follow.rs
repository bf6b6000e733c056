//! Follows a recording while it grows: the reports of its session, as they come.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use super::{sandboxed, status::with_bar};
use crate::{
    cmd::exit::{Exit, Failure},
    evidence::{
        output_file::{FileError, STANDARD_OUTPUT},
        recording::{ReadError, Reader},
        replay::{Query, follow::Follower, window::WindowError},
    },
    output::{Output, Shown},
    rights::sandbox::Sandbox,
    text::escape,
    view::Snapshot,
};

/// A recording is looked at this often.
const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("--follow needs a file: what comes through a pipe is read when it is complete")]
    NotAFile,
    #[error("{} was replaced by another recording", escape::path(.0))]
    Replaced(PathBuf),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}

impl Failure for FollowError {
    fn exit(&self) -> Exit {
        match self {
            Self::NotAFile => Exit::Usage,
            Self::Replaced(_) | Self::Signals(_) => Exit::Failed,
            Self::Read(error) => error.exit(),
            Self::Window(error) => error.exit(),
            Self::File(error) => error.exit(),
        }
    }
}

/// Shows the latest report and each that comes, until the session is over, nobody reads any more, or a signal ends it. Returns the
/// last one.
pub fn follow(path: &Path, query: &Query, output: &mut dyn Output) -> Result<Option<Snapshot>, FollowError> {
    if path == Path::new(STANDARD_OUTPUT) {
        return Err(FollowError::NotAFile);
    }
    let ended = Arc::<AtomicBool>::default();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&ended)).map_err(FollowError::Signals)?;
    }
    let mut state = state(path);
    let reader = sandboxed::open(path, &Sandbox::default().reads_in(&sandboxed::folder(path)))?;
    let mut follower = with_bar(|progress| Follower::start(reader, query, progress))?;
    let mut report = with_bar(|progress| follower.latest(progress)).map_err(WindowError::from)?;
    let mut last = None;
    loop {
        if let Some(report) = report.take() {
            let is_last = report.is_final;
            let shown = output.show(&report).map_err(FileError::Stdout)?;
            last = Some(report);
            if is_last || shown == Shown::ReaderGone {
                return Ok(last);
            }
        }
        if ended.load(Relaxed) {
            return Ok(last);
        }
        thread::sleep(EVERY);
        let now = self::state(path);
        if now != state {
            state = now;
            if !follower.read_on(Reader::open(path)?) {
                return Err(FollowError::Replaced(path.to_owned()));
            }
            report = follower.latest(&mut |_| {}).map_err(WindowError::from)?;
        }
    }
}

/// Changes where something is written: a ring that is full does not grow.
fn state(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}
