//! Attaches loaded programs, and detaches them.
//!
//! Frees attach before allocations and detach after them: so no free of a traced object is missed in between, and frees can be
//! followed on their own for a while. All links are file descriptors, so the probes go when the process goes, however it dies.

use std::any::Any;

use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};

use super::{
    error::LoadError,
    events::Events,
    live_filters::LiveFilters,
    reason::{Reason, unusable},
};

/// A program that is loaded and can be attached.
pub(super) struct Ready {
    pub name: &'static str,
    /// Tracepoint or function.
    pub target: &'static str,
    pub stage: Stage,
    pub part: Part,
}

/// What a program is for. A session needs the first; of each other part, all programs are attached or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Objects,
    /// Allocations and frees that fire no tracepoint.
    Bulk,
    /// Forks, execs and exits.
    Processes,
}

/// In the order in which they attach; they detach in reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// And what becomes of processes: who frees at the end may do so because it ends.
    Frees,
    /// And names.
    Allocations,
}

/// Why parts that a session can do without are unavailable.
#[derive(Default)]
pub(super) struct Unavailable {
    pub bulk: Option<Reason>,
    pub processes: Option<Reason>,
}

impl Unavailable {
    /// None for the part that a session needs.
    fn reason(&mut self, part: Part) -> Option<&mut Option<Reason>> {
        match part {
            Part::Objects => None,
            Part::Bulk => Some(&mut self.bulk),
            Part::Processes => Some(&mut self.processes),
        }
    }
}

/// An attached program. Dropping it detaches.
pub(super) struct Link {
    _attachment: Box<dyn Any>,
    stage: Stage,
    part: Part,
}

/// Attaches programs in their order. What fails in a part that a session can do without takes that whole part away.
pub(super) fn attach_all(
    ebpf: &mut Ebpf,
    programs: Vec<Ready>,
    unavailable: &mut Unavailable,
) -> Result<Vec<Link>, LoadError> {
    let mut links: Vec<Link> = Vec::new();
    for Ready { name, target, stage, part } in programs {
        if unavailable.reason(part).is_some_and(|why| why.is_some()) {
            continue;
        }
        match (attach(ebpf, name, target), unavailable.reason(part)) {
            (Ok(attachment), _) => links.push(Link { _attachment: attachment, stage, part }),
            (Err(error), Some(why)) => {
                *why = Some(unusable(&error));
                links.retain(|link| link.part != part);
            }
            (Err(error), None) => return Err(LoadError::Program(name, error)),
        }
    }
    Ok(links)
}

/// Programs that are attached: events arrive.
pub struct Attached {
    /// In the order of attachment.
    pub(super) links: Vec<Link>,
    /// Why events that fire no tracepoint are not seen, if the plan has hooks on them.
    pub bulk_unavailable: Option<Reason>,
    /// Why forks, execs and exits are not seen.
    pub processes_unavailable: Option<Reason>,
    /// None once a session has taken them.
    pub filters: Option<LiveFilters>,
    pub events: Events,
}

impl Attached {
    /// Stops tracing allocations and names; frees are still traced.
    pub fn stop_allocations(&mut self) {
        while self.links.pop_if(|link| link.stage == Stage::Allocations).is_some() {}
    }

    /// Stops tracing, allocations first. What is in the rings can still be drained.
    pub fn detach(mut self) -> Events {
        while self.links.pop().is_some() {}
        self.events
    }
}

fn attach(ebpf: &mut Ebpf, name: &'static str, target: &'static str) -> Result<Box<dyn Any>, ProgramError> {
    Ok(match ebpf.program_mut(name).expect("it was loaded") {
        Program::RawTracePoint(program) => {
            let id = program.attach(target)?;
            Box::new(program.take_link(id)?)
        }
        Program::FExit(program) => {
            let id = program.attach()?;
            Box::new(program.take_link(id)?)
        }
        Program::FEntry(program) => {
            let id = program.attach()?;
            Box::new(program.take_link(id)?)
        }
        Program::KProbe(program) => {
            let id = program.attach(target, 0)?;
            Box::new(program.take_link(id)?)
        }
        other => unreachable!("no program of type {:?} is loaded", other.prog_type()),
    })
}
