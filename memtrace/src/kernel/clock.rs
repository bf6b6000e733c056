//! The clock of the events: `bpf_ktime_get_ns` reads CLOCK_MONOTONIC.

use rustix::time::{ClockId, clock_gettime};

use crate::stream::event::TimeNs;

pub fn now() -> TimeNs {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
