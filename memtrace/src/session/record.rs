//! What a session tells its recording.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{Options, Session, SessionError, State, caches::Directory, marks::Mark, processes::Who};
use crate::{
    event::{Address, StackId},
    kernel::{clock, events::Events},
    recording::{
        Entry, Header, Progress, Recorder, Written,
        definitions::Definitions,
        file::{Sink, WriteError},
        moment::{Closing, Outstanding},
    },
    stack::Stacks,
    view::{
        Moment,
        build::{CacheInfo, StackNames as _},
    },
};

/// Where a session is recorded.
pub struct Target {
    pub sink: Sink,
    /// The session ends when the recording has so many bytes; None: it may grow.
    pub most_bytes: Option<u64>,
    /// How memtrace was started.
    pub command: Vec<String>,
    pub progress: Arc<Progress>,
}

/// The recording, and what it was told already.
pub struct Tap {
    recorder: Recorder,
    progress: Arc<Progress>,
    most_bytes: Option<u64>,
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
}

impl Tap {
    pub(super) fn start(
        target: Target,
        state: &mut State,
        options: &Options,
        started_ns: u64,
    ) -> Result<Self, WriteError> {
        let Target { sink, most_bytes, command, progress } = target;
        state.who.processes.keep_changes();
        state.who.cgroups.keep_changes();
        let header = Header {
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            host: state.host.name.clone(),
            kernel: state.host.kernel.clone(),
            boot_id: boot_id(),
            started: std::time::SystemTime::now(),
            started_ns,
            own_tgid: std::process::id(),
            ledger_bytes: state.budget.ledger_bytes(),
            period: options.sample,
            stacks_period: state.stacks.as_ref().map(|stacks| stacks.period),
            ring: None,
        };
        let recorder = Recorder::start(header, sink, state.symbols.clone(), Arc::clone(&progress))?;
        Ok(Self { recorder, progress, most_bytes, caches: HashMap::new(), stacks: 0 })
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        self.recorder.push(entry);
    }

    pub fn room(&self) -> Room {
        let bytes = self.progress.bytes.load(Relaxed);
        match self.most_bytes {
            _ if self.recorder.has_failed() => Room::Failed,
            Some(most) if bytes >= most => Room::Full,
            _ => Room::There,
        }
    }

    pub fn finish(self) -> Result<Written, WriteError> {
        self.recorder.finish()
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
        self.recorder.define(Definitions {
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
    pub(super) fn close_block(&mut self, moment: &Moment, is_report: bool, forgot_ended: bool) {
        let State { caches, who, stacks, .. } = &mut self.state;
        let Some(tap) = &mut self.tap else { return };
        tap.define(caches, who, stacks.as_ref());
        let mut outstanding = Outstanding::default();
        for origin in self.ledger.origins() {
            let size = caches.infos().get(&origin.key.cache).map_or(0, |info| info.object_size);
            outstanding.objects += origin.outstanding();
            outstanding.bytes += origin.outstanding() * size;
        }
        tap.recorder.close(Closing { moment: moment.clone(), is_report, forgot_ended, outstanding });
    }

    /// Between reports: ends a block that has become large or long.
    pub(super) fn keep_blocks_small(&mut self, events: &Events) -> Result<(), SessionError> {
        if self.tap.as_ref().is_some_and(|tap| tap.recorder.is_due(clock::now())) {
            let moment = self.moment(events, false)?;
            self.close_block(&moment, false, false);
        }
        Ok(())
    }

    /// Marks this moment. A block ends here, so that what comes before a mark and what comes after it are told apart exactly.
    pub(super) fn mark(&mut self, mark: Mark, events: &mut Events) -> Result<(), SessionError> {
        self.catch_up(events)?;
        let moment = self.moment(events, false)?;
        self.close_block(&moment, false, false);
        if let Some(tap) = &mut self.tap {
            tap.push(&Entry::Mark(moment.now, &mark.label));
        }
        mark.is_set();
        Ok(())
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
