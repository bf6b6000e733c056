//! The wire contract between memtrace's eBPF programs and its userspace: every byte layout and every
//! name that both sides must agree on is here, once.
//!
//! All types are `repr(C)`, without implicit padding, `bool` or enums, so that any bit pattern is a valid value.

#![no_std]

pub mod bulk;
pub mod census;
pub mod cgroup;
pub mod config;
pub mod counters;
pub mod cpu_ring;
pub mod event;
pub mod held;
pub mod names;
pub mod page;
pub mod peek;
pub mod ring;
pub mod sample;
pub mod generation;

/// Length of the kernel's `TASK_COMM_LEN`, the terminating NUL included.
pub const COMM_LEN: usize = 16;

#[cfg(feature = "user")]
mod pod {
    // SAFETY: all are `repr(C)` without padding, and every bit pattern is a valid value.
    unsafe impl aya::Pod for crate::config::Config {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::counters::Counters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::counters::LossKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::peek::Peek {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::census::Scan {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::census::Look {}
}
