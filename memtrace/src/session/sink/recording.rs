//! A recording in a file.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{EventSink, SinkState};
use crate::{
    evidence::recording::{
        Header, Progress, Recorder, Written,
        copy::Order,
        definitions::Definitions,
        file::{Sink, WriteError},
        footer::BlockFooter,
    },
    kernel::symbols::Symbols,
    session::error::SessionError,
    stream::{entry::Entry, event::TimeNs},
};

pub struct RecordingSink {
    recorder: Recorder,
    progress: Arc<Progress>,
    max_bytes: Option<u64>,
}

impl RecordingSink {
    pub fn start(
        header: Header,
        sink: Sink,
        symbols: Option<Arc<Symbols>>,
        progress: Arc<Progress>,
        max_bytes: Option<u64>,
    ) -> Result<Self, WriteError> {
        let recorder = Recorder::start(header, sink, symbols, Arc::clone(&progress))?;
        Ok(Self { recorder, progress, max_bytes })
    }
}

impl EventSink for RecordingSink {
    fn push(&mut self, entry: &Entry<'_>) {
        self.recorder.push(entry);
    }

    fn define(&mut self, definitions: Definitions) {
        self.recorder.define(definitions);
    }

    fn is_block_due(&self, now: TimeNs) -> bool {
        self.recorder.is_due(now)
    }

    fn close_block(&mut self, footer: BlockFooter) {
        self.recorder.close(footer);
    }

    fn copy(&mut self, order: Order) {
        self.recorder.copy(order);
    }

    fn is_recording(&self) -> bool {
        true
    }

    fn state(&self) -> SinkState {
        let bytes = self.progress.bytes.load(Relaxed);
        match self.max_bytes {
            _ if self.recorder.has_failed() => SinkState::Failed,
            Some(max) if bytes >= max => SinkState::Full,
            _ => SinkState::Open,
        }
    }

    fn finish(self: Box<Self>, _: TimeNs) -> Result<Written, SessionError> {
        Ok(self.recorder.finish()?)
    }
}
