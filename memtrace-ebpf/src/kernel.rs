//! Reading kernel structures: the current task and the slab page of an object.

use aya_ebpf::helpers::bpf_probe_read_kernel;
use memtrace_common::page;

use crate::config::config;

/// Pointers up to this are no objects: NULL, and `ZERO_SIZE_PTR`, what `kmalloc(0)` returns.
const ZERO_SIZE_PTR: u64 = 16;

/// Values from here up are `ERR_PTR`s: negative errnos, not addresses.
const FIRST_ERR_PTR: u64 = -4095_i64 as u64;

pub fn is_object(ptr: u64) -> bool {
    ptr > ZERO_SIZE_PTR && ptr < FIRST_ERR_PTR
}

/// Reads a `T` at an address of the kernel; None where nothing is mapped.
#[inline(always)]
pub fn read<T>(address: u64) -> Option<T> {
    // SAFETY: the helper copies with fault handling, so any address is allowed; T is a plain integer for all callers.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// The `struct kmem_cache` of an object, from the page that the object lies in; None where its page is not readable.
///
/// Costs two reads, or one where the object is in its slab's first page and both fields share an offset. For a
/// pointer that is not in a slab (a large kmalloc) the answer is any value.
#[inline(always)]
pub fn slab_cache_of(ptr: u64) -> Option<u64> {
    let page =
        page::address_of(ptr, config!(pages.base), config!(pages.page_shift), config!(pages.page_size));
    let compound_head = read::<u64>(page + u64::from(config!(offsets.page_compound_head)))?;
    if !page::is_tail(compound_head) && config!(offsets.slab_cache) == config!(offsets.page_compound_head) {
        return Some(compound_head);
    }
    read(page::head(page, compound_head) + u64::from(config!(offsets.slab_cache)))
}

/// Copies `len` bytes from the kernel to the front of `to`, at most as many as fit. What lies behind them is not
/// written: the reader goes by the length.
#[inline(always)]
pub fn read_bytes<const N: usize>(to: *mut [u8; N], address: u64, len: u32) {
    let len = opaque(u64::from(len)).min(N as u64);
    // SAFETY: `to` is N writable bytes, `len` is at most N, and the helper copies with fault handling.
    unsafe {
        aya_ebpf::helpers::generated::bpf_probe_read_kernel(to.cast(), len as u32, address as *const _)
    };
}

/// As [`read_bytes`], from the current process's memory: false where that is not there at the moment.
#[inline(always)]
pub fn read_user_bytes<const N: usize>(to: *mut [u8; N], address: u64, len: u32) -> bool {
    let len = opaque(u64::from(len)).min(N as u64);
    // SAFETY: as there.
    unsafe {
        aya_ebpf::helpers::generated::bpf_probe_read_user(to.cast(), len as u32, address as *const _) == 0
    }
}

/// Hides from the compiler what it knows of a value, so that it keeps a bounds check that looks superfluous to it. The
/// verifier of older kernels forgets bounds when a register is spilled to the stack.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut value = value;
        // An assignment to itself, and not nothing: without an instruction, two lines of source would be at one place in the
        // program's line information, and the kernel refuses it.
        // SAFETY: changes nothing.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    value
}
