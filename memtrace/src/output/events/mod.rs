//! Events, one after the other: docs/events.md. One file per format.

pub mod ndjson;
pub mod text;

use std::{
    io,
    time::{Duration, SystemTime},
};

use crate::view::event::EventView;

/// Where events go.
pub trait EventOutput {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()>;

    /// What was shown is to be seen now: the next event may take its time.
    fn flush(&mut self) -> io::Result<()>;

    /// There are no more.
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// What the events are of: said once.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub host: String,
    pub kernel: String,
    /// Empty where it is not known.
    pub boot_id: String,
    /// Of the session, by the wall clock.
    pub started: SystemTime,
    /// Version of the memtrace that traced.
    pub tool: String,
}

impl Source {
    /// By the wall clock, as it went at the start. Never before 1970.
    pub fn wall(&self, elapsed_ns: i64) -> SystemTime {
        let time = Duration::from_nanos(elapsed_ns.unsigned_abs());
        let wall =
            if elapsed_ns < 0 { self.started.checked_sub(time) } else { self.started.checked_add(time) };
        wall.unwrap_or(self.started).max(SystemTime::UNIX_EPOCH)
    }
}
