//! Who a task counts as, and what it is called.

use crate::{
    attribution::process::{ChainId, NO_CHAIN, Processes},
    stream::event::{Comm, Task},
};

/// Between the names of a chain, each started by the next.
pub const STARTED_BY: &[u8] = b" < ";

/// A command name, and whether it is a kernel thread's. The idle tasks of all CPUs are one.
pub fn command_of(task: Task) -> (Comm, bool) {
    if task.tgid == 0 { (Comm::truncated(b"swapper"), true) } else { (task.comm, task.is_kthread) }
}

/// Kernel threads in brackets, as ps shows them.
pub fn command_label((comm, is_kthread): (Comm, bool)) -> Vec<u8> {
    if is_kthread { [b"[", comm.as_bytes(), b"]"].concat() } else { comm.as_bytes().to_vec() }
}

/// The processes that started a task's process.
pub fn chain_of(task: Task, processes: &Processes) -> ChainId {
    processes.get(task.process()).map_or(NO_CHAIN, |process| process.chain)
}
