//! Notes of the objects that tasks hold whom the filters pass: see [`memtrace_common::held`].
//!
//! So a free of anybody else's object ends with one look at a table. And where the free of a noted object was missed, as an interrupt
//! came while a probe ran, the next allocation at its address tells, whoever makes it.

use memtrace_common::held::{SHARED, may_be_held, place, with};

use crate::{config::config, maps, swap::compare_and_swap};

/// Whether they are made. Without filters there is nothing to tell apart.
#[inline(always)]
pub fn are_noted() -> bool {
    config!(tasks.notes_held) != 0
}

/// An object was handed out to a task whom the filters pass.
#[inline(always)]
pub fn note(ptr: u64) {
    let Some(there) = there(ptr) else { return };
    // SAFETY: the pointer is to the live map value. Volatile, because other CPUs write it.
    let before = unsafe { there.read_volatile() };
    let after = with(before, ptr);
    if after == before || after == ptr && compare_and_swap(there, before, ptr) == before {
        return;
    }
    // SAFETY: as above. Whatever another CPU wrote meanwhile: two objects want this place.
    unsafe { there.write_volatile(SHARED) };
}

/// An object is free. Whether it may have been noted.
#[inline(always)]
pub fn release(ptr: u64) -> bool {
    let Some(place) = there(ptr) else { return true };
    // SAFETY: as above.
    let before = unsafe { place.read_volatile() };
    if before == ptr {
        // If another object wants the place meanwhile, it is shared.
        compare_and_swap(place, ptr, 0);
    }
    may_be_held(before, ptr)
}

#[inline(always)]
fn there(ptr: u64) -> Option<*mut u64> {
    if are_noted() { maps::HELD.get_ptr_mut(place(ptr)) } else { None }
}
