//! A session that runs: it brings a moment with each report.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use super::{
    Look, Source, Told,
    bell::{Bell, RingsAtEnd},
    options,
};
use crate::{
    output::{Output, Shown},
    procfs::Files,
    select::{Select, filter::Filter},
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
    bell: Bell,
    asker: Asker,
    report_options: ReportOptions,
    command: Command,
    look: Look,
    has_ended: bool,
}

/// How the session was started.
pub struct Command {
    /// Without what a look says.
    pub words: Vec<String>,
    /// Slab caches that are traced, names and globs; empty for all.
    pub named: Vec<String>,
}

/// What a session's moments come through.
pub struct Reports {
    reports: SyncSender<Snapshot>,
    bell: RingsAtEnd,
}

/// Where a session's reports go: to the screen, and the last one to whatever follows it.
pub struct Screen {
    state: ScreenState,
    last: Box<dyn Output + Send>,
}

enum ScreenState {
    Waiting(Box<dyn FnOnce() -> io::Result<JoinHandle<io::Result<()>>> + Send>, Reports),
    Running(JoinHandle<io::Result<()>>, Reports),
    Over,
}

impl Live {
    /// The source, and what its moments come through.
    pub fn new(asker: Asker, report_options: ReportOptions, look: Look, command: Command) -> (Self, Reports) {
        let (sender, reports) = sync_channel(WAITING);
        let bell = Bell::default();
        let to = Reports { reports: sender, bell: RingsAtEnd(bell.clone()) };
        (Self { reports, bell, asker, report_options, command, look, has_ended: false }, to)
    }
}

impl Screen {
    /// `start` takes the terminal, with the first report: what goes wrong before is said on the screen that was there.
    pub fn new(
        reports: Reports,
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
        match reports.reports.try_send(snapshot.clone()) {
            Ok(()) => {
                reports.bell.0.ring();
                Ok(Shown::Yes)
            }
            Err(TrySendError::Full(_)) => Ok(Shown::Yes),
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
        let Ok(filter) = Filter::new(&Select::of_caches(look.caches.clone())) else { return false };
        self.report_options =
            ReportOptions { by: look.by.clone(), sort: look.sort, ..self.report_options.clone() };
        let view = View { report_options: self.report_options.clone(), filter };
        self.asker.ask(Request::Look(Box::new(view)));
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

    fn bell(&self) -> Bell {
        self.bell.clone()
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
        let Command { words, named } = &self.command;
        let caches = if look.caches.is_empty() { named } else { &look.caches };
        let look = Look { caches: caches.clone(), ..look.clone() };
        shell::line(words.iter().cloned().chain(options(&look)))
    }
}

fn moment(snapshot: Snapshot) -> Moment {
    let memory = Glance::take(&Files::live()).ok().map(|glance| glance.sum);
    Moment { snapshot, memory }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::output::sample;

    /// Says what it shows.
    #[derive(Clone, Default)]
    struct Table(Arc<Mutex<Vec<&'static str>>>);

    impl Table {
        fn say(&self, word: &'static str) {
            self.0.lock().unwrap().push(word);
        }
    }

    impl Output for Table {
        fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
            self.say(if snapshot.is_final { "last table" } else { "table" });
            Ok(Shown::Yes)
        }
    }

    fn last() -> Snapshot {
        Snapshot { is_final: true, ..sample::dentry() }
    }

    fn channel() -> (Reports, Receiver<Snapshot>) {
        let (sender, reports) = sync_channel(1);
        (Reports { reports: sender, bell: RingsAtEnd(Bell::default()) }, reports)
    }

    #[test]
    fn the_last_table_comes_when_the_screen_is_gone() {
        let table = Table::default();
        let (sender, reports) = channel();
        let on_screen = table.clone();
        let start = move || {
            on_screen.say("screen");
            Ok(std::thread::spawn(move || {
                while reports.recv().is_ok() {}
                on_screen.say("gone");
                Ok(())
            }))
        };
        let mut screen = Screen::new(sender, Box::new(table.clone()), start);
        assert_eq!(screen.show(&sample::dentry()).unwrap(), Shown::Yes);
        assert_eq!(screen.show(&sample::dentry()).unwrap(), Shown::Yes);
        assert_eq!(screen.show(&last()).unwrap(), Shown::Yes);
        assert_eq!(*table.0.lock().unwrap(), ["screen", "gone", "last table"]);
    }

    #[test]
    fn a_screen_that_does_not_keep_up_holds_nobody_up() {
        let (sender, reports) = channel();
        let (go_on, wait) = sync_channel::<()>(0);
        let start = move || {
            Ok(std::thread::spawn(move || {
                let _ = wait.recv();
                drop(reports);
                Ok(())
            }))
        };
        let mut screen = Screen::new(sender, Box::new(Table::default()), start);
        (0..100).for_each(|_| assert_eq!(screen.show(&sample::dentry()).unwrap(), Shown::Yes));
        drop(go_on);
        assert_eq!(screen.show(&last()).unwrap(), Shown::Yes);
    }

    #[test]
    fn a_terminal_that_fails_ends_the_session() {
        let (sender, reports) = channel();
        let start = move || {
            drop(reports);
            Ok(std::thread::spawn(|| Err(io::ErrorKind::BrokenPipe.into())))
        };
        let mut screen = Screen::new(sender, Box::new(Table::default()), start);
        assert_eq!(screen.show(&sample::dentry()).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
