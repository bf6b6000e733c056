//! Events of a session that runs, told as they happen, in a thread of its own. The session never waits for it: where the
//! reader is slow, what has no room is dropped, counted, and said where it is missing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use super::{
    SessionError,
    record::{Listener, Room},
};
use crate::{
    evidence::{
        recording::{Chunk, Entry, Header, Written, definitions::Definitions, footer::BlockFooter},
        replay::events::{EventQuery, Teller},
    },
    kernel::symbols::Symbols,
    output::events::{EventOutput, Source},
    stream::{
        calls::CallSites as _,
        event::{Alloc, Event, TimeNs},
    },
};

/// Bytes that may wait at most.
const MAX_WAITING: usize = 32 << 20;

/// Where a session's events are told.
pub struct Target {
    pub choice: EventQuery,
    /// Called when it is known what they are of.
    pub output: Box<dyn FnOnce(Source) -> io::Result<Box<dyn EventOutput>> + Send>,
    pub told: Arc<Told>,
}

/// How it went.
#[derive(Debug, Default)]
pub struct Told {
    /// Events that had no room.
    pub dropped: AtomicU64,
}

enum Message {
    Define(Box<Definitions>),
    Chunk(Chunk),
    Gap(Gap),
}

struct Gap {
    events: u64,
    since: TimeNs,
    until: TimeNs,
    /// How many objects one stands for behind it, where that changed.
    period: Option<u32>,
}

/// The session's side.
pub struct Stream {
    chunk: Chunk,
    /// In the chunk.
    events: u64,
    queue: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    /// Since the last gap was told.
    dropped: u64,
    dropped_since: TimeNs,
    period: Option<u32>,
    told: Arc<Told>,
    teller: JoinHandle<io::Result<()>>,
}

const SLOW: &str = "whoever reads the events is too slow";

impl Stream {
    /// Places in the kernel get their names from the symbols.
    pub fn start(target: Target, header: &Header, symbols: Option<Arc<Symbols>>) -> Self {
        let Target { choice, output, told } = target;
        let (queue, messages) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let most_waiting = MAX_WAITING.min(header.ledger_bytes as usize);
        let source = Source::from(header);
        let teller = Live { teller: Teller::new(header, &choice), symbols };
        let done = Arc::clone(&waiting);
        let teller = std::thread::spawn(move || match teller.run(&messages, || output(source), &done) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        });
        Self {
            chunk: Chunk::default(),
            events: 0,
            queue,
            waiting,
            most_waiting,
            dropped: 0,
            dropped_since: header.started_ns,
            period: None,
            told,
            teller,
        }
    }

    fn tell_gap(&mut self, until: TimeNs) {
        let events = std::mem::take(&mut self.dropped);
        if events > 0 {
            let period = self.period.take();
            self.send(Message::Gap(Gap { events, since: self.dropped_since, until, period }));
        }
    }

    /// A teller that has ended is noticed by [`Listener::room`].
    fn send(&self, message: Message) {
        let _ = self.queue.send(message);
    }
}

impl Listener for Stream {
    fn push(&mut self, entry: &Entry<'_>) {
        self.chunk.push(entry);
        match entry {
            Entry::Event(_) => self.events += 1,
            Entry::Period(period) => self.period = Some(*period),
            _ => {}
        }
    }

    fn is_told_at_once(&self) -> bool {
        true
    }

    fn define(&mut self, definitions: Definitions) {
        if definitions != Definitions::default() {
            self.send(Message::Define(Box::new(definitions)));
        }
    }

    fn drained(&mut self, now: TimeNs) {
        if self.chunk.is_empty() {
            return;
        }
        let (chunk, events) = (std::mem::take(&mut self.chunk), std::mem::take(&mut self.events));
        if self.waiting.load(Relaxed) + chunk.bytes() > self.most_waiting {
            if self.dropped == 0 {
                self.dropped_since = now;
            }
            self.dropped += events;
            self.told.dropped.fetch_add(events, Relaxed);
            return;
        }
        self.tell_gap(now);
        self.waiting.fetch_add(chunk.bytes(), Relaxed);
        self.send(Message::Chunk(chunk));
    }

    fn close(&mut self, _: BlockFooter) {}

    fn is_due(&self, _: TimeNs) -> bool {
        false
    }

    fn room(&self) -> Room {
        if self.teller.is_finished() { Room::Unread } else { Room::There }
    }

    fn finish(mut self: Box<Self>, now: TimeNs) -> Result<Written, SessionError> {
        self.drained(now);
        self.tell_gap(now);
        drop(self.queue);
        let told = self.teller.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        told.map(|()| Written::default()).map_err(SessionError::Events)
    }
}

/// The thread's side.
struct Live {
    teller: Teller,
    symbols: Option<Arc<Symbols>>,
}

impl Live {
    fn run(
        mut self,
        messages: &Receiver<Message>,
        output: impl FnOnce() -> io::Result<Box<dyn EventOutput>>,
        waiting: &AtomicUsize,
    ) -> io::Result<()> {
        let mut out = output()?;
        out.flush()?;
        for message in messages {
            match message {
                Message::Define(definitions) => self.teller.define(*definitions),
                Message::Chunk(chunk) => {
                    let mut told = Ok(());
                    chunk.for_each(|entry| {
                        if told.is_ok() {
                            told = self.tell(entry, &mut *out);
                        }
                    });
                    waiting.fetch_sub(chunk.bytes(), Relaxed);
                    told.and_then(|()| out.flush())?;
                }
                Message::Gap(gap) => self.miss(&gap, &mut *out)?,
            }
        }
        out.finish()
    }

    fn tell(&mut self, entry: &Entry<'_>, out: &mut dyn EventOutput) -> io::Result<()> {
        if let Entry::Event(Event::Alloc(Alloc { call_site, .. })) = *entry
            && let Some(symbols) = self.symbols.as_ref().filter(|_| !self.teller.knows_place(call_site))
        {
            let name = symbols.name(call_site).unwrap_or_else(|| format!("{call_site:#x}"));
            self.teller.define(Definitions { call_sites: vec![(call_site, name)], ..Definitions::default() });
        }
        self.teller.tell(entry, out)
    }

    fn miss(&mut self, gap: &Gap, out: &mut dyn EventOutput) -> io::Result<()> {
        self.teller.miss(Some(gap.events), Some(gap.since), gap.until, SLOW, out)?;
        gap.period.map(|period| self.teller.tell(&Entry::Period(period), out)).transpose().map(drop)
    }
}

#[cfg(test)]
mod tests;
