//! What is traced. Asked first by every probe, and the cheapest question comes first.

use memtrace_common::{
    COMM_LEN,
    config::{CACHES_ALL, CACHES_ONE},
};

use crate::{config::config, kernel, maps};

#[inline(always)]
pub fn traces_cache(cache: u64) -> bool {
    match config!(caches.mode) {
        CACHES_ALL => true,
        CACHES_ONE => cache == config!(caches.only),
        // SAFETY: the value is one byte that nobody writes after load.
        _ => unsafe { maps::CACHE_FILTER.get(cache) }.is_some(),
    }
}

/// Whether allocations of the current task are traced.
#[inline(always)]
pub fn traces_task(tgid: u32) -> bool {
    tgid != config!(tasks.own_tgid) && traces_pid(tgid) && traces_comm()
}

#[inline(always)]
fn traces_pid(tgid: u32) -> bool {
    // SAFETY: the value is one byte that nobody writes after load.
    config!(tasks.by_pid) == 0 || unsafe { maps::PID_FILTER.get(tgid) }.is_some()
}

#[inline(always)]
fn traces_comm() -> bool {
    if config!(tasks.by_comm) == 0 {
        return true;
    }
    let mut comm = [0; COMM_LEN];
    kernel::current_comm(&mut comm);
    // SAFETY: the value is one byte that nobody writes after load.
    unsafe { maps::COMM_FILTER.get(comm) }.is_some()
}
