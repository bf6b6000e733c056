//! Reading kernel memory on demand: userspace runs the `peek` program (`BPF_PROG_TEST_RUN`) with an address and a
//! length, and finds the bytes in the one entry of the `PEEK` map. The allocation path pays nothing for it.

/// Bytes that one run can read.
pub const PEEK_LEN: usize = 512;

/// As the address: do not read memory, answer the address of the current `task_struct` in the first 8 bytes.
pub const PEEK_CURRENT_TASK: u64 = 0;

/// As the address: answer where this processor has its value of the map `COUNTERS`.
pub const PEEK_THIS_CPU: u64 = 1;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Peek {
    /// 0, or the negative errno of the read (`-EFAULT` for an address that is not mapped).
    pub status: i64,
    pub bytes: [u8; PEEK_LEN],
}

const _: () = assert!(size_of::<Peek>() == 8 + PEEK_LEN);
