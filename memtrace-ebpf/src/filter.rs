//! What is traced. Every probe filters first, the cheapest test first.

use memtrace_common::{
    config::{CACHES_ALL, CACHES_EXCEPT, CACHES_ONE, TASKS_ALL, TASKS_EXCEPT, TASKS_TREE},
    sample,
};

use crate::{
    cgroup,
    config::config,
    kernel, maps,
    task::{Comm, Current},
    tree,
};

#[inline(always)]
pub fn traces_cache(cache: u64) -> bool {
    match config!(caches.mode) {
        CACHES_ALL => true,
        CACHES_ONE => cache == config!(caches.only),
        // SAFETY: the value is one byte, not written after load.
        mode => unsafe { maps::CACHE_FILTER.get(cache) }.is_some() != (mode == CACHES_EXCEPT),
    }
}

/// Whether this is an object, and in the sample.
#[inline(always)]
pub fn follows(ptr: u64) -> bool {
    let Some(limit) = maps::SAMPLE_LIMIT.get_ptr(0) else { return false };
    // SAFETY: the pointer is to the live map value. Volatile, because userspace may lower the limit.
    kernel::is_object(ptr) && sample::keeps(ptr, unsafe { limit.read_volatile() })
}

/// The current task, with what the filters read of it.
#[derive(Clone, Copy)]
pub struct TracedTask {
    pub task: Current,
    pub tgid: u32,
    pub comm: Comm,
}

/// None if allocations of the current task are not traced. Without filters all of this is one comparison: the verifier knows the
/// configuration, and drops what it does not ask for.
#[inline(always)]
pub fn traced_task() -> Option<TracedTask> {
    let task = Current::get();
    let tgid = task.tgid();
    if !(traces_process(task, tgid) && traces_user(task) && traces_cgroup(task)) {
        return None;
    }
    let comm = task.comm();
    traces_comm(comm).then_some(TracedTask { task, tgid, comm })
}

#[inline(always)]
fn traces_process(task: Current, tgid: u32) -> bool {
    tgid != config!(tasks.own_tgid)
        && match config!(tasks.processes) {
            TASKS_ALL => true,
            TASKS_TREE => tree::has(task, tgid),
            // SAFETY: the value is one byte, not written after load.
            _ => unsafe { maps::PID_FILTER.get(tgid) }.is_some(),
        }
}

#[inline(always)]
fn traces_user(task: Current) -> bool {
    // SAFETY: as above.
    config!(tasks.users) == TASKS_ALL || unsafe { maps::UID_FILTER.get(task.user()) }.is_some()
}

#[inline(always)]
fn traces_cgroup(task: Current) -> bool {
    config!(tasks.cgroups) == TASKS_ALL || cgroup::passes(task)
}

#[inline(always)]
fn traces_comm(comm: Comm) -> bool {
    match config!(tasks.comms) {
        TASKS_ALL => true,
        // SAFETY: as above.
        mode => unsafe { maps::COMM_FILTER.get(comm) }.is_some() != (mode == TASKS_EXCEPT),
    }
}
