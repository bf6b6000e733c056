//! The one atomic instruction that is needed. Kernels before v5.12 refuse it, also where it never runs: userspace takes it out for them.

/// Returns what was there: the value is stored where that is what was expected.
#[inline(always)]
pub fn compare_and_swap(to: *mut u64, expected: u64, value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let before: u64;
        // SAFETY: callers pass a pointer to an aligned number in a live map value.
        unsafe {
            core::arch::asm!(
                "r0 = cmpxchg_64({to} + 0, r0, {value})",
                to = in(reg) to,
                value = in(reg) value,
                inout("r0") expected => before,
            );
        }
        before
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        let _ = (to, value);
        expected
    }
}
