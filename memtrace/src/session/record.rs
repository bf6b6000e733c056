//! What a session tells whoever listens to all that it sees: its recording, or a stream of events.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{
    Options, Session, SessionError, State,
    caches::Directory,
    marks::Mark,
    processes::Who,
    stream::{self, Stream},
};
use crate::{
    attribution::stack::Stacks,
    evidence::recording::{
        Entry, Header, Progress, Recorder, Written,
        definitions::Definitions,
        file::{Sink, WriteError},
        footer::{BlockFooter, Outstanding},
    },
    kernel::{clock, events::Events},
    stream::{
        calls::StackNames as _,
        event::{Address, StackId, TimeNs},
    },
    view::{Checkpoint, build::CacheInfo},
};

/// Where a session is recorded.
pub struct Target {
    pub sink: Sink,
    /// The session ends when the recording has so many bytes; None: it may grow.
    pub most_bytes: Option<u64>,
    /// How memtrace was started.
    pub command: Vec<String>,
    /// What is traced, as it is written on the command line; empty where all is.
    pub filters: String,
    pub progress: Arc<Progress>,
}

/// Takes all that a session sees.
pub trait Listener {
    fn push(&mut self, entry: &Entry<'_>);

    /// Each drain's entries have what they refer to defined before, and are followed by [`Self::drained`]. Else definitions come with
    /// each block.
    fn is_told_at_once(&self) -> bool;
    fn drained(&mut self, now: TimeNs);

    /// What changed since the last call.
    fn define(&mut self, definitions: Definitions);

    /// Whether a block should end.
    fn is_due(&self, now: TimeNs) -> bool;
    fn close(&mut self, footer: BlockFooter);

    fn room(&self) -> Room;
    fn finish(self: Box<Self>, now: TimeNs) -> Result<Written, SessionError>;
}

/// Who listens to a session.
pub enum Listening {
    Recording(Target),
    Stream(stream::Target),
}

/// A recording in a file.
struct Recording {
    recorder: Recorder,
    progress: Arc<Progress>,
    most_bytes: Option<u64>,
}

impl Listener for Recording {
    fn push(&mut self, entry: &Entry<'_>) {
        self.recorder.push(entry);
    }

    fn is_told_at_once(&self) -> bool {
        false
    }

    fn drained(&mut self, _: TimeNs) {}

    fn define(&mut self, definitions: Definitions) {
        self.recorder.define(definitions);
    }

    fn is_due(&self, now: TimeNs) -> bool {
        self.recorder.is_due(now)
    }

    fn close(&mut self, footer: BlockFooter) {
        self.recorder.close(footer);
    }

    fn room(&self) -> Room {
        let bytes = self.progress.bytes.load(Relaxed);
        match self.most_bytes {
            _ if self.recorder.has_failed() => Room::Failed,
            Some(most) if bytes >= most => Room::Full,
            _ => Room::There,
        }
    }

    fn finish(self: Box<Self>, _: TimeNs) -> Result<Written, SessionError> {
        Ok(self.recorder.finish()?)
    }
}

/// Who listens, and what was told already.
pub struct Tap {
    listener: Box<dyn Listener>,
    /// It is kept: whether somebody looks at reports does not matter.
    pub is_recording: bool,
    caches: HashMap<Address, CacheInfo>,
    stacks: StackId,
}

/// Whether a recording goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    There,
    /// It is as long as it may be.
    Full,
    /// It cannot be written any more.
    Failed,
    /// Nobody listens any more.
    Unread,
}

impl Tap {
    pub(super) fn start(
        listening: Listening,
        state: &mut State,
        options: &Options,
        started_ns: u64,
    ) -> Result<Self, WriteError> {
        state.who.processes.keep_changes();
        state.who.cgroups.keep_changes();
        let mut header = Header {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            command: Vec::new(),
            host: state.host.name.clone(),
            kernel: state.host.kernel.clone(),
            boot_id: boot_id(),
            started: std::time::SystemTime::now(),
            started_ns,
            own_tgid: std::process::id(),
            ledger_bytes: state.budget.ledger_bytes(),
            period: options.sample,
            stacks_period: state.stacks.as_ref().map(|stacks| stacks.period),
            filters: String::new(),
            gfp_names: state.gfp_names.clone(),
            ring: None,
        };
        let is_recording = matches!(listening, Listening::Recording(_));
        let listener: Box<dyn Listener> = match listening {
            Listening::Recording(Target { sink, most_bytes, command, filters, progress }) => {
                (header.command, header.filters) = (command, filters);
                let symbols = state.symbols.clone();
                let recorder = Recorder::start(header, sink, symbols, Arc::clone(&progress))?;
                Box::new(Recording { recorder, progress, most_bytes })
            }
            Listening::Stream(target) => Box::new(Stream::start(target, &header, state.symbols.clone())),
        };
        Ok(Self { listener, is_recording, caches: HashMap::new(), stacks: 0 })
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        self.listener.push(entry);
    }

    pub fn room(&self) -> Room {
        self.listener.room()
    }

    pub fn finish(self) -> Result<Written, SessionError> {
        self.listener.finish(clock::now())
    }

    /// The rings were drained up to now.
    pub(super) fn drained(&mut self, caches: &Directory, who: &mut Who, stacks: Option<&Stacks>) {
        if self.listener.is_told_at_once() {
            self.define(caches, who, stacks);
            self.listener.drained(clock::now());
        }
    }

    fn define(&mut self, caches: &Directory, who: &mut Who, stacks: Option<&Stacks>) {
        let is_new = |(number, info): &(&Address, &CacheInfo)| self.caches.get(number) != Some(info);
        let changed: Vec<(Address, CacheInfo)> =
            caches.infos().iter().filter(is_new).map(|(&number, info)| (number, info.clone())).collect();
        self.caches.extend(changed.iter().cloned());
        let named = stacks.map(|stacks| {
            let new = self.stacks + 1..=stacks.last_id();
            self.stacks = stacks.last_id();
            new.map(|id| (id, stacks.names(id))).collect()
        });
        self.listener.define(Definitions {
            caches: changed,
            processes: who.processes.take_changes(),
            cgroups: who.cgroups.take_changes(),
            call_sites: Vec::new(),
            stacks: named.unwrap_or_default(),
        });
    }
}

impl Session {
    /// Ends a block of the recording, if there is one.
    pub(super) fn close_block(&mut self, checkpoint: &Checkpoint, is_report: bool, forgot_ended: bool) {
        let State { caches, who, stacks, .. } = &mut self.state;
        let Some(tap) = &mut self.tap else { return };
        tap.define(caches, who, stacks.as_ref());
        let mut outstanding = Outstanding::default();
        for origin in self.ledger.origins() {
            let size = caches.infos().get(&origin.key.cache).map_or(0, |info| info.object_size);
            outstanding.objects += origin.outstanding();
            outstanding.bytes += origin.outstanding() * size;
        }
        tap.listener.close(BlockFooter {
            checkpoint: checkpoint.clone(),
            is_report,
            forgot_ended,
            outstanding,
        });
    }

    /// Between reports: ends a block that has become large or long.
    pub(super) fn keep_blocks_small(&mut self, events: &Events) -> Result<(), SessionError> {
        if self.tap.as_ref().is_some_and(|tap| tap.listener.is_due(clock::now())) {
            let checkpoint = self.checkpoint(events, false)?;
            self.close_block(&checkpoint, false, false);
        }
        Ok(())
    }

    /// Marks this moment. A block ends here, so that what comes before a mark and what comes after it are told apart exactly.
    pub(super) fn mark(&mut self, mark: Mark, events: &mut Events) -> Result<(), SessionError> {
        self.catch_up(events)?;
        let checkpoint = self.checkpoint(events, false)?;
        self.close_block(&checkpoint, false, false);
        if let Some(tap) = &mut self.tap {
            tap.push(&Entry::Mark(checkpoint.now, &mark.label));
        }
        mark.is_set();
        Ok(())
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
