//! Who a task counts as, and what it is called.

use crate::{
    attribution::process::{ChainId, NO_CHAIN, Processes},
    stream::event::{Comm, Task},
};

/// Between the names of a chain, each started by the next.
pub const STARTED_BY: &[u8] = b" < ";

/// What stands for commands where they are not known, or all of them.
const OWN_WORDS: [&[u8]; 2] = [b"(unknown)", b"total"];

/// A command name, and whether it is a kernel thread's. The idle tasks of all CPUs are one.
pub fn command_of(task: Task) -> (Comm, bool) {
    if task.tgid == 0 { (Comm::truncated(b"swapper"), true) } else { (task.comm, task.is_kthread) }
}

/// Kernel threads in brackets, as ps shows them. A process may call itself anything: where it takes our own words, its name's first
/// letter is written out.
pub fn command_label((comm, is_kthread): (Comm, bool)) -> Vec<u8> {
    match comm.as_bytes() {
        name if is_kthread => [b"[", name, b"]"].concat(),
        name @ [first, rest @ ..] if *first == b'[' || OWN_WORDS.contains(&name) => {
            [format!("\\x{first:02x}").as_bytes(), rest].concat()
        }
        name => name.to_vec(),
    }
}

/// The processes that started a task's process.
pub fn chain_of(task: Task, processes: &Processes) -> ChainId {
    processes.get(task.process()).map_or(NO_CHAIN, |process| process.chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_cannot_pass_for_what_it_is_not() {
        let label = |name: &str, is_kthread| {
            String::from_utf8(command_label((Comm::truncated(name.as_bytes()), is_kthread))).unwrap()
        };
        assert_eq!(label("kworker/0:1", true), "[kworker/0:1]");
        assert_eq!(label("[kworker/0:1]", false), "\\x5bkworker/0:1]");
        assert_eq!(label("(unknown)", false), "\\x28unknown)");
        assert_eq!(label("total", false), "\\x74otal");
        for name in ["curl", "totals", "a[b]", "", "(sd-pam)"] {
            assert_eq!(label(name, false), name);
        }
    }
}
