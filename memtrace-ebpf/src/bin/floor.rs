//! The least that a tracer's programs can do: nothing, or write a record as large as memtrace's. `cargo xtask bench` compares
//! memtrace with these; memtrace does not have them.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(not(target_arch = "bpf"), allow(dead_code, reason = "on the host the programs have no caller"))]

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    macros::{map, raw_tracepoint},
    maps::RingBuf,
    programs::RawTracePointContext,
};
use memtrace_common::event::{AllocEvent, FreeEvent};

/// As small as a ring can be; the bench makes it larger.
#[map]
static RING: RingBuf = RingBuf::with_byte_size(4096, 0);

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
