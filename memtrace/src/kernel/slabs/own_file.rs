//! From a file descriptor of ours to the kernel's file.

use std::os::fd::{AsFd, AsRawFd as _};

use super::layout::AnchorFields;
use crate::kernel::memory::{Memory, MemoryError, Readable as _};

/// The `struct file` behind a descriptor of this process.
pub fn address(memory: &Memory, fields: &AnchorFields, fd: impl AsFd) -> Result<u64, MemoryError> {
    let number = fd.as_fd().as_raw_fd() as u64;
    let files = memory.u64(memory.current_task()? + u64::from(fields.task_files))?;
    let table = memory.u64(files + u64::from(fields.files_table))?;
    let array = memory.u64(table + u64::from(fields.table_files))?;
    memory.u64(array + number * size_of::<u64>() as u64)
}
