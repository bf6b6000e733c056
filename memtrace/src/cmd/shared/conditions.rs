//! Conditions of the command line, on this host.

use crate::{
    cmd::exit::{Exit, Failure},
    condition::{Condition, Host, UnknownName, Watch},
    procfs::{Files, HostError, slab::SlabError},
};

#[derive(Debug, thiserror::Error)]
pub enum ConditionError {
    #[error("{option} {source}")]
    Name { option: &'static str, source: UnknownName },
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Slab(#[from] SlabError),
}

impl Failure for ConditionError {
    fn exit(&self) -> Exit {
        match self {
            Self::Name { source: UnknownName::Unknown { .. } | UnknownName::Pattern { .. }, .. } => {
                Exit::Usage
            }
            Self::Name { .. } | Self::Slab(_) => Exit::Failed,
            Self::Host(error) => error.exit(),
        }
    }
}

/// Of an option.
pub fn watches(
    option: &'static str,
    conditions: &[Condition],
    files: &Files,
) -> Result<Vec<Watch>, ConditionError> {
    let (meminfo, caches, events) = (files.meminfo()?, files.slab_caches()?, files.memory_events());
    let host = Host {
        meminfo: &meminfo,
        caches: &caches,
        page_size: rustix::param::page_size() as u64,
        has_pressure: files.pressure().is_some(),
        events: &events,
    };
    let watch = |condition: &Condition| host.watch(condition.clone());
    let watches: Result<_, _> = conditions.iter().map(watch).collect();
    watches.map_err(|source| ConditionError::Name { option, source })
}
