//! Reading kernel structures: the current task and the slab page of an object.

use aya_ebpf::helpers::{
    bpf_get_current_task, bpf_probe_read_kernel,
    generated::{bpf_get_current_comm, bpf_get_current_pid_tgid},
};
use memtrace_common::{COMM_LEN, page};

use crate::config::config;

/// `PF_KTHREAD` in `task_struct.flags`, the same value since v2.6.28.
const PF_KTHREAD: u32 = 0x0020_0000;

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

pub fn current_tgid() -> u32 {
    // SAFETY: no arguments, no side effects.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

pub fn current_task() -> u64 {
    // SAFETY: no arguments, no side effects.
    unsafe { bpf_get_current_task() }
}

/// Writes the command name of the current task to `comm`.
#[inline(always)]
pub fn current_comm(comm: *mut [u8; COMM_LEN]) {
    // SAFETY: the caller's pointer is to COMM_LEN writable bytes, as the verifier checks. The helper cannot fail
    // for this size; where it did, it would zero the buffer.
    unsafe { bpf_get_current_comm(comm.cast(), COMM_LEN as u32) };
}

pub fn current_is_kthread() -> bool {
    read::<u32>(current_task() + u64::from(config!(offsets.task_flags)))
        .is_some_and(|flags| flags & PF_KTHREAD != 0)
}

/// The `struct kmem_cache` of an object, from the page that the object lies in; None where its page is not readable.
///
/// Costs two reads, or one where the object is in its slab's first page and both fields share an offset. For a
/// pointer that is not in a slab (a large kmalloc) the answer is any value.
#[inline(always)]
pub fn slab_cache_of(ptr: u64) -> Option<u64> {
    let page = page::of(ptr, config!(pages.base), config!(pages.page_shift), config!(pages.page_size));
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

/// Hides from the compiler what it knows of a value, so that it keeps a bounds check that looks superfluous to it. The
/// verifier of older kernels forgets bounds when a register is spilled to the stack.
#[inline(always)]
fn opaque(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut value = value;
        // A real instruction: an empty one gives the next one two lines of the source, which kernels refuse.
        // SAFETY: moves a register to itself.
        unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    value
}
