//! Events that interrupt a probe.
//!
//! The kernel does not run a program that is running on that CPU already (Linux commit 05b24ff9b2cf ("bpf: Prevent bpf
//! program recursion for raw tracepoint probes") (in v6.1)). An interrupt in the middle of a free probe often runs a batch
//! of RCU callbacks, and those free: without the probe, each of these objects would look like a leak for ever. And where
//! tracepoints can be preempted, all that other tasks allocate meanwhile would be missed. So probes on frees have an
//! backup, and where they can be preempted those on allocations too: the same code as a second program on the same
//! tracepoint, which runs after the first and emits the event unless that has taken it on.
//!
//! How it knows: the first notes the object's address, for this CPU. An interrupt between the two may note another one;
//! then the backup repeats an event. A free that is repeated does no harm, because the tracepoint stands before the
//! object is given back: the address cannot have been handed out again. An allocation is marked as one that may repeat, and
//! arrives before anybody else has the object. An event is missed only where an interrupt meets both programs at work,
//! and the kernel counts the runs that it skips.

use crate::this_cpu::ThisCpu;

/// Which of the two programs a piece of code runs in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Probe,
    Backup,
}

impl Role {
    /// Whether the event of this object is this program's: a probe takes it on, its backup leaves it then. `index` is
    /// one of `LAST_SEEN_*`.
    #[inline(always)]
    pub fn takes(self, cpu: ThisCpu, index: usize, ptr: u64) -> bool {
        let last_seen = cpu.last_seen(index);
        // SAFETY: the pointer is into this CPU's live map value. Volatile, because two programs share it.
        unsafe {
            match self {
                Self::Probe => {
                    last_seen.write_volatile(ptr);
                    true
                }
                Self::Backup if last_seen.read_volatile() == ptr => {
                    // A later event at this address, for which the probe is skipped, must not be taken for this one.
                    last_seen.write_volatile(0);
                    false
                }
                Self::Backup => {
                    cpu.count_backup_emitted();
                    true
                }
            }
        }
    }
}
