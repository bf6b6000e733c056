//! This CPU's counters: what became of each event, and what a probe notes for its backup.

use memtrace_common::counters::{ByKind, Counters};

use crate::maps;

#[derive(Clone, Copy)]
pub enum Kind {
    Alloc,
    Free,
    Name,
    Process,
}

#[derive(Clone, Copy)]
pub struct ThisCpu(*mut Counters);

impl ThisCpu {
    /// Always Some; the verifier requires the check.
    #[inline(always)]
    pub fn get() -> Option<Self> {
        maps::COUNTERS.get_ptr_mut(0).map(Self)
    }

    #[inline(always)]
    pub fn count_emitted(self, kind: Kind) {
        // SAFETY: the pointer is to this CPU's live map value.
        increment(of_kind(unsafe { &raw mut (*self.0).emitted }, kind));
    }

    #[inline(always)]
    pub fn count_lost(self, kind: Kind) {
        // SAFETY: as above.
        increment(of_kind(unsafe { &raw mut (*self.0).lost }, kind));
    }

    /// Counts events that are lost before their objects were read.
    #[inline(always)]
    pub fn count_unseen(self, kind: Kind, events: u64) {
        // SAFETY: as above.
        let (emitted, lost) = unsafe { (&raw mut (*self.0).emitted, &raw mut (*self.0).lost) };
        add(of_kind(emitted, kind), events);
        add(of_kind(lost, kind), events);
    }

    /// Counts an object whose cache is unknown, so that it does not go missing silently.
    #[inline(always)]
    pub fn count_unresolved(self) {
        // SAFETY: as above.
        increment(unsafe { &raw mut (*self.0).unresolved });
    }

    /// Counts a process that ought to be followed and is not.
    #[inline(always)]
    pub fn count_unfollowed(self) {
        // SAFETY: as above.
        increment(unsafe { &raw mut (*self.0).unfollowed });
    }

    /// Where a probe notes the object of the event that it emitted; `index` is one of `LAST_SEEN_*`.
    #[inline(always)]
    pub fn last_seen(self, index: usize) -> *mut u64 {
        // SAFETY: as above.
        unsafe { &raw mut (*self.0).last_seen[index] }
    }
}

#[inline(always)]
fn of_kind(counts: *mut ByKind, kind: Kind) -> *mut u64 {
    // SAFETY: only addresses of fields are formed; callers pass a pointer to live counters.
    unsafe {
        match kind {
            Kind::Alloc => &raw mut (*counts).allocs,
            Kind::Free => &raw mut (*counts).frees,
            Kind::Name => &raw mut (*counts).names,
            Kind::Process => &raw mut (*counts).processes,
        }
    }
}

#[inline(always)]
fn increment(counter: *mut u64) {
    add(counter, 1);
}

/// Adds atomically: an interrupt on this CPU may run another probe in the middle of a plain `+=`, and a count that is off by
/// one is no count.
#[inline(always)]
pub fn add(counter: *mut u64, count: u64) {
    // The BPF target offers no `fetch_add`: it has no compare-and-swap before -mcpu=v3.
    #[cfg(target_arch = "bpf")]
    // SAFETY: callers pass a pointer to an aligned counter in a live map value.
    unsafe {
        core::arch::asm!("lock *(u64 *)({counter} + 0) += {count}", counter = in(reg) counter, count = in(reg) count);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = (counter, count);
}
