//! Events, one after the other: docs/events.md. One file per format.

pub mod ndjson;
pub mod text;

use std::io;

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
