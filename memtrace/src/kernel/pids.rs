//! The PID namespace that memtrace runs in. Programs in the kernel see the host's ids; /proc, the user and memtrace itself those of
//! the namespace.

use memtrace_common::config::PidNamespace;

use super::{
    layout::{Layout, PidLayout},
    memory::{Memory, MemoryError, Readable as _},
};

/// How the programs find ids in our namespace; off where that is the host's.
pub fn own_namespace(memory: &Memory, layout: &Layout) -> Result<PidNamespace, MemoryError> {
    let PidLayout { task_leader, task_pid, level: pid_level, .. } = layout.pid;
    let leader = memory.u64(memory.current_task()? + u64::from(task_leader))?;
    let pid = memory.u64(leader + u64::from(task_pid))?;
    let level = memory.u32(pid + u64::from(pid_level))?;
    if level == 0 {
        return Ok(PidNamespace::default());
    }
    let at = layout.pid.numbers.wrapping_add(level.wrapping_mul(layout.pid.number_size));
    let (pid_namespace, pid_number) = (at + layout.pid.number_namespace, at + layout.pid.number);
    let namespace = memory.u64(pid + u64::from(pid_namespace))?;
    Ok(PidNamespace { namespace, level, task_leader, task_pid, pid_level, pid_namespace, pid_number })
}
