//! Writes reports in a thread of its own.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

use crate::{
    output::{Output, Shown},
    view::Snapshot,
};

pub struct Reporter {
    snapshots: SyncSender<Snapshot>,
    writer: JoinHandle<io::Result<()>>,
}

impl Reporter {
    pub fn start(output: Box<dyn Output + Send>) -> Self {
        let (snapshots, receiver) = sync_channel(1);
        let writer = std::thread::spawn(move || write_all(output, &receiver));
        Self { snapshots, writer }
    }

    /// Shows a report, or drops it while the last one is still being written. [`Self::is_unread`] says whether the writer has ended.
    pub fn show(&self, snapshot: Snapshot) {
        let _ = self.snapshots.try_send(snapshot);
    }

    /// Writing has ended: the reader of a pipe has gone, or there was an error.
    pub fn is_unread(&self) -> bool {
        self.writer.is_finished()
    }

    /// Shows the last report, and waits until everything is written.
    pub fn finish(self, last: Option<Snapshot>) -> io::Result<()> {
        if let Some(last) = last {
            // Joining a writer that has ended says why, below.
            let _ = self.snapshots.send(last);
        }
        drop(self.snapshots);
        self.writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Ends with the session, or without an error when the reader has gone.
fn write_all(mut output: Box<dyn Output + Send>, snapshots: &Receiver<Snapshot>) -> io::Result<()> {
    for snapshot in snapshots {
        match output.show(&snapshot)? {
            Shown::Yes => {}
            Shown::ReaderGone => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
