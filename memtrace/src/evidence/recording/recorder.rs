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
    definitions::Definitions,
    directory::Directory,
    entry::Entry,
    file::{Sink, WriteError},
    footer::BlockFooter,
    header::Header,
    index::Place,
};
use crate::{
    kernel::symbols::Symbols,
    stream::{
        event::{Address, Alloc, Event, Free, Kind, Label, Name, TimeNs},
        ledger::Outstanding,
    },
};

/// Entries that are handed over together: a megabyte and a half.
const CHUNK: usize = 1 << 14;
/// Chunks that wait at most.
const QUEUE: usize = 24;

/// A block ends with the first moment behind so much, or after so long.
const MAX_ENTRIES: u64 = 1 << 19;
const MAX_TEXT: usize = 12 << 20;
const MAX: Duration = Duration::from_secs(1);

/// An entry whose texts stand elsewhere.
#[derive(Clone, Copy)]
enum Waiting {
    Alloc(Alloc),
    Free(Free),
    Name {
        dentry: Address,
        parent: u32,
        name: u32,
    },
    Label {
        object: Outstanding,
        kind: Option<Kind>,
        filesystem: u32,
        directory: u32,
        pattern: Option<u32>,
        name: u32,
    },
    Period(u32),
    Read(TimeNs),
    Mark {
        time: TimeNs,
        label: u32,
    },
}

/// Entries on their way to another thread.
#[derive(Default)]
pub struct Chunk {
    entries: Vec<Waiting>,
    /// Of each entry in turn; entries tell lengths.
    texts: Vec<u8>,
}

enum Message {
    Chunk(Chunk),
    Define(Box<Definitions>),
    Close(Box<BlockFooter>),
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
    chunk: Chunk,
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
            plain: Vec::new(),
            packed: Vec::new(),
        };
        let writer = std::thread::spawn(move || writer.run(&messages));
        Ok(Self { chunk: Chunk::default(), queue, writer, progress, entries: 0, text: 0, closed_at })
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        let before = self.chunk.texts.len();
        self.chunk.push(entry);
        self.text += self.chunk.texts.len() - before;
        if self.chunk.entries.len() >= CHUNK {
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
        if !self.chunk.entries.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            self.send(Message::Chunk(chunk));
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

impl Chunk {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.entries[..]) + self.texts.len()
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        let texts = &mut self.texts;
        let mut text = |text: &[u8]| {
            texts.extend_from_slice(text);
            text.len() as u32
        };
        self.entries.push(match *entry {
            Entry::Event(Event::Alloc(alloc)) => Waiting::Alloc(alloc),
            Entry::Event(Event::Free(free)) => Waiting::Free(free),
            Entry::Event(Event::Name(Name { dentry, name, parent })) => {
                Waiting::Name { dentry, parent: text(parent), name: text(name) }
            }
            Entry::Label(object, Label { kind, filesystem, directory, name, pattern }) => Waiting::Label {
                object,
                kind,
                filesystem: text(filesystem),
                directory: text(directory),
                pattern: pattern.map(&mut text),
                name: text(name),
            },
            Entry::Period(period) => Waiting::Period(period),
            Entry::Read(time) => Waiting::Read(time),
            Entry::Mark(time, label) => Waiting::Mark { time, label: text(label) },
        });
    }

    pub fn for_each(&self, mut sink: impl FnMut(&Entry<'_>)) {
        let mut texts = &self.texts[..];
        let mut text = |len: u32| {
            let (text, rest) = texts.split_at(len as usize);
            texts = rest;
            text
        };
        for waiting in &self.entries {
            let entry = match *waiting {
                Waiting::Alloc(alloc) => alloc.into(),
                Waiting::Free(free) => free.into(),
                Waiting::Name { dentry, parent, name } => {
                    let parent = text(parent);
                    Name { dentry, parent, name: text(name) }.into()
                }
                Waiting::Label { object, kind, filesystem, directory, pattern, name } => {
                    let (filesystem, directory) = (text(filesystem), text(directory));
                    let pattern = pattern.map(&mut text);
                    Entry::Label(object, Label { kind, filesystem, directory, name: text(name), pattern })
                }
                Waiting::Period(period) => Entry::Period(period),
                Waiting::Read(time) => Entry::Read(time),
                Waiting::Mark { time, label } => Entry::Mark(time, text(label)),
            };
            sink(&entry);
        }
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
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) -> Result<Written, WriteError> {
        for message in messages {
            match message {
                Message::Chunk(chunk) => {
                    chunk.for_each(|entry| self.encoder.push(entry));
                    self.progress.entries.fetch_add(chunk.entries.len() as u64, Relaxed);
                }
                Message::Define(definitions) => self.directory.define(*definitions),
                Message::Close(footer) => self.close(&footer)?,
            }
        }
        self.written.bytes = self.sink.finish(&self.places, &mut self.packer)?;
        self.written.blocks = self.places.len() as u64;
        self.progress.bytes.store(self.written.bytes, Relaxed);
        Ok(self.written)
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
