//! Reads kernel memory when userspace asks: see [`memtrace_common::peek`].

use aya_ebpf::{
    helpers::{bpf_get_current_task, generated::bpf_probe_read_kernel},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use memtrace_common::peek::{PEEK_CURRENT_TASK, PEEK_LEN, PEEK_THIS_CPU};

use crate::maps;

/// Never attached; run with the arguments (address, length).
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn peek(ctx: RawTracePointContext) -> Option<()> {
    let address: u64 = ctx.arg(0);
    let len = ctx.arg::<u64>(1).min(PEEK_LEN as u64);
    let answer = maps::PEEK.get_ptr_mut(0)?;
    // SAFETY: `answer` is the live map value, `len` is at most the size of its `bytes`, and the helper copies with
    // fault handling from any address.
    unsafe {
        if address == PEEK_CURRENT_TASK {
            (&raw mut (*answer).bytes).cast::<u64>().write_unaligned(bpf_get_current_task());
            (*answer).status = 0;
        } else if address == PEEK_THIS_CPU {
            let counters = maps::COUNTERS.get_ptr_mut(0)?;
            // In one piece: the verifier lets nobody take an address apart.
            answer.cast::<u64>().add(size_of::<i64>() / size_of::<u64>()).write(counters as u64);
            (*answer).status = 0;
        } else {
            let bytes = (&raw mut (*answer).bytes).cast();
            (*answer).status = bpf_probe_read_kernel(bytes, len as u32, address as *const _);
        }
    }
    Some(())
}
