//! `--arm`: a watch beside the session, on a thread of its own.

use std::{
    io::{self, Write as _},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use tokio::sync::oneshot;

use crate::{
    armed::{
        episode::Episodes,
        guard::{Audience, End, Guard},
    },
    cmd::{
        exit::printable,
        shared::{
            arming::{Armed, ArmingArgs, ArmingError},
            runtime::block_on,
        },
    },
    output::metrics::Recordings,
    serve::board::Board,
};

/// Between two looks at the host, as `memtrace watch` has it.
const LOOKS: Duration = Duration::from_secs(10);

/// Ends it when dropped; what is being recorded is packed first.
pub struct Watching {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// All that can go wrong goes wrong here.
pub fn arm(arming: &ArmingArgs, board: &Arc<Board>) -> Result<Guard, ArmingError> {
    let tally = Tally { board: Arc::clone(board), recordings: Recordings::default() };
    let guard = arming.arm(Armed {
        looks: LOOKS,
        censuses: None,
        options: Vec::new(),
        traces: true,
        audience: Box::new(tally),
    })?;
    board.tell(&Recordings { bytes: bytes(&guard.episodes), ..Recordings::default() });
    Ok(guard)
}

impl Watching {
    pub fn start(guard: Guard) -> io::Result<Self> {
        let (end, told) = oneshot::channel();
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let problem = match block_on(guard.run(End::Told(told))) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(error) => format!("cannot start the event loop: {error}"),
            };
            // Nowhere to complain if even standard error is closed.
            let _ = writeln!(io::stderr(), "memtrace: not armed any more: {}", printable(&problem));
        })?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

/// Counts for the metrics.
struct Tally {
    board: Arc<Board>,
    recordings: Recordings,
}

impl Audience for Tally {
    fn recorded(&mut self, reasons: &[String], finding: Option<String>, episodes: &Episodes) {
        let recordings = &mut self.recordings;
        recordings.bytes = bytes(episodes);
        if finding.is_some() {
            recordings.last = Some(SystemTime::now());
            for reason in reasons {
                *recordings.made.entry(reason.clone()).or_default() += 1;
            }
        } else {
            recordings.failed += 1;
        }
        self.board.tell(recordings);
    }

    fn has_finding(&self) -> Option<bool> {
        let latest = self.board.latest()?;
        Some(latest.snapshot.verdict.as_ref().is_some_and(|verdict| verdict.first().is_some()))
    }
}

fn bytes(episodes: &Episodes) -> u64 {
    episodes.shelf.bundles().map_or(0, |bundles| bundles.iter().map(|bundle| bundle.bytes).sum())
}
