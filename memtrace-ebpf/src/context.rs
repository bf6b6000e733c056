//! Arguments of traced functions, at positions that depend on the running kernel.

use aya_ebpf::{EbpfContext, helpers::bpf_probe_read_kernel};

/// Argument `N` of an fentry or fexit program; the return value stands behind the last argument.
///
/// Each position is an instruction of its own. Written in Rust, the branches of a `match` over positions become one load
/// from the context plus a chosen offset, which the verifier refuses: "dereference of modified ctx ptr".
#[inline(always)]
pub fn argument<const N: usize>(ctx: &impl EbpfContext) -> u64 {
    let context = ctx.as_ptr();
    #[cfg(target_arch = "bpf")]
    {
        let value: u64;
        // SAFETY: the verifier checks that the traced function has this argument.
        unsafe {
            core::arch::asm!(
                "{value} = *(u64 *)({context} + {offset})",
                value = out(reg) value,
                context = in(reg) context,
                offset = const N * 8,
            );
        }
        value
    }
    #[cfg(not(target_arch = "bpf"))]
    // SAFETY: never run: for the host the programs are only checked.
    unsafe {
        context.cast::<u64>().add(N).read()
    }
}

/// As [`argument`], but a plain number for the verifier even if it knows the argument as a typed pointer, on which it forbids
/// arithmetic.
#[inline(always)]
pub fn number<const N: usize>(ctx: &impl EbpfContext) -> Option<u64> {
    let context = ctx.as_ptr().cast::<u64>().wrapping_add(N);
    // SAFETY: the helper copies with fault handling, so any address is allowed.
    unsafe { bpf_probe_read_kernel(context) }.ok()
}
