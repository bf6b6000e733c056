//! Ids of processes, as memtrace's own PID namespace has them: see [`memtrace_common::config::PidNamespace`].

use memtrace_common::config::OUTSIDE;

use crate::{config::config, kernel};

/// Whether ids are not the host's.
#[inline(always)]
pub fn is_in_namespace() -> bool {
    config!(pids.namespace) != 0
}

/// The id of the process of a task, whose id on the host is `tgid`.
#[inline(always)]
pub fn in_namespace(task: u64, tgid: u32) -> u32 {
    // The idle task is nobody's.
    if tgid == 0 {
        return 0;
    }
    number(task).unwrap_or(tgid | OUTSIDE)
}

/// None where the namespace does not have the process.
#[inline(always)]
fn number(task: u64) -> Option<u32> {
    let leader: u64 = kernel::read(task + u64::from(config!(pids.task_leader)))?;
    let pid: u64 = kernel::read(leader + u64::from(config!(pids.task_pid)))?;
    let level: u32 = kernel::read(pid + u64::from(config!(pids.pid_level)))?;
    if level < config!(pids.level) {
        return None;
    }
    let namespace: u64 = kernel::read(pid + u64::from(config!(pids.pid_namespace)))?;
    if namespace != config!(pids.namespace) {
        return None;
    }
    kernel::read(pid + u64::from(config!(pids.pid_number)))
}
