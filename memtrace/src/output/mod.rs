//! What leaves the program: one file per format, one trait over them.

pub mod model;
pub mod phrases;
pub mod tables;
pub mod documents;
pub mod render;

pub mod json;
pub mod ndjson;
pub mod series;
pub mod events;
pub mod parquet;
pub mod html;
pub mod triage;
pub mod metrics;
pub mod folded;
pub mod flamegraph;
pub mod pprof;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
pub(crate) mod schema;

use std::io;

use crate::view::Snapshot;

/// What all are called together that have no line, series or sample of their own. No command is called like that: names of commands have
/// no brackets but those of kernel threads, which are square.
const OTHER: &str = "(other)";

/// Where snapshots go.
pub trait Output {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown>;
}

/// Whether anybody is still there to read. A reader that went away (`| head`) is a reason to stop, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a session without a reader should end"]
pub enum Shown {
    Yes,
    ReaderGone,
}

/// Tells a closed pipe from a write that really failed.
pub fn shown(written: io::Result<()>) -> io::Result<Shown> {
    match written {
        Ok(()) => Ok(Shown::Yes),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Shown::ReaderGone),
        Err(error) => Err(error),
    }
}
