//! SIGINT, SIGTERM and SIGHUP end a session with its final report. SIGUSR1 and `memtrace mark` mark a time in its recording; where
//! there is no recording, SIGUSR1 does nothing.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::marks::{Mark, Marks};

pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Taken, because it would end the process without a report otherwise.
    _ignored: Signal,
    marks: Option<Marks>,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            marks: None,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _ignored: signal(SignalKind::user_defined1())?,
        })
    }

    /// Why `memtrace mark` cannot set marks, if it cannot.
    pub(super) fn mark_problem(&self) -> Option<String> {
        self.marks.as_ref()?.problem()
    }

    pub(super) fn with_marks() -> io::Result<Self> {
        Ok(Self { marks: Some(Marks::listen()?), ..Self::new()? })
    }

    /// Waits for a signal that ends the session.
    pub async fn end(&mut self) {
        let Self { interrupt, terminate, hangup, .. } = self;
        any_of(interrupt, terminate, hangup).await;
    }

    /// Waits for a signal that ends the session (None), or for a mark.
    pub(super) async fn next(&mut self) -> Option<Mark> {
        let Self { interrupt, terminate, hangup, marks, .. } = self;
        let Some(marks) = marks else {
            any_of(interrupt, terminate, hangup).await;
            return None;
        };
        tokio::select! {
            () = any_of(interrupt, terminate, hangup) => None,
            mark = marks.next() => Some(mark),
        }
    }
}

async fn any_of(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
