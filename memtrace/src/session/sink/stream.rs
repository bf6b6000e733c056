//! The events of a running session, written as they happen, in a thread of its own. The session never waits for it: when the
//! reader is slow, whole drains are dropped and counted, and a gap says where.

use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use super::{EventSink, SinkState, StreamLosses, StreamTarget};
use crate::{
    evidence::{
        recording::{Header, Written, definitions::Definitions},
        replay::events::{EventWriter, Gap},
    },
    kernel::symbols::Symbols,
    output::events::EventOutput,
    session::error::SessionError,
    stream::{
        buffer::EntryBuffer,
        calls::CallSites as _,
        entry::Entry,
        event::{Alloc, Event, TimeNs},
    },
    view::event::Source,
};

/// Bytes that may wait for the thread at most.
const MAX_WAITING: usize = 32 << 20;

enum Message {
    Define(Box<Definitions>),
    Entries(EntryBuffer),
    Gap(DroppedDrains),
}

/// Drains that were dropped one after the other.
struct DroppedDrains {
    events: u64,
    since: TimeNs,
    until: TimeNs,
    /// The sampling period from then on, where it changed.
    period: Option<u32>,
}

/// The session's side.
pub struct StreamSink {
    entries: EntryBuffer,
    /// Among the entries.
    events: u64,
    queue: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    max_waiting: usize,
    /// Events since the last gap that was sent.
    dropped: u64,
    dropped_since: TimeNs,
    period: Option<u32>,
    losses: Arc<StreamLosses>,
    writer: JoinHandle<io::Result<()>>,
}

const SLOW_READER: &str = "the reader is too slow";

impl StreamSink {
    /// Call sites get their names from the symbols.
    pub fn start(target: StreamTarget, header: &Header, symbols: Option<Arc<Symbols>>) -> Self {
        let StreamTarget { query, output, losses } = target;
        let (queue, messages) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let max_waiting = MAX_WAITING.min(header.ledger_bytes as usize);
        let source = Source::from(header);
        let thread = Thread { writer: EventWriter::new(header, &query), symbols };
        let done = Arc::clone(&waiting);
        let writer = std::thread::spawn(move || match thread.run(&messages, || output(source), &done) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        });
        Self {
            entries: EntryBuffer::default(),
            events: 0,
            queue,
            waiting,
            max_waiting,
            dropped: 0,
            dropped_since: header.started_ns,
            period: None,
            losses,
            writer,
        }
    }

    fn send_gap(&mut self, until: TimeNs) {
        let events = mem::take(&mut self.dropped);
        if events > 0 {
            let period = self.period.take();
            self.send(Message::Gap(DroppedDrains { events, since: self.dropped_since, until, period }));
        }
    }

    /// [`EventSink::state`] says whether the thread has ended.
    fn send(&self, message: Message) {
        let _ = self.queue.send(message);
    }
}

impl EventSink for StreamSink {
    fn push(&mut self, entry: &Entry<'_>) {
        self.entries.push(entry);
        match entry {
            Entry::Event(_) => self.events += 1,
            Entry::Period(period) => self.period = Some(*period),
            _ => {}
        }
    }

    fn define(&mut self, definitions: Definitions) {
        if definitions != Definitions::default() {
            self.send(Message::Define(Box::new(definitions)));
        }
    }

    fn is_unbuffered(&self) -> bool {
        true
    }

    fn flush(&mut self, now: TimeNs) {
        if self.entries.is_empty() {
            return;
        }
        let (entries, events) = (mem::take(&mut self.entries), mem::take(&mut self.events));
        if self.waiting.load(Relaxed) + entries.bytes() > self.max_waiting {
            if self.dropped == 0 {
                self.dropped_since = now;
            }
            self.dropped += events;
            self.losses.events.fetch_add(events, Relaxed);
            return;
        }
        self.send_gap(now);
        self.waiting.fetch_add(entries.bytes(), Relaxed);
        self.send(Message::Entries(entries));
    }

    fn is_recording(&self) -> bool {
        false
    }

    fn state(&self) -> SinkState {
        if self.writer.is_finished() { SinkState::ReaderGone } else { SinkState::Open }
    }

    fn finish(mut self: Box<Self>, now: TimeNs) -> Result<Written, SessionError> {
        self.flush(now);
        self.send_gap(now);
        drop(self.queue);
        let result = self.writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        result.map(|()| Written::default()).map_err(SessionError::Events)
    }
}

/// The thread's side.
struct Thread {
    writer: EventWriter,
    symbols: Option<Arc<Symbols>>,
}

impl Thread {
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
                Message::Define(definitions) => self.writer.define(*definitions),
                Message::Entries(entries) => {
                    let written = entries.iter().try_for_each(|entry| self.write(&entry, &mut *out));
                    waiting.fetch_sub(entries.bytes(), Relaxed);
                    written?;
                    out.flush()?;
                }
                Message::Gap(dropped) => self.write_gap(&dropped, &mut *out)?,
            }
        }
        out.finish()
    }

    fn write(&mut self, entry: &Entry<'_>, out: &mut dyn EventOutput) -> io::Result<()> {
        if let Entry::Event(Event::Alloc(Alloc { call_site, .. })) = *entry
            && let Some(symbols) = self.symbols.as_ref().filter(|_| !self.writer.knows_call_site(call_site))
        {
            let name = symbols.name(call_site).unwrap_or_else(|| format!("{call_site:#x}"));
            self.writer.define(Definitions { call_sites: vec![(call_site, name)], ..Definitions::default() });
        }
        self.writer.entry(entry, out)
    }

    fn write_gap(&mut self, dropped: &DroppedDrains, out: &mut dyn EventOutput) -> io::Result<()> {
        let DroppedDrains { events, since, until, period } = *dropped;
        let gap = Gap { events: Some(events), since: Some(since), until, reason: SLOW_READER };
        self.writer.gap(&gap, out)?;
        period.map_or(Ok(()), |period| self.writer.entry(&Entry::Period(period), out))
    }
}

#[cfg(test)]
mod tests;
