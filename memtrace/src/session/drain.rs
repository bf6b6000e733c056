//! What is in the rings: decoded, then applied to the ledger and the tables of processes and stacks, and passed on to the sink.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{
    error::SessionError,
    state::{Session, State},
};
use crate::{
    kernel::{clock, events::Events, rings::error::RingError},
    stream::{
        decode::{Frames, RecordVisitor},
        entry::Entry,
        event::{Alloc, Event, ProcessEvent, TimeNs},
    },
};

/// The rings are drained this often. At 5 million events a second they then hold some 3 MiB.
pub const DRAIN_EVERY: Duration = Duration::from_millis(10);

/// Of each of these, so much may go into forgetting what is not followed any more.
const SWEEP: Duration = Duration::from_millis(5);

/// Records drained before signals and timers get their turn.
pub const MAX_DRAINED: usize = 50_000;

impl Session {
    /// Applies what is in the rings, [`MAX_DRAINED`] records at most. Returns how many there were.
    pub fn drain(&mut self, events: &mut Events) -> Result<usize, SessionError> {
        self.apply(events, |events, apply| events.drain(MAX_DRAINED, apply))
    }

    /// Forgets some of what is not followed any more, if there is any.
    pub fn sweep(&mut self) {
        let start = Instant::now();
        while self.ledger.sweep() && start.elapsed() < SWEEP {}
    }

    /// Applies all that happened by now.
    pub fn catch_up(&mut self, events: &mut Events) -> Result<(), SessionError> {
        self.apply(events, |events, apply| events.drain_all(apply)).map(drop)
    }

    fn apply(
        &mut self,
        events: &mut Events,
        drain: impl FnOnce(&mut Events, &mut Apply<'_>) -> Result<usize, RingError>,
    ) -> Result<usize, SessionError> {
        let sampling = self.state.budget.sampling();
        let mut apply = Apply { time: clock::now(), is_first: true, session: self };
        let drained = drain(events, &mut apply);
        self.applier.finish(&mut self.ledger);
        let drained = drained?;
        self.state.caches.learn_new(&self.state.kernel, &events.generations)?;
        self.state.tasks.learn_new(&mut self.ledger);
        self.flush_sink();
        self.keep_within_memory(sampling, events)?;
        Ok(drained)
    }
}

/// Applies the records of one drain.
struct Apply<'s> {
    session: &'s mut Session,
    /// When the drain began, for the sink.
    time: TimeNs,
    /// The sink has not got this time yet.
    is_first: bool,
}

impl Apply<'_> {
    #[cold]
    fn make_room(&mut self) {
        let Session { ledger, applier, state, .. } = &mut *self.session;
        // Events so far count by the period that held then.
        applier.finish(ledger);
        if let Some(period) = state.budget.make_room(ledger) {
            self.push_to_sink(&Entry::Period(period));
        }
    }

    fn alloc(&mut self, mut alloc: Alloc) {
        let State { kernel, caches, nodes, .. } = &mut self.session.state;
        caches.notice(&alloc);
        if let Some(nodes) = nodes {
            alloc.node = nodes.node(&kernel.memory, alloc.ptr);
        }
        self.enter(Event::Alloc(alloc));
    }

    fn enter(&mut self, event: Event<'_>) {
        if self.session.ledger.is_full() {
            self.make_room();
        }
        self.push_to_sink(&Entry::Event(event));
        let Session { ledger, applier, .. } = &mut *self.session;
        applier.add(event, ledger);
    }

    fn push_to_sink(&mut self, entry: &Entry<'_>) {
        let Some(sink) = &mut self.session.sink else { return };
        if mem::take(&mut self.is_first) {
            sink.push(&Entry::Read(self.time));
        }
        sink.push(entry);
    }

    /// The probes cannot decide on all: see [`super::sift`].
    fn is_wanted(&mut self, event: &Event<'_>) -> bool {
        let Session { state, applier, ledger, left_out, .. } = &mut *self.session;
        if !state.sift.is_on() {
            return true;
        }
        let is_wanted = match event {
            Event::Alloc(alloc) => state.sift.passes(alloc, &mut state.tasks.cgroups),
            // Whose allocation was left out has no object here.
            Event::Name(name) => {
                applier.finish(ledger);
                ledger.object(name.dentry).is_some()
            }
            Event::Free(_) => true,
        };
        *left_out += u64::from(!is_wanted);
        is_wanted
    }
}

impl<'a> RecordVisitor<'a> for Apply<'_> {
    fn event(&mut self, event: Event<'a>) {
        match event {
            _ if !self.is_wanted(&event) => {}
            Event::Alloc(alloc) => self.alloc(alloc),
            Event::Free(_) | Event::Name(_) => self.enter(event),
        }
    }

    fn alloc_with_stack(&mut self, mut alloc: Alloc, frames: Frames<'a>) {
        if !self.is_wanted(&Event::Alloc(alloc)) {
            return;
        }
        if let Some(stacks) = &mut self.session.state.stacks {
            alloc.stack = stacks.enter(alloc.task.process(), frames);
        }
        self.alloc(alloc);
    }

    fn process(&mut self, event: ProcessEvent<'a>) {
        let State { stacks, tasks, .. } = &mut self.session.state;
        if let (ProcessEvent::Exec { process, .. }, Some(stacks)) = (event, stacks) {
            stacks.forget(process);
        }
        tasks.apply(event);
    }

    fn undecodable(&mut self) {
        self.session.undecodable += 1;
    }
}
