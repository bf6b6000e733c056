//! Why a session cannot start, or cannot go on.

use std::{io, path::Path};

use aya::maps::MapError;

use super::budget::memory;
use crate::{
    evidence::recording::file::WriteError,
    kernel::{discover::DiscoverError, error::LoadError, reason::Reason, rings::error::RingError},
    procfs::slab::{ResolveError, SlabError},
    text::human,
};

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("memtrace may not trace the kernel: it lacks {missing}. Run it as root:\n  sudo {command}")]
    Privileges { missing: String, command: String },
    #[error(
        "--max-cpu cannot be kept: the CPU time of the probes cannot be measured: {0}. It takes CAP_SYS_ADMIN; \
        to lower what tracing costs, use --sample, or choose caches with --cache"
    )]
    NoCpuTime(Reason),
    #[error("cannot read {}: {source}; is /proc mounted?", path.display())]
    NoProc { path: &'static Path, source: io::Error },
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error(transparent)]
    Slab(#[from] SlabError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(
        "memtrace needs {}, and its cgroup allows {}: raise the cgroup's limit, or run memtrace outside of it",
        human::bytes(memory::MIN), human::bytes(*.0)
    )]
    NoMemory(u64),
    #[error("no process has the id {0}")]
    NoSuchProcess(u32),
    #[error("--tree and --children follow processes from fork to fork, which cannot be seen here: {0}")]
    NoTrees(String),
    #[error("cgroups cannot be told apart here: {0}")]
    NoCgroups(String),
    #[error("sysfs has a slab cache named {0}, but the kernel's own list does not")]
    NotListed(String),
    #[error(transparent)]
    Load(#[from] LoadError),
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("cannot write the report: {0}")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("cannot change the sampling rate: {0}")]
    Sample(#[from] LoadError),
    #[error("cannot read the maps of the BPF programs: {0}")]
    Maps(#[from] MapError),
    #[error(transparent)]
    Record(#[from] WriteError),
    #[error("cannot write the events: {0}")]
    Events(#[source] io::Error),
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot run the command: {0}")]
    Command(#[source] io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}
