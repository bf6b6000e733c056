//! Why a session cannot start, or cannot go on.

use std::io;

use aya::maps::MapError;

use crate::{
    evidence::recording::file::WriteError,
    kernel::{discover::DiscoverError, error::LoadError, rings::RingError},
    procfs::slab::{ResolveError, SlabError},
};

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("memtrace may not trace the kernel: it lacks {missing}. Run it as root:\n  sudo {command}")]
    Privileges { missing: String, command: String },
    #[error("cannot read memtrace's own privileges: {0}")]
    Status(#[source] io::Error),
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error(transparent)]
    Slab(#[from] SlabError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("no process has the id {0}")]
    NoSuchProcess(u32),
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
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}
