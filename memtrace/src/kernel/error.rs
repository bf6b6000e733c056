//! Why a session's programs cannot be loaded or attached.

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use super::{
    reason::{refusal, root_cause},
    rings::error::RingError,
};

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot load memtrace's eBPF object: {why}", why = root_cause(.0))]
    Object(#[from] EbpfError),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("cannot set up the map {0}: {why}", why = root_cause(.1))]
    Map(&'static str, #[source] MapError),
    #[error("the kernel rejects the program {0}: {why}. Please report this with the kernel version", why = refusal(.1))]
    Program(&'static str, #[source] ProgramError),
    #[error("allocations cannot be traced on this kernel: {0}")]
    Allocations(String),
    #[error("frees cannot be traced on this kernel: {0}")]
    Frees(String),
    #[error("kmalloc caches cannot be traced on this kernel: {0}")]
    Kmalloc(String),
}
