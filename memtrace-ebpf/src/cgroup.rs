//! Which cgroups are traced: see [`memtrace_common::cgroup`].

use aya_ebpf::bindings::BPF_NOEXIST;
use memtrace_common::cgroup::{LEFT_OUT, MAX_DEPTH, TRACED};

use crate::{config::config, kernel, maps, task::Current};

/// Whether the allocations of a task are sent, because its cgroup is traced, or because userspace has not decided on it yet.
#[inline(always)]
pub fn passes(task: Current) -> bool {
    let cgroup = task.cgroup();
    if let Some(decision) = decision(cgroup) {
        return decision != LEFT_OUT;
    }
    if is_in_traced_cgroup(task.cgroup_state()) != 0 {
        // Where there is no room, it is looked at again, and nothing is lost.
        let _ = maps::CGROUP_FILTER.insert(cgroup, TRACED, u64::from(BPF_NOEXIST));
    }
    true
}

#[inline(always)]
fn decision(cgroup: u64) -> Option<u8> {
    // SAFETY: the value is one byte.
    unsafe { maps::CGROUP_FILTER.get(cgroup) }.copied()
}

/// Whether a cgroup around the one with this state is traced. A global function is verified once, and not in every program: see
/// `probe/bulk.rs`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn is_in_traced_cgroup(state: u64) -> u64 {
    let mut state = state;
    for _ in 0..MAX_DEPTH {
        let Some(parent) = parent(state) else { return 0 };
        if id(parent).and_then(decision) == Some(TRACED) {
            return 1;
        }
        state = parent;
    }
    0
}

/// The state of the cgroup around; None of the root.
#[inline(always)]
fn parent(state: u64) -> Option<u64> {
    if state == 0 {
        return None;
    }
    kernel::read(state + u64::from(config!(cgroups.state_parent))).filter(|&parent| parent != 0)
}

/// The kernfs id of a state's cgroup.
#[inline(always)]
fn id(state: u64) -> Option<u64> {
    let cgroup: u64 = kernel::read(state + u64::from(config!(cgroups.state_cgroup)))?;
    let node: u64 = kernel::read(cgroup + u64::from(config!(cgroups.cgroup_node)))?;
    kernel::read(node + u64::from(config!(cgroups.node_id)))
}
