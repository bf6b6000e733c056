//! SIGINT, SIGTERM and SIGHUP end a session with its final report; of one with a configuration to be read again, SIGHUP does not.
//! SIGUSR1 and `memtrace mark` mark a time in its recording; where there is no recording, SIGUSR1 does nothing.
//!
//! A session of a command ends with it, and signals are the command's: the terminal sends it SIGINT itself, the others are passed
//! on. A command that does not end is left to itself at the second SIGTERM or SIGHUP.

use std::io;

use rustix::process;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::marks::{Mark, Marks};
use crate::kernel::stopped::Running;

pub struct Signals {
    ends: Ends,
    /// Taken, because it would end the process without a report otherwise.
    _ignored: Signal,
    marks: Option<Marks>,
}

/// What ends a session.
struct Ends {
    interrupt: Signal,
    terminate: Signal,
    /// None where it is somebody else's.
    hangup: Option<Signal>,
    /// None where there is none, or once it has ended.
    command: Option<Running>,
    /// Signals that the command got.
    passed_on: u32,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            marks: None,
            ends: Ends {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: Some(signal(SignalKind::hangup())?),
                command: None,
                passed_on: 0,
            },
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

    /// SIGHUP does not end the session: whoever else listens to it has it.
    pub fn leave_hangup(&mut self) {
        self.ends.hangup = None;
    }

    /// From now on the session is this command's.
    pub(super) fn follow(&mut self, command: Running) {
        self.ends.command = Some(command);
    }

    /// Waits for the end of the command, if there is one that runs.
    pub(super) async fn command_end(&mut self) {
        if self.ends.command.is_some() {
            self.ends.next().await;
        }
    }

    /// Waits for what ends the session.
    pub async fn end(&mut self) {
        self.ends.next().await;
    }

    /// Waits for what ends the session (None), or for a mark.
    pub(super) async fn next(&mut self) -> Option<Mark> {
        let Self { ends, marks, .. } = self;
        let Some(marks) = marks else {
            ends.next().await;
            return None;
        };
        tokio::select! {
            () = ends.next() => None,
            mark = marks.next() => Some(mark),
        }
    }
}

impl Ends {
    async fn next(&mut self) {
        loop {
            let Self { interrupt, terminate, hangup, command, passed_on } = self;
            let Some(running) = command else { return any_of(interrupt, terminate, hangup).await };
            let signal = tokio::select! {
                () = running.end() => {
                    *command = None;
                    return;
                }
                _ = interrupt.recv() => continue,
                _ = terminate.recv() => process::Signal::TERM,
                () = come(hangup) => process::Signal::HUP,
            };
            running.signal(signal);
            *passed_on += 1;
            if *passed_on > 1 {
                *command = None;
                return;
            }
        }
    }
}

async fn any_of(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Option<Signal>) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = come(hangup) => {}
    }
}

/// Waits for it: for ever, where it is not ours.
async fn come(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
