//! A session that runs: it brings a moment with each report.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use super::{Look, Source, Told, options};
use crate::{
    evidence::replay::filter::Filter,
    output::{Output, Shown},
    procfs::Files,
    session::requests::{Asker, Request, View},
    text::shell,
    top::history::Moment,
    triage::sample::Glance,
    view::{Snapshot, build::ReportOptions},
};

/// Reports that wait for the screen at most: behind a slow terminal more are dropped.
const WAITING: usize = 4;

pub struct Live {
    reports: Receiver<Snapshot>,
    asker: Asker,
    report_options: ReportOptions,
    /// As the session was started.
    command: Vec<String>,
    look: Look,
    has_ended: bool,
}

/// Where a session's reports go: to the screen, and the last one to whatever follows it.
pub struct Screen {
    state: ScreenState,
    last: Box<dyn Output + Send>,
}

enum ScreenState {
    Waiting(Box<dyn FnOnce() -> io::Result<JoinHandle<io::Result<()>>> + Send>, SyncSender<Snapshot>),
    Running(JoinHandle<io::Result<()>>, SyncSender<Snapshot>),
    Over,
}

impl Live {
    /// The source, and what its moments come through.
    pub fn new(
        asker: Asker,
        report_options: ReportOptions,
        look: Look,
        command: Vec<String>,
    ) -> (Self, SyncSender<Snapshot>) {
        let (sender, reports) = sync_channel(WAITING);
        (Self { reports, asker, report_options, command, look, has_ended: false }, sender)
    }
}

impl Screen {
    /// `start` takes the terminal, with the first report: what goes wrong before is said on the screen that was there.
    pub fn new(
        reports: SyncSender<Snapshot>,
        last: Box<dyn Output + Send>,
        start: impl FnOnce() -> io::Result<JoinHandle<io::Result<()>>> + Send + 'static,
    ) -> Self {
        Self { state: ScreenState::Waiting(Box::new(start), reports), last }
    }

    fn finish(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, ScreenState::Over) {
            ScreenState::Running(thread, reports) => {
                drop(reports);
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            ScreenState::Waiting(..) | ScreenState::Over => Ok(()),
        }
    }
}

impl Output for Screen {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        if snapshot.is_final {
            self.finish()?;
            return self.last.show(snapshot);
        }
        self.state = match std::mem::replace(&mut self.state, ScreenState::Over) {
            ScreenState::Waiting(start, reports) => ScreenState::Running(start()?, reports),
            other => other,
        };
        let ScreenState::Running(_, reports) = &self.state else { return Ok(Shown::ReaderGone) };
        match reports.try_send(snapshot.clone()) {
            Ok(()) | Err(TrySendError::Full(_)) => Ok(Shown::Yes),
            // It has failed, and says why.
            Err(TrySendError::Disconnected(_)) => self.finish().map(|()| Shown::ReaderGone),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A session that failed: the terminal is given back before its error is said.
        let _ = self.finish();
    }
}

impl Source for Live {
    fn look(&mut self, look: &Look) -> bool {
        // Its globs were checked when they were typed.
        let Ok(filter) = Filter::new(&look.caches, &[], &[]) else { return false };
        self.report_options =
            ReportOptions { by: look.by.clone(), sort: look.sort, ..self.report_options.clone() };
        self.asker.ask(Request::Look(View { report_options: self.report_options.clone(), filter }));
        let is_other = (&look.by, &look.caches) != (&self.look.by, &self.look.caches);
        if is_other {
            self.asker.ask(Request::Report);
        }
        self.look = look.clone();
        is_other
    }

    /// What it does not remember is gone.
    fn show(&mut self, _: usize) {}

    fn follow(&mut self, _: bool) {}

    fn end(&mut self) {
        self.asker.ask(Request::End);
    }

    fn told(&mut self) -> Option<Told> {
        match self.reports.try_recv() {
            Ok(snapshot) => Some(Told::Next(Box::new(moment(snapshot)))),
            Err(TryRecvError::Disconnected) if !self.has_ended => {
                self.has_ended = true;
                Some(Told::Ended)
            }
            Err(_) => None,
        }
    }

    /// A session begins now: what was cannot be seen again.
    fn command(&self, look: &Look, _: Option<Duration>) -> String {
        shell::line(self.command.iter().cloned().chain(options(look)))
    }
}

fn moment(snapshot: Snapshot) -> Moment {
    let memory = Glance::take(&Files::live()).ok().map(|glance| glance.sum);
    Moment { snapshot, memory }
}
