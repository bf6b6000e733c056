//! The session's side of its recording or stream.

use std::time::SystemTime;

use super::{
    error::SessionError,
    marks::Mark,
    state::{Session, State},
};
use crate::{
    evidence::recording::{
        definitions::Definitions,
        footer::{BlockFooter, Outstanding},
    },
    kernel::{clock, events::Events},
    stream::{calls::StackNames as _, entry::Entry},
    view::Checkpoint,
};

/// What the end of a block is besides a checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlockEnd {
    pub is_report: bool,
    /// Processes that ended and hold nothing were forgotten here.
    pub forgot_ended: bool,
}

impl Session {
    pub fn push_to_sink(&mut self, entry: &Entry<'_>) {
        if let Some(sink) = &mut self.sink {
            sink.push(entry);
        }
    }

    /// After a drain.
    pub fn flush_sink(&mut self) {
        if self.sink.as_ref().is_some_and(|sink| sink.is_unbuffered()) {
            self.define_changes();
            self.sink.iter_mut().for_each(|sink| sink.flush(clock::now()));
        }
    }

    /// Ends a block of the recording, if there is one.
    pub fn close_block(&mut self, checkpoint: &Checkpoint, end: BlockEnd) {
        self.define_changes();
        let outstanding = self.outstanding();
        let Some(sink) = &mut self.sink else { return };
        let BlockEnd { is_report, forgot_ended } = end;
        let mut checkpoint = checkpoint.clone();
        // The first block that can have the census does; of a ring only the last one may be left.
        if self.census_is_recorded && !checkpoint.is_final {
            checkpoint.census = None;
        }
        self.census_is_recorded |= checkpoint.census.is_some();
        sink.close_block(BlockFooter { checkpoint, is_report, forgot_ended, outstanding });
    }

    /// Between reports: ends a block that has become long or large.
    pub fn close_due_block(&mut self, events: &Events) -> Result<(), SessionError> {
        if self.sink.as_ref().is_some_and(|sink| sink.is_block_due(clock::now())) {
            let checkpoint = self.checkpoint(events, false)?;
            self.close_block(&checkpoint, BlockEnd::default());
        }
        Ok(())
    }

    /// Marks this time, for somebody who waits for it.
    pub fn mark(&mut self, mark: Mark, events: &mut Events) -> Result<(), SessionError> {
        self.mark_as(&mark.label, events)?;
        mark.confirm();
        Ok(())
    }

    /// Marks this time, and returns it. A block ends here, so that a window that begins or ends at the mark is exact.
    pub fn mark_as(&mut self, label: &[u8], events: &mut Events) -> Result<SystemTime, SessionError> {
        self.catch_up(events)?;
        let checkpoint = self.checkpoint(events, false)?;
        self.close_block(&checkpoint, BlockEnd::default());
        self.push_to_sink(&Entry::Mark(checkpoint.now, label));
        Ok(checkpoint.time)
    }

    /// Sends the sink what changed since the last call.
    fn define_changes(&mut self) {
        let Some(sink) = &mut self.sink else { return };
        let State { caches, tasks, stacks, .. } = &mut self.state;
        let new_stacks = stacks.as_ref().map(|stacks| {
            let new = self.defined_stacks + 1..=stacks.last_id();
            self.defined_stacks = stacks.last_id();
            new.map(|id| (id, stacks.names(id))).collect()
        });
        sink.define(Definitions {
            caches: caches.take_changes(),
            processes: tasks.processes.take_changes(),
            cgroups: tasks.cgroups.take_changes(),
            call_sites: Vec::new(),
            stacks: new_stacks.unwrap_or_default(),
        });
    }

    fn outstanding(&self) -> Outstanding {
        let caches = self.state.caches.infos();
        let mut outstanding = Outstanding::default();
        for origin in self.ledger.origins() {
            let size = caches.get(&origin.key.cache).map_or(0, |info| info.object_size);
            outstanding.objects += origin.outstanding();
            outstanding.bytes += origin.outstanding() * size;
        }
        outstanding
    }
}
