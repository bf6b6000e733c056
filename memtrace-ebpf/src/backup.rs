//! Backup programs, for events that interrupt a probe.
//!
//! The kernel does not run a program that is already running on that CPU (Linux commit 05b24ff9b2cf ("bpf: Prevent bpf program
//! recursion for raw tracepoint probes") (in v6.1)). An interrupt in the middle of a free probe often runs a batch of RCU
//! callbacks, which free objects. Userspace finds out from the kernel's memory that these are free, unless their addresses have been
//! handed out again to tasks that a filter leaves out. Where tracepoints can be preempted, all allocations of other tasks in that time
//! are missed too, and these nobody can find out. So where tasks are filtered and their objects cannot be noted (`held.rs`) probes on frees
//! have a backup, and where tracepoints can be preempted, those on allocations: the same code as a second program on the same tracepoint. It runs after the probe, and emits the
//! event only if the probe did not.
//!
//! The probe notes the object's address in a slot of this CPU. An interrupt between the two programs may overwrite the note; then
//! the backup repeats an event. A repeated free is harmless: the tracepoint fires before the object is freed, so the address cannot
//! be in use again. An allocation is marked as one that may repeat, and arrives before anyone else can have the object. An event is
//! missed only if an interrupt hits while both programs run, and the kernel counts the runs that it skips.

use memtrace_common::{
    counters::{LAST_SEEN_CACHE_ALLOC, LAST_SEEN_CACHE_FREE, LAST_SEEN_KFREE, LAST_SEEN_KMALLOC},
    cpu_ring::writer,
};

use crate::{config::config, this_cpu::ThisCpu};

/// Which of the two programs a writer is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Probe,
    Backup,
}

impl Role {
    #[inline(always)]
    pub fn of(writer: usize) -> Self {
        match writer {
            writer::KMEM_CACHE_ALLOC_BACKUP
            | writer::KMALLOC_BACKUP
            | writer::KMEM_CACHE_FREE_BACKUP
            | writer::KFREE_BACKUP => Self::Backup,
            _ => Self::Probe,
        }
    }
}

/// Whether this program emits the event of this object: the probe always, its backup only if the probe did not run.
#[inline(always)]
pub fn emits(writer: usize, ptr: u64) -> bool {
    if config!(rings.backups) == 0 {
        return true;
    }
    let (Some(index), Some(cpu)) = (last_seen(writer), ThisCpu::get()) else { return true };
    let last_seen = cpu.last_seen(index);
    // SAFETY: the pointer is into this CPU's live map value. Volatile, because two programs share it.
    unsafe {
        match Role::of(writer) {
            Role::Probe => {
                last_seen.write_volatile(ptr);
                true
            }
            Role::Backup if last_seen.read_volatile() == ptr => {
                // A later event of this address may find the probe skipped: it must not match this note.
                last_seen.write_volatile(0);
                false
            }
            Role::Backup => true,
        }
    }
}

/// Where a probe and its backup note the object; None for programs without a backup.
#[inline(always)]
fn last_seen(writer: usize) -> Option<usize> {
    match writer {
        writer::KMEM_CACHE_ALLOC | writer::KMEM_CACHE_ALLOC_BACKUP => Some(LAST_SEEN_CACHE_ALLOC),
        writer::KMEM_CACHE_FREE | writer::KMEM_CACHE_FREE_BACKUP => Some(LAST_SEEN_CACHE_FREE),
        writer::KMALLOC | writer::KMALLOC_BACKUP => Some(LAST_SEEN_KMALLOC),
        writer::KFREE | writer::KFREE_BACKUP => Some(LAST_SEEN_KFREE),
        _ => None,
    }
}
