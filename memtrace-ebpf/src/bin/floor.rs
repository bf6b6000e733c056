//! The least that a tracer's programs can do: nothing, or write a record as large as memtrace's. `cargo xtask bench` compares
//! memtrace with these; memtrace does not have them.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(not(target_arch = "bpf"), allow(dead_code, reason = "on the host the programs have no caller"))]

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_RB_NO_WAKEUP},
    helpers::generated::bpf_get_smp_processor_id,
    macros::{map, raw_tracepoint},
    maps::{Array, RingBuf},
    programs::RawTracePointContext,
};
use memtrace_common::{
    cpu_ring::{AllocRecord, CHUNK, Chunk, Control, Head},
    event::{AllocEvent, FreeEvent},
};

/// As small as a ring can be; the bench makes it larger.
#[map]
static RING: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Two rings for each CPU; the bench makes as many as there are CPUs.
#[map]
static CONTROL: Array<Control> = Array::with_max_entries(2, BPF_F_MMAPABLE);

#[map]
static CHUNKS: Array<Chunk> = Array::with_max_entries(2, BPF_F_MMAPABLE);

#[raw_tracepoint]
pub fn empty(_: RawTracePointContext) -> i32 {
    0
}

#[raw_tracepoint]
pub fn write_alloc(_: RawTracePointContext) -> i32 {
    write::<{ size_of::<AllocEvent>() / 8 }>()
}

#[raw_tracepoint]
pub fn write_free(_: RawTracePointContext) -> i32 {
    write::<{ size_of::<FreeEvent>() / 8 }>()
}

#[inline(always)]
fn write<const WORDS: usize>() -> i32 {
    if let Some(mut entry) = RING.reserve::<[u64; WORDS]>(0) {
        entry.write([1; WORDS]);
        entry.submit(BPF_RB_NO_WAKEUP.into());
    }
    0
}

#[raw_tracepoint]
pub fn write_alloc_to_cpu(_: RawTracePointContext) -> i32 {
    write_to_cpu::<{ size_of::<AllocRecord>() / 8 }>(0).unwrap_or(0)
}

#[raw_tracepoint]
pub fn write_free_to_cpu(_: RawTracePointContext) -> i32 {
    write_to_cpu::<{ size_of::<Head>() / 8 }>(1).unwrap_or(0)
}

/// Nobody reads: it goes round in one chunk, which stays in the CPU's cache.
#[inline(always)]
fn write_to_cpu<const WORDS: usize>(ring: u32) -> Option<i32> {
    // SAFETY: no arguments, no side effects.
    let index = unsafe { bpf_get_smp_processor_id() } * 2 + ring;
    let (control, chunk) = (CONTROL.get_ptr_mut(index)?, CHUNKS.get_ptr_mut(index)?);
    // SAFETY: both pointers are to live map values, and a record fits behind every place in a chunk.
    unsafe {
        let at = (&raw const (*control).at).read_volatile();
        chunk
            .cast::<u8>()
            .add((at as u32 % CHUNK) as usize)
            .cast::<[u64; WORDS]>()
            .write_volatile([1; WORDS]);
        (&raw mut (*control).at).write_volatile(at + WORDS as u64 * 8);
    }
    Some(0)
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
