//! The current task: on whose behalf an object is allocated.

use aya_ebpf::helpers::{
    bpf_get_current_task, bpf_probe_read_kernel,
    generated::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task_btf,
        bpf_get_current_uid_gid, bpf_probe_read_kernel_str,
    },
};
use memtrace_common::{
    COMM_LEN,
    config::{CGROUP_BY_HELPER, CGROUP_BY_MEMORY},
    event::start_tag,
};

use crate::{config::config, kernel, pid};

/// `PF_KTHREAD` in `task_struct.flags`, the same value since v2.6.28.
pub const PF_KTHREAD: u32 = 0x0020_0000;

/// `PF_IO_WORKER`, the same value since v5.10: Linux commit 01ccf592362a ("sched: Bring the PF_IO_WORKER and PF_WQ_WORKER
/// bits closer together").
pub const PF_IO_WORKER: u32 = 0x0000_0010;

/// A command name as the kernel keeps it, in two words.
pub type Comm = [u64; COMM_LEN / 8];

const _: () = assert!(size_of::<Comm>() == COMM_LEN);

/// The current task. Where the verifier knows its type, its fields are loaded directly; else a helper reads each.
#[derive(Clone, Copy)]
pub struct Current {
    task: *const u8,
}

impl Current {
    #[inline(always)]
    pub fn get() -> Self {
        // SAFETY: no arguments, no side effects.
        let task = unsafe {
            if is_typed() { bpf_get_current_task_btf().cast() } else { bpf_get_current_task() as *const u8 }
        };
        Self { task }
    }

    /// The process (thread group); 0 for the idle task.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        let tgid = self.tgid_of_host();
        if pid::is_in_namespace() { pid::in_namespace(self.task as u64, tgid) } else { tgid }
    }

    #[inline(always)]
    fn tgid_of_host(self) -> u32 {
        if is_typed() {
            return self.load(config!(offsets.task_tgid));
        }
        // SAFETY: no arguments, no side effects.
        (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
    }

    /// What it is: `PF_*`.
    #[inline(always)]
    pub fn flags(self) -> u32 {
        self.read(config!(offsets.task_flags))
    }

    /// The command name of its process: threads may have others, which say less about the owner of the memory.
    #[inline(always)]
    pub fn comm(self) -> Comm {
        if config!(processes.group_leader) != 0 {
            return self.follow(config!(processes.group_leader)).own_comm();
        }
        self.own_comm_by_helper()
    }

    /// A thread's own.
    #[inline(always)]
    fn own_comm(self) -> Comm {
        let offset = config!(offsets.task_comm);
        if is_typed() {
            return [self.load(offset), self.load(offset + 8)];
        }
        // Older kernels leave what was there before behind the end of a shorter name: it must not be read.
        let mut comm = [0; COMM_LEN / 8];
        // SAFETY: the buffer has the length that is given, and the helper copies with fault handling.
        unsafe {
            bpf_probe_read_kernel_str(
                (&raw mut comm).cast(),
                COMM_LEN as u32,
                self.field::<u8>(offset).cast(),
            )
        };
        comm
    }

    #[inline(always)]
    fn own_comm_by_helper(self) -> Comm {
        let mut comm = [0; COMM_LEN / 8];
        // SAFETY: the buffer has the length that is given. The helper cannot fail for this size; where it did, it would zero it.
        unsafe { bpf_get_current_comm((&raw mut comm).cast(), COMM_LEN as u32) };
        comm
    }

    /// Kernfs id of its cgroup; 0 where that cannot be read.
    #[inline(always)]
    pub fn cgroup(self) -> u64 {
        if config!(cgroups.way) == CGROUP_BY_HELPER {
            // SAFETY: no arguments, no side effects.
            return unsafe { bpf_get_current_cgroup_id() };
        }
        let entry = self.follow(config!(cgroups.task_cgroups)).follow(config!(cgroups.set_entry));
        let cgroup = if config!(cgroups.way) == CGROUP_BY_MEMORY {
            entry.follow(config!(cgroups.state_cgroup))
        } else {
            entry
        };
        cgroup.follow(config!(cgroups.cgroup_node)).read(config!(cgroups.node_id))
    }

    /// Address of what all threads of its process share: see `tree.rs`.
    #[inline(always)]
    pub fn signal(self) -> u64 {
        self.read(config!(processes.signal))
    }

    /// Who runs it: the real user, by the host's number.
    #[inline(always)]
    pub fn user(self) -> u32 {
        // SAFETY: no arguments, no side effects.
        (unsafe { bpf_get_current_uid_gid() }) as u32
    }

    /// Address of its cgroup's state; 0 where that cannot be read.
    #[inline(always)]
    pub fn cgroup_state(self) -> u64 {
        if config!(cgroups.task_cgroups) == 0 {
            return 0;
        }
        let set = self.follow(config!(cgroups.task_cgroups)).task as u64;
        // A plain number for the verifier: only such can be given to a function.
        let state: Option<u64> = kernel::read(set + u64::from(config!(cgroups.set_entry)));
        state.unwrap_or(0).wrapping_add(u64::from(config!(cgroups.state)))
    }

    /// When its process started: a [`start_tag`].
    #[inline(always)]
    pub fn started(self) -> u32 {
        if config!(processes.group_leader) == 0 {
            return 0;
        }
        start_tag(self.follow(config!(processes.group_leader)).read(config!(processes.start_boottime)))
    }

    /// What the structure points to at this offset, to be read as a task is.
    #[inline(always)]
    fn follow(self, offset: u32) -> Self {
        Self { task: self.read::<usize>(offset) as *const u8 }
    }

    /// A field of the structure; 0 where it cannot be read.
    #[inline(always)]
    fn read<T: Default>(self, offset: u32) -> T {
        if is_typed() {
            return self.load(offset);
        }
        // SAFETY: the helper copies with fault handling; T is an integer for all callers.
        unsafe { bpf_probe_read_kernel(self.field::<T>(offset)) }.unwrap_or_default()
    }

    #[inline(always)]
    fn field<T>(self, offset: u32) -> *const T {
        self.task.wrapping_add(offset as usize).cast()
    }

    /// For a typed task only: there the verifier knows the pointer, and checks the offset against the structure.
    #[inline(always)]
    fn load<T>(self, offset: u32) -> T {
        // SAFETY: see above; the current task does not go away under its own feet. Volatile, because others write fields.
        unsafe { self.field::<T>(offset).read_volatile() }
    }
}

#[inline(always)]
fn is_typed() -> bool {
    config!(offsets.task_is_typed) != 0
}
