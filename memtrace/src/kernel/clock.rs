//! The clock of the events: `bpf_ktime_get_ns` reads CLOCK_MONOTONIC.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::stream::event::TimeNs;

pub fn now() -> TimeNs {
    since_zero(ClockId::Monotonic).as_nanos() as TimeNs
}

/// Time of a CPU that this thread has had, what the kernel did for it included.
pub fn of_this_thread() -> Duration {
    since_zero(ClockId::ThreadCPUTime)
}

fn since_zero(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(tv_sec as u64, tv_nsec as u32)
}
