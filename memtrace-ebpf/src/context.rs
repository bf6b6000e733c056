//! Arguments of traced functions, at positions that only the running kernel tells.

use aya_ebpf::EbpfContext;

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
