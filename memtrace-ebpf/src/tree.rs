//! Processes and all that they start, followed from fork to fork: see `TASKS_TREE` in [`memtrace_common::config`].
//!
//! The first ones are known by their numbers, which are in `PID_FILTER`. What they start is known by the address of its
//! `signal_struct`: all threads of a process share it, it stays through exec (where another thread may become the first), and
//! nobody else has it before `sched_process_free`. So a process is followed from before it runs until after its last allocation, and
//! no number that is used again matters.

use aya_ebpf::bindings::BPF_ANY;

use crate::{maps, task::Current, this_cpu::ThisCpu};

#[inline(always)]
pub fn has(task: Current, tgid: u32) -> bool {
    contains(task.signal(), tgid)
}

/// A process was made, and does not run yet.
#[inline(always)]
pub fn grow(parent: Member, child: Member) {
    // The number belonged to somebody who is gone.
    let _ = maps::PID_FILTER.remove(child.tgid);
    if !contains(parent.signal, parent.tgid) {
        leave(child.signal);
        return;
    }
    if maps::TREE.insert(child.signal, IN_IT, u64::from(BPF_ANY)).is_err()
        && let Some(cpu) = ThisCpu::get()
    {
        cpu.count_unfollowed();
    }
}

/// A process is gone, with all its threads.
#[inline(always)]
pub fn forget(signal: u64) {
    leave(signal);
    let _ = maps::TREE.remove(signal);
}

/// Removal takes a lock that it may not get, as an interrupt may free a process anywhere; this takes none.
#[inline(always)]
fn leave(signal: u64) {
    if let Some(membership) = maps::TREE.get_ptr_mut(signal) {
        // SAFETY: the pointer is to the live map value, of one byte.
        unsafe { membership.write_volatile(NOT_IN_IT) };
    }
}

/// What the map has of a process.
const IN_IT: u8 = 1;
const NOT_IN_IT: u8 = 0;

/// A process that may be followed.
#[derive(Clone, Copy)]
pub struct Member {
    pub signal: u64,
    pub tgid: u32,
}

#[inline(always)]
fn contains(signal: u64, tgid: u32) -> bool {
    // SAFETY: values are of one byte.
    unsafe {
        maps::TREE.get(signal).is_some_and(|&value| value == IN_IT) || maps::PID_FILTER.get(tgid).is_some()
    }
}
