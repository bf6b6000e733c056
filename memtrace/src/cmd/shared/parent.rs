//! For who was started by another memtrace: not to outlive it.

use std::io;

use rustix::{
    io::Errno,
    process::{Signal, getppid, set_parent_process_death_signal},
    thread::set_name,
};

#[derive(Debug, thiserror::Error)]
pub enum ParentError {
    #[error("--with-parent: process {0}, which this is for, has ended")]
    Orphaned(u32),
    #[error("cannot end with process {0}: {1}")]
    System(u32, #[source] io::Error),
}

/// However the parent ends, the kernel sends us this signal. The program goes by its own name from here on: it is started by the
/// path of whatever runs.
pub fn end_with(parent: u32, signal: Signal) -> Result<(), ParentError> {
    let system = |error: Errno| ParentError::System(parent, error.into());
    set_parent_process_death_signal(Some(signal)).map_err(system)?;
    set_name(c"memtrace").map_err(system)?;
    let is_there = getppid().is_some_and(|pid| pid.as_raw_pid().cast_unsigned() == parent);
    if is_there { Ok(()) } else { Err(ParentError::Orphaned(parent)) }
}
