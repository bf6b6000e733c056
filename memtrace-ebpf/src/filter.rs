//! What is traced. Asked first by every probe, and the cheapest question comes first.

use memtrace_common::{
    config::{CACHES_ALL, CACHES_ONE},
    sample,
};

use crate::{config::config, kernel, maps, task::Comm};

#[inline(always)]
pub fn traces_cache(cache: u64) -> bool {
    match config!(caches.mode) {
        CACHES_ALL => true,
        CACHES_ONE => cache == config!(caches.only),
        // SAFETY: the value is one byte that nobody writes after load.
        _ => unsafe { maps::CACHE_FILTER.get(cache) }.is_some(),
    }
}

/// Whether this is an object at all, and in the sample.
#[inline(always)]
pub fn follows(ptr: u64) -> bool {
    let Some(limit) = maps::SAMPLE_LIMIT.get_ptr(0) else { return false };
    // SAFETY: the pointer is to the live map value. Volatile, because userspace may lower the limit.
    kernel::is_object(ptr) && sample::keeps(ptr, unsafe { limit.read_volatile() })
}

/// Whether allocations of this process are traced.
#[inline(always)]
pub fn traces_tgid(tgid: u32) -> bool {
    // SAFETY: the value is one byte that nobody writes after load.
    tgid != config!(tasks.own_tgid)
        && (config!(tasks.by_pid) == 0 || unsafe { maps::PID_FILTER.get(tgid) }.is_some())
}

/// Whether allocations under this command name are traced.
#[inline(always)]
pub fn traces_comm(comm: Comm) -> bool {
    // SAFETY: the value is one byte that nobody writes after load.
    config!(tasks.by_comm) == 0 || unsafe { maps::COMM_FILTER.get(comm) }.is_some()
}
