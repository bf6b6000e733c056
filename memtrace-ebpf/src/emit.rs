//! The only code that writes to the ring buffer, and the counters that say what became of each event.

use core::mem::MaybeUninit;

use aya_ebpf::{bindings::BPF_RB_NO_WAKEUP, helpers::bpf_ktime_get_ns};
use memtrace_common::{
    counters::{ByKind, Counters},
    event::{
        AllocEvent, FLAG_ANY_CACHE, FLAG_KTHREAD, FLAG_MAY_REPEAT, FreeEvent, Header, KIND_ALLOC, KIND_FREE,
        NameEvent,
    },
};

use crate::{kernel, maps, understudy::Role};

#[inline(always)]
pub fn alloc(role: Role, tgid: u32, ptr: u64, cache: u64) -> Option<()> {
    submit(Kind::Alloc, |event: *mut AllocEvent| {
        let mut flags = if kernel::current_is_kthread() { FLAG_KTHREAD } else { 0 };
        if role == Role::Understudy {
            flags |= FLAG_MAY_REPEAT;
        }
        // SAFETY: `event` is a reserved record of this type.
        unsafe {
            (&raw mut (*event).header).write(header(KIND_ALLOC, flags, tgid));
            (&raw mut (*event).ptr).write(ptr);
            (&raw mut (*event).cache).write(cache);
            kernel::current_comm(&raw mut (*event).comm);
        }
    })
}

#[inline(always)]
pub fn free(ptr: u64) -> Option<()> {
    submit_free(ptr, 0)
}

/// The free of an object whose cache cannot be told any more.
#[inline(always)]
pub fn free_of_any_cache(ptr: u64) -> Option<()> {
    submit_free(ptr, FLAG_ANY_CACHE)
}

#[inline(always)]
fn submit_free(ptr: u64, flags: u16) -> Option<()> {
    submit(Kind::Free, |event: *mut FreeEvent| {
        // SAFETY: `event` is a reserved record of this type.
        unsafe { event.write(FreeEvent { header: header(KIND_FREE, flags, 0), ptr }) }
    })
}

/// Emits a dentry's name; `fill` writes everything but the header.
#[inline(always)]
pub fn name<const N: usize>(kind: u16, fill: impl FnOnce(*mut NameEvent<N>)) -> Option<()> {
    submit(Kind::Name, |event: *mut NameEvent<N>| {
        // SAFETY: `event` is a reserved record of this type.
        unsafe { (&raw mut (*event).header).write(header(kind, 0, 0)) };
        fill(event);
    })
}

/// Counts an object whose cache is not known, so that it is not missing silently.
pub fn count_unresolved() -> Option<()> {
    // SAFETY: the pointer is to this CPU's live map value.
    increment(unsafe { &raw mut (*counters()?).unresolved });
    Some(())
}

#[derive(Clone, Copy)]
enum Kind {
    Alloc,
    Free,
    Name,
}

fn header(kind: u16, flags: u16, tgid: u32) -> Header {
    // SAFETY: no arguments, no side effects.
    Header { kind, flags, tgid, time_ns: unsafe { bpf_ktime_get_ns() } }
}

/// Reserves a record, has it filled, and commits it without waking the reader: it drains on a timer, which saves an
/// interrupt per event. A full ring is counted.
#[inline(always)]
fn submit<T: 'static>(kind: Kind, fill: impl FnOnce(*mut T)) -> Option<()> {
    let counters = counters()?;
    // SAFETY: the pointer is to this CPU's live map value.
    increment(of_kind(unsafe { &raw mut (*counters).emitted }, kind));
    let Some(mut record) = maps::EVENTS.reserve::<T>(0) else {
        // SAFETY: as above.
        increment(of_kind(unsafe { &raw mut (*counters).lost }, kind));
        return None;
    };
    let record_ref: &mut MaybeUninit<T> = &mut record;
    fill(record_ref.as_mut_ptr());
    record.submit(u64::from(BPF_RB_NO_WAKEUP));
    Some(())
}

fn counters() -> Option<*mut Counters> {
    maps::COUNTERS.get_ptr_mut(0)
}

#[inline(always)]
fn of_kind(counts: *mut ByKind, kind: Kind) -> *mut u64 {
    // SAFETY: only addresses of fields are formed; callers pass a pointer to live counters.
    unsafe {
        match kind {
            Kind::Alloc => &raw mut (*counts).allocs,
            Kind::Free => &raw mut (*counts).frees,
            Kind::Name => &raw mut (*counts).names,
        }
    }
}

/// Adds one atomically: an interrupt on this CPU may run another probe in the middle of a plain `+= 1`, and a count
/// that is off by one is no count.
#[inline(always)]
fn increment(counter: *mut u64) {
    // The BPF target offers no `fetch_add`: it has no compare-and-swap before -mcpu=v3.
    #[cfg(target_arch = "bpf")]
    // SAFETY: callers pass a pointer to an aligned counter in this CPU's map value.
    unsafe {
        core::arch::asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1_u64);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = counter;
}
