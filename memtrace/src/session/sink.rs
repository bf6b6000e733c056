//! Where a session's entries go besides the ledger: into a recording, or to a stream of events. One queue to one consumer,
//! which is a thread of its own.

pub mod recording;
pub mod stream;

use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

use super::{error::SessionError, until::Until};
use crate::{
    evidence::{
        recording::{
            Progress, Written, copy::Order, definitions::Definitions, file::Sink, footer::BlockFooter,
        },
        replay::events::EventQuery,
    },
    output::events::EventOutput,
    stream::{entry::Entry, event::TimeNs},
    view::event::Source,
};

pub trait EventSink {
    fn push(&mut self, entry: &Entry<'_>);

    /// What changed since the last call. It comes before the entries that refer to it in an unbuffered sink, else with each block.
    fn define(&mut self, definitions: Definitions);

    /// The consumer gets the entries of each drain at once: definitions, entries, [`Self::flush`].
    fn is_unbuffered(&self) -> bool {
        false
    }

    fn flush(&mut self, _now: TimeNs) {}

    /// Whether a block should end, because it has become long or large.
    fn is_block_due(&self, _now: TimeNs) -> bool {
        false
    }

    fn close_block(&mut self, _footer: BlockFooter) {}

    /// Copies what a ring has by now.
    fn copy(&mut self, _order: Order) {}

    /// The session goes on without anybody who reads its reports.
    fn is_recording(&self) -> bool;

    fn state(&self) -> SinkState;

    /// Waits until the consumer has everything.
    fn finish(self: Box<Self>, now: TimeNs) -> Result<Written, SessionError>;
}

/// Whether a sink takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkState {
    Open,
    /// The recording has reached its maximal size.
    Full,
    /// The recording cannot be written any more.
    Failed,
    /// The reader of the stream has gone.
    ReaderGone,
}

/// Where to.
pub enum SinkConfig {
    Recording(RecordingTarget),
    Stream(StreamTarget),
}

/// The file that a session is recorded into.
pub struct RecordingTarget {
    pub sink: Sink,
    /// The session ends when the recording has this many bytes; None: no limit.
    pub max_bytes: Option<u64>,
    /// How memtrace was started.
    pub command: Vec<String>,
    pub progress: Arc<Progress>,
    /// What it waits for. None: for nothing.
    pub until: Option<Until>,
}

impl SinkConfig {
    pub fn take_until(&mut self) -> Option<Until> {
        match self {
            Self::Recording(target) => target.until.take(),
            Self::Stream(_) => None,
        }
    }
}

/// What prints the events of a session as they happen.
pub struct StreamTarget {
    pub query: EventQuery,
    /// Called as soon as the source of the events is known.
    pub output: Box<dyn FnOnce(Source) -> io::Result<Box<dyn EventOutput>> + Send>,
    pub losses: Arc<StreamLosses>,
}

/// What a stream left out because its reader was too slow.
#[derive(Debug, Default)]
pub struct StreamLosses {
    pub events: AtomicU64,
}
