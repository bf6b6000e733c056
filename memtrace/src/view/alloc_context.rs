//! How objects were allocated: by which kind of task, with which flags, and where their memory lies.

use super::task::command_of;
use crate::{
    kernel::gfp,
    stream::{
        event::{Gfp, NodeId},
        ledger::{FOLDED, OTHERS, OriginKey},
    },
};

/// What a row's objects have in common by its keys; None where rows are not grouped by it, or it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocContext {
    pub context: Option<Context>,
    pub gfp: Option<GfpFlags>,
    /// The NUMA node of the objects' memory.
    pub node: Option<NodeId>,
}

/// The flags of an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GfpFlags {
    pub flags: Gfp,
    /// As the kernel prints them; None where it does not say.
    pub names: Option<String>,
}

impl GfpFlags {
    pub(super) fn into_text(self) -> String {
        self.names.unwrap_or_else(|| gfp::number(self.flags))
    }
}

/// The kind of task that an object was allocated for. An interrupt counts as the task that it interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
pub enum Context {
    Process,
    /// A thread of a process, made by the kernel to do what io_uring puts off.
    #[strum(serialize = "io-uring-worker")]
    IoWorker,
    KernelThread,
    /// The kernel thread that softirqs are left to when there are many.
    Softirq,
    /// The idle task: it allocates nothing itself.
    Interrupt,
}

impl Context {
    /// None for the origin that stands for all that there was no room for.
    pub(super) fn from_origin(origin: &OriginKey) -> Option<Self> {
        let task = origin.task;
        if task.tgid == FOLDED && task.comm.as_bytes() == OTHERS {
            return None;
        }
        let (comm, is_kthread) = command_of(task);
        Some(match (origin.is_io_worker, is_kthread) {
            (true, _) => Self::IoWorker,
            (false, false) => Self::Process,
            (false, true) if is_idle(comm.as_bytes()) => Self::Interrupt,
            (false, true) if comm.as_bytes().starts_with(b"ksoftirqd/") => Self::Softirq,
            (false, true) => Self::KernelThread,
        })
    }

    /// As a row's key shows it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::IoWorker => "io_uring worker",
            Self::KernelThread => "kernel thread",
            Self::Softirq => "softirq",
            Self::Interrupt => "interrupt",
        }
    }
}

/// Of all CPUs together, or of one: sums of such that hold nothing any more go by their own names.
fn is_idle(comm: &[u8]) -> bool {
    comm == b"swapper" || comm.starts_with(b"swapper/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::event::{Comm, NO_GFP, NO_NODE, NO_STACK, Task};

    fn context(comm: &str, tgid: u32, is_kthread: bool, is_io_worker: bool) -> Option<Context> {
        let task = Task { tgid, started: 0, comm: Comm::truncated(comm.as_bytes()), is_kthread };
        let (gfp, node, stack) = (NO_GFP, NO_NODE, NO_STACK);
        Context::from_origin(&OriginKey {
            cache: 1,
            task,
            cgroup: 1,
            call_site: 0,
            stack,
            gfp,
            node,
            is_io_worker,
        })
    }

    #[test]
    fn contexts_follow_from_tasks() {
        for (comm, tgid, is_kthread, is_io_worker, expected) in [
            ("curl", 7, false, false, Some(Context::Process)),
            ("curl", 7, false, true, Some(Context::IoWorker)),
            // Before v5.12 they were kernel threads.
            ("io_wqe_worker-0", 70, true, true, Some(Context::IoWorker)),
            ("kworker/0:1", 8, true, false, Some(Context::KernelThread)),
            ("ksoftirqd/11", 9, true, false, Some(Context::Softirq)),
            ("swapper/3", 0, true, false, Some(Context::Interrupt)),
            ("swapper/3", FOLDED, true, false, Some(Context::Interrupt)),
            // Anybody may choose these names.
            ("ksoftirqd/0", 10, false, false, Some(Context::Process)),
            ("swapper/0", 11, false, false, Some(Context::Process)),
            ("(others)", 12, false, false, Some(Context::Process)),
            ("(others)", FOLDED, false, false, None),
        ] {
            assert_eq!(context(comm, tgid, is_kthread, is_io_worker), expected, "{comm}:{tgid}");
        }
    }
}
