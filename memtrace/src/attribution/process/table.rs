//! Which processes there are, and were.
//!
//! Memory is bounded: by the number of processes, of chains and of commands that are kept.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    chain::{Chain, ChainId, Chains, NO_CHAIN},
    command::{Command, Commands},
    running::Running,
};
use crate::stream::event::{Comm, ProcessEvent, ProcessId};

/// Most processes that are kept; beyond, new ones are not.
const MAX_PROCESSES: usize = 1 << 18;

/// Most processes of one number that are kept. It would take days until a number was used so often.
const MAX_OF_NUMBER: usize = 64;

/// Ended processes are pruned each time this many more have ended, unless they are still of interest.
const PRUNE_AFTER: usize = 1 << 12;

/// Parents that are looked up for a process at most.
const MAX_PARENTS: usize = 64;

/// The ancestor of all processes, which is left out of every chain.
const INIT: u32 = 1;

#[derive(Clone, Debug)]
pub struct Process {
    started: u32,
    /// It started up to this many steps later than `started`.
    slack: u32,
    pub comm: Comm,
    /// Who started it.
    pub chain: ChainId,
    /// None where it is unknown.
    pub command: Option<Arc<Command>>,
    pub has_ended: bool,
}

impl Process {
    fn is(&self, id: ProcessId) -> bool {
        id.started.wrapping_sub(self.started) <= self.slack
    }
}

/// All that is known of a process, for recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub id: ProcessId,
    /// It started up to this many steps later than its id says.
    pub slack: u32,
    pub comm: Comm,
    /// Who started it, the nearest first.
    pub chain: Vec<Comm>,
    pub command: Option<Arc<Command>>,
    pub has_ended: bool,
}

#[derive(Clone, Default)]
pub struct Processes {
    /// Several where a number was used again.
    by_tgid: HashMap<u32, Vec<Process>>,
    len: usize,
    chains: Chains,
    commands: Commands,
    /// Since the last pruning.
    ended: usize,
    /// Those that changed since the last [`Self::take_changes`]; None unless [`Self::keep_changes`] was called.
    changed: Option<HashSet<ProcessId>>,
}

impl Processes {
    pub fn get(&self, id: ProcessId) -> Option<&Process> {
        self.by_tgid.get(&id.tgid)?.iter().rfind(|process| process.is(id))
    }

    /// Whether it is known, and has not ended.
    pub fn lives(&self, id: ProcessId) -> bool {
        self.get(id).is_some_and(|process| !process.has_ended)
    }

    /// Who started it, the nearest first.
    pub fn chain(&self, id: ChainId) -> Chain<'_> {
        self.chains.get(id)
    }

    /// Remembers from now on which processes change.
    pub fn keep_changes(&mut self) {
        self.changed = Some(HashSet::new());
    }

    /// The processes that changed since the last call.
    pub fn take_changes(&mut self) -> Vec<Definition> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        changed.into_iter().filter_map(|id| self.definition(id)).collect()
    }

    pub fn definition(&self, id: ProcessId) -> Option<Definition> {
        let Process { started, slack, comm, chain, ref command, has_ended } = *self.get(id)?;
        let id = ProcessId { tgid: id.tgid, started };
        Some(Definition {
            id,
            slack,
            comm,
            chain: self.chain(chain).collect(),
            command: command.clone(),
            has_ended,
        })
    }

    /// Takes in a process that is known from elsewhere.
    pub fn define(&mut self, definition: Definition) {
        let Definition { id: ProcessId { tgid, started }, slack, comm, chain, command, has_ended } =
            definition;
        let chain = chain.into_iter().rev().fold(NO_CHAIN, |up, comm| self.chains.below(comm, up));
        let command = command.and_then(|command| self.commands.share(Arc::unwrap_or_clone(command)));
        self.put(tgid, Process { started, slack, comm, chain, command, has_ended });
        // What is put keeps whether it has ended.
        if let Some(process) = self.get_mut(ProcessId { tgid, started }) {
            process.has_ended = has_ended;
        }
    }

    /// Applies an event. `look_up` finds processes that are not in the table: see [`Self::learn`].
    pub fn apply(&mut self, event: ProcessEvent<'_>, look_up: impl FnMut(u32) -> Option<Running>) {
        match event {
            ProcessEvent::Fork { process, parent, parent_comm: comm } => {
                self.learn(parent, look_up);
                // It may have changed its name since.
                if let Some(known) = self.get_mut(parent).filter(|known| known.comm != comm) {
                    known.comm = comm;
                    let id = ProcessId { tgid: parent.tgid, started: known.started };
                    self.note_change(id);
                }
                let chain = self.chain_below(parent, comm);
                let command = self.get(parent).and_then(|parent| parent.command.clone());
                self.put(process.tgid, Process::exactly(process, comm, chain, command));
            }
            ProcessEvent::Exec { process, parent, comm, program } => {
                let command = self.commands.share(Command::new(program));
                let chain = match self.get(process) {
                    Some(known) => known.chain,
                    None => {
                        self.learn(parent, look_up);
                        self.get(parent)
                            .map(|known| known.comm)
                            .map_or(NO_CHAIN, |comm| self.chain_below(parent, comm))
                    }
                };
                self.put(process.tgid, Process::exactly(process, comm, chain, command));
            }
            ProcessEvent::Exit { process } => {
                if let Some(known) = self.get_mut(process) {
                    known.has_ended = true;
                    let id = ProcessId { tgid: process.tgid, started: known.started };
                    self.ended += 1;
                    self.note_change(id);
                }
            }
        }
    }

    /// Adds a process if it is unknown: looks it up, and its ancestors until one is known.
    pub fn learn(&mut self, id: ProcessId, mut look_up: impl FnMut(u32) -> Option<Running>) {
        if id.tgid <= INIT || self.get(id).is_some() {
            return;
        }
        let mut unknown = Vec::new();
        let mut tgid = id.tgid;
        // The chain ends at a process that is gone; its children are adopted by the first process.
        while tgid > INIT && unknown.len() < MAX_PARENTS {
            let Some(seen) = look_up(tgid) else { break };
            let is_known = !unknown.is_empty() && self.get(seen.process).is_some();
            let parent = seen.parent;
            unknown.push(seen);
            if is_known {
                break;
            }
            tgid = parent;
        }
        // Another process may have the number by now.
        let is_it = |seen: &Running| id.started.wrapping_sub(seen.process.started) <= seen.slack;
        if !unknown.first().is_some_and(is_it) {
            return;
        }
        let mut chain = NO_CHAIN;
        for seen in unknown.into_iter().rev() {
            let (tgid, comm) = (seen.process.tgid, seen.comm);
            let known = self.get(seen.process).map(|process| process.chain);
            let of_this = known.unwrap_or(chain);
            if known.is_none() {
                let command = self.commands.share(seen.command);
                let Running { process: ProcessId { started, .. }, slack, .. } =
                    Running { command: Command::default(), ..seen };
                self.put(tgid, Process { started, slack, comm, chain: of_this, command, has_ended: false });
            }
            chain = self.chains.below(comm, of_this);
        }
    }

    /// Forgets processes that ended and are not of interest, when there are enough of them. Returns whether there were.
    pub fn prune(&mut self, of_interest: impl FnOnce() -> HashSet<ProcessId>) -> bool {
        let is_time = self.ended >= PRUNE_AFTER;
        if is_time {
            self.forget_ended(of_interest());
        }
        is_time
    }

    /// Forgets all processes that ended and are not of interest.
    pub fn forget_ended(&mut self, of_interest: HashSet<ProcessId>) {
        self.ended = 0;
        let mut kept: HashMap<u32, Vec<ProcessId>> = HashMap::new();
        for id in of_interest {
            kept.entry(id.tgid).or_default().push(id);
        }
        self.by_tgid.retain(|tgid, processes| {
            let kept = kept.get(tgid).map_or(&[][..], Vec::as_slice);
            processes.retain(|process| !process.has_ended || kept.iter().any(|&id| process.is(id)));
            !processes.is_empty()
        });
        self.len = self.by_tgid.values().map(Vec::len).sum();
    }

    pub fn count(&self) -> usize {
        self.len
    }

    /// No more processes are added: the chains of new ones are unknown.
    pub fn is_full(&self) -> bool {
        self.len >= MAX_PROCESSES
    }

    /// The chain of what a process of this name starts.
    fn chain_below(&mut self, parent: ProcessId, comm: Comm) -> ChainId {
        if parent.tgid <= INIT {
            return NO_CHAIN;
        }
        let above = self.get(parent).map_or(NO_CHAIN, |parent| parent.chain);
        self.chains.below(comm, above)
    }

    fn note_change(&mut self, id: ProcessId) {
        if let Some(changed) = &mut self.changed {
            changed.insert(id);
        }
    }

    fn get_mut(&mut self, id: ProcessId) -> Option<&mut Process> {
        self.by_tgid.get_mut(&id.tgid)?.iter_mut().rfind(|process| process.is(id))
    }

    fn put(&mut self, tgid: u32, process: Process) {
        let id = ProcessId { tgid, started: process.started };
        self.note_change(id);
        if let Some(known) = self.get_mut(id) {
            *known = Process { has_ended: known.has_ended, ..process };
        } else if !self.is_full() {
            let of_number = self.by_tgid.entry(tgid).or_default();
            if of_number.len() < MAX_OF_NUMBER {
                of_number.push(process);
                self.len += 1;
            }
        }
    }
}

impl Process {
    fn exactly(id: ProcessId, comm: Comm, chain: ChainId, command: Option<Arc<Command>>) -> Self {
        Self { started: id.started, slack: 0, comm, chain, command, has_ended: false }
    }
}

#[cfg(test)]
mod tests;
