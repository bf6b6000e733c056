//! What is traced. Every probe filters first, the cheapest test first.

use memtrace_common::{
    config::{CACHES_ALL, CACHES_ONE},
    sample,
};

use crate::{
    config::config,
    kernel, maps,
    task::{Comm, Current},
};

#[inline(always)]
pub fn traces_cache(cache: u64) -> bool {
    match config!(caches.mode) {
        CACHES_ALL => true,
        CACHES_ONE => cache == config!(caches.only),
        // SAFETY: the value is one byte, not written after load.
        _ => unsafe { maps::CACHE_FILTER.get(cache) }.is_some(),
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

/// None if allocations of the current task are not traced.
#[inline(always)]
pub fn traced_task() -> Option<TracedTask> {
    let task = Current::get();
    let tgid = task.tgid();
    if !traces_tgid(tgid) {
        return None;
    }
    let comm = task.comm();
    traces_comm(comm).then_some(TracedTask { task, tgid, comm })
}

#[inline(always)]
fn traces_tgid(tgid: u32) -> bool {
    // SAFETY: the value is one byte, not written after load.
    tgid != config!(tasks.own_tgid)
        && (config!(tasks.by_pid) == 0 || unsafe { maps::PID_FILTER.get(tgid) }.is_some())
}

#[inline(always)]
fn traces_comm(comm: Comm) -> bool {
    // SAFETY: the value is one byte, not written after load.
    config!(tasks.by_comm) == 0 || unsafe { maps::COMM_FILTER.get(comm) }.is_some()
}
