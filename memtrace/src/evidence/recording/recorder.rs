//! Between a session and its recording: what happens is gathered in chunks and handed to a thread that writes it. There is room
//! for some chunks; a session whose writer does not keep up waits, which is counted, and the rings fill meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    block::{self, About, Contents, Packer},
    columns::Encoder,
    copy::{Order, Ring},
    definitions::Definitions,
    directory::Directory,
    file::{Sink, WriteError},
    footer::BlockFooter,
    header::Header,
    index::Place,
};
use crate::{
    kernel::symbols::Symbols,
    stream::{buffer::EntryBuffer, entry::Entry, event::TimeNs},
};

/// Entries that are handed over together: a megabyte and a half.
const CHUNK: usize = 1 << 14;
/// Chunks that wait at most.
const QUEUE: usize = 24;

/// A block ends with the first moment behind so much, or after so long.
const MAX_ENTRIES: u64 = 1 << 19;
const MAX_TEXT: usize = 12 << 20;
const MAX: Duration = Duration::from_secs(1);

enum Message {
    Entries(EntryBuffer),
    Define(Box<Definitions>),
    Close(Box<BlockFooter>),
    Copy(Order),
}

/// How far the writing has come.
#[derive(Debug, Default)]
pub struct Progress {
    pub bytes: AtomicU64,
    pub entries: AtomicU64,
    /// How often the session waited, and for how long in all.
    pub waits: AtomicU64,
    pub waited_ns: AtomicU64,
    /// Bytes that there may be at most; 0 without a limit.
    pub most_bytes: AtomicU64,
}

/// What came of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
    pub entries: u64,
    /// Blocks that are in it, and of those that went before, in a ring, how many are not any more.
    pub blocks: u64,
    pub overwritten: u64,
}

/// The session's side.
pub struct Recorder {
    waiting: EntryBuffer,
    queue: SyncSender<Message>,
    writer: JoinHandle<Result<Written, WriteError>>,
    progress: Arc<Progress>,
    /// Since the last moment.
    entries: u64,
    text: usize,
    closed_at: TimeNs,
}

impl Recorder {
    /// Writes the header, and begins. Places in the kernel get their names from the symbols.
    pub fn start(
        header: Header,
        mut sink: Sink,
        symbols: Option<Arc<Symbols>>,
        progress: Arc<Progress>,
    ) -> Result<Self, WriteError> {
        sink.begin(&header)?;
        progress.bytes.store(sink.len(), Relaxed);
        let packer = Packer::new().map_err(WriteError::Pack)?;
        let (queue, messages) = sync_channel(QUEUE);
        let closed_at = header.started_ns;
        let writer = Writer {
            sink,
            packer,
            encoder: Encoder::default(),
            directory: Directory::new(symbols),
            progress: Arc::clone(&progress),
            places: Vec::new(),
            sequence: 0,
            start: closed_at,
            written: Written::default(),
            copies: Vec::new(),
            plain: Vec::new(),
            packed: Vec::new(),
        };
        let writer = std::thread::spawn(move || writer.run(&messages));
        Ok(Self { waiting: EntryBuffer::default(), queue, writer, progress, entries: 0, text: 0, closed_at })
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        let before = self.waiting.text_bytes();
        self.waiting.push(entry);
        self.text += self.waiting.text_bytes() - before;
        if self.waiting.len() >= CHUNK {
            self.flush();
        }
    }

    /// What changed since the last call.
    pub fn define(&mut self, definitions: Definitions) {
        self.send(Message::Define(Box::new(definitions)));
    }

    /// Whether a moment should be taken, so that the block does not become too large or too long.
    pub fn is_due(&self, now: TimeNs) -> bool {
        self.entries >= MAX_ENTRIES
            || self.text >= MAX_TEXT
            || (self.entries > 0 && Duration::from_nanos(now.saturating_sub(self.closed_at)) >= MAX)
    }

    /// Ends a block.
    pub fn close(&mut self, footer: BlockFooter) {
        self.flush();
        (self.entries, self.text, self.closed_at) = (0, 0, footer.checkpoint.now);
        self.send(Message::Close(Box::new(footer)));
    }

    /// Copies what a ring has by now, beside the recording. Nothing comes of it where nothing goes round.
    pub fn copy(&mut self, order: Order) {
        self.send(Message::Copy(order));
    }

    /// Nothing is written any more: there was an error, which [`Self::finish`] tells.
    pub fn has_failed(&self) -> bool {
        self.writer.is_finished()
    }

    /// Waits until all is written.
    pub fn finish(mut self) -> Result<Written, WriteError> {
        self.flush();
        drop(self.queue);
        self.writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            let entries = std::mem::take(&mut self.waiting);
            self.send(Message::Entries(entries));
        }
    }

    /// A writer that has ended is noticed by [`Self::has_failed`].
    fn send(&self, message: Message) {
        let message = match self.queue.try_send(message) {
            Err(TrySendError::Full(message)) => message,
            Ok(()) | Err(TrySendError::Disconnected(_)) => return,
        };
        let start = Instant::now();
        let _ = self.queue.send(message);
        self.progress.waits.fetch_add(1, Relaxed);
        self.progress.waited_ns.fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
    }
}

/// The thread's side.
struct Writer {
    sink: Sink,
    packer: Packer,
    encoder: Encoder,
    directory: Directory,
    progress: Arc<Progress>,
    /// Where the blocks are that are in the file now.
    places: Vec<Place>,
    sequence: u64,
    /// Of the block that is being made.
    start: TimeNs,
    written: Written,
    /// What is being copied.
    copies: Vec<JoinHandle<()>>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) -> Result<Written, WriteError> {
        for message in messages {
            match message {
                Message::Entries(entries) => {
                    entries.iter().for_each(|entry| self.encoder.push(&entry));
                    self.progress.entries.fetch_add(entries.len() as u64, Relaxed);
                }
                Message::Define(definitions) => self.directory.define(*definitions),
                Message::Close(footer) => self.close(&footer)?,
                Message::Copy(order) => self.copy(order),
            }
        }
        for copy in self.copies.drain(..) {
            copy.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        self.written.bytes = self.sink.finish(&self.places, &mut self.packer)?;
        self.written.blocks = self.places.len() as u64;
        self.progress.bytes.store(self.written.bytes, Relaxed);
        Ok(self.written)
    }

    /// In a thread of its own, since entries go on coming.
    fn copy(&mut self, order: Order) {
        let Order { path, replace, done } = order;
        let Some(file) = self.sink.ring_file() else { return };
        let (len, places) = (self.sink.len(), self.places.clone());
        self.copies.push(std::thread::spawn(move || {
            let copied = file.map_err(WriteError::from);
            done(copied.and_then(|file| Ring { file, len, places }.copy(&path, replace)));
        }));
    }

    fn close(&mut self, footer: &BlockFooter) -> Result<(), WriteError> {
        self.plain.clear();
        self.packed.clear();
        let needed = self.directory.needed(self.encoder.common(), self.encoder.tags());
        if footer.forgot_ended {
            self.directory.forget_ended(self.encoder.common());
        }
        let entries = self.encoder.entries();
        block::put(&mut self.encoder, &needed, footer, &mut self.plain);
        let (sequence, start, end) = (self.sequence, self.start, footer.checkpoint.now);
        let about = About { contents: Contents::Block, sequence, start, end, entries };
        self.packer.pack(&self.plain, about, &mut self.packed).map_err(WriteError::Pack)?;
        let overwritten = |place: &Place, first: u64| place.sequence < first;
        let appended = self.sink.append(sequence, &self.packed)?;
        self.places.retain(|place| !overwritten(place, appended.first));
        self.places.push(Place {
            sequence,
            offset: appended.offset,
            start,
            end,
            entries,
            outstanding: footer.outstanding,
        });
        self.written.overwritten = appended.first;
        self.written.entries += entries;
        (self.sequence, self.start) = (sequence + 1, end);
        self.progress.bytes.store(self.sink.len(), Relaxed);
        Ok(())
    }
}
