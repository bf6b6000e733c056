//! Forks, execs and exits of processes. Many processes live only some milliseconds, too short for userspace to find them in /proc.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_kernel_str, macros::raw_tracepoint, programs::RawTracePointContext,
};
use memtrace_common::{
    config::TASKS_TREE,
    event::{
        ARGUMENTS_LEN, ExecEvent, ExitEvent, ForkEvent, Header, KIND_EXEC, KIND_EXIT, KIND_FORK, PATH_LEN,
        start_tag,
    },
};

use crate::{
    config::config,
    emit, kernel, pid,
    task::Comm,
    tree::{self, Member},
};

/// Arguments: the parent's task, the child's.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn sched_process_fork(ctx: RawTracePointContext) -> Option<()> {
    let task = Task(ctx.arg(1));
    let process = task.leading()?;
    if config!(tasks.processes) == TASKS_TREE {
        tree::grow(Task(ctx.arg(0)).member()?, task.member()?);
    }
    // Not the first argument: with CLONE_PARENT a process makes a sibling.
    let parent = task.parent()?;
    let parent_comm = parent.leader.comm()?;
    emit::process::<ForkEvent>(process.tgid, |event| {
        // SAFETY: `event` is a reserved record of this type.
        unsafe {
            (&raw mut (*event).header).write(Header { kind: KIND_FORK, flags: 0 });
            (&raw mut (*event).tgid).write(process.tgid);
            (&raw mut (*event).started).write(process.started);
            (&raw mut (*event).parent_tgid).write(parent.tgid);
            (&raw mut (*event).parent_started).write(parent.started);
            (&raw mut (*event).reserved).write(0);
            (&raw mut (*event).parent_comm).cast::<Comm>().write(parent_comm);
        }
    })
}

/// Where tracepoints can be preempted, a fork of a task that runs meanwhile finds the probe running, and all that the new process
/// starts would be missed: see `backup.rs`. To grow a tree twice changes nothing.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn sched_process_fork_backup(ctx: RawTracePointContext) -> Option<()> {
    tree::grow(Task(ctx.arg(0)).member()?, Task(ctx.arg(1)).member()?);
    Some(())
}

/// Arguments: the task, its number before (another thread may have been the first), the program.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn sched_process_exec(ctx: RawTracePointContext) -> Option<()> {
    let task = Task(ctx.arg(0));
    let process = task.leading()?;
    let parent = task.parent()?;
    let comm = task.comm()?;
    let filename = kernel::read::<u64>(ctx.arg::<u64>(2) + u64::from(config!(processes.program_filename)))?;
    let mm: u64 = task.field(config!(processes.mm))?;
    let start = kernel::read::<u64>(mm + u64::from(config!(processes.mm_arg_start)))?;
    let end = kernel::read::<u64>(mm + u64::from(config!(processes.mm_arg_end)))?;
    emit::process::<ExecEvent>(process.tgid, |event| {
        // SAFETY: `event` is a reserved record of this type.
        unsafe {
            (&raw mut (*event).header).write(Header { kind: KIND_EXEC, flags: 0 });
            (&raw mut (*event).tgid).write(process.tgid);
            (&raw mut (*event).started).write(process.started);
            (&raw mut (*event).parent_tgid).write(parent.tgid);
            (&raw mut (*event).parent_started).write(parent.started);
            (&raw mut (*event).path_len).write(read_path(&raw mut (*event).path, filename));
            let arguments = read_arguments(&raw mut (*event).arguments, start, end.wrapping_sub(start));
            (&raw mut (*event).arguments_len).write(arguments);
            (&raw mut (*event).reserved).write(0);
            (&raw mut (*event).comm).cast::<Comm>().write(comm);
        }
    })
}

/// Argument: the task.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn sched_process_exit(ctx: RawTracePointContext) -> Option<()> {
    let process = Task(ctx.arg(0)).leading()?;
    emit::process::<ExitEvent>(process.tgid, |event| {
        // SAFETY: `event` is a reserved record of this type.
        unsafe {
            (&raw mut (*event).header).write(Header { kind: KIND_EXIT, flags: 0 });
            (&raw mut (*event).tgid).write(process.tgid);
            (&raw mut (*event).started).write(process.started);
            (&raw mut (*event).reserved).write(0);
        }
    })
}

/// Argument: the task, which nobody can find any more.
#[raw_tracepoint(tracepoint = "sched_process_free")]
pub fn sched_process_free(ctx: RawTracePointContext) -> Option<()> {
    let task = Task(ctx.arg(0));
    // The first thread of a process is the last that goes.
    if task.leads()? {
        tree::forget(task.signal()?);
    }
    Some(())
}

/// How long the path is with its NUL, at most [`PATH_LEN`]; 0 where it cannot be read.
#[inline(always)]
fn read_path(to: *mut [u8; PATH_LEN], address: u64) -> u32 {
    // SAFETY: `to` has that many writable bytes, and the helper copies with fault handling.
    let len = unsafe { bpf_probe_read_kernel_str(to.cast(), PATH_LEN as u32, address as *const _) };
    u32::try_from(len).unwrap_or(0)
}

/// How long the command line is; 0 where it cannot be read. It was written a moment ago, so its pages are there.
#[inline(always)]
fn read_arguments(to: *mut [u8; ARGUMENTS_LEN], start: u64, len: u64) -> u32 {
    if kernel::read_user_bytes(to, start, len as u32) { len as u32 } else { 0 }
}

struct Process {
    leader: Task,
    tgid: u32,
    started: u32,
}

/// Any task, by the address of its `task_struct`.
#[derive(Clone, Copy)]
struct Task(u64);

impl Task {
    #[inline(always)]
    fn field<T>(self, offset: u32) -> Option<T> {
        kernel::read(self.0 + u64::from(offset))
    }

    #[inline(always)]
    fn tgid(self) -> Option<u32> {
        let tgid = self.tgid_of_host()?;
        Some(if pid::is_in_namespace() { pid::in_namespace(self.0, tgid) } else { tgid })
    }

    #[inline(always)]
    fn tgid_of_host(self) -> Option<u32> {
        self.field(config!(offsets.task_tgid))
    }

    /// The process that it is the first thread of; None for other threads.
    #[inline(always)]
    fn leading(self) -> Option<Process> {
        self.leads()?.then_some(())?;
        Some(Process { leader: self, tgid: self.tgid()?, started: self.started()? })
    }

    #[inline(always)]
    fn leads(self) -> Option<bool> {
        Some(self.field::<u32>(config!(processes.pid))? == self.tgid_of_host()?)
    }

    #[inline(always)]
    fn member(self) -> Option<Member> {
        Some(Member { signal: self.signal()?, tgid: self.tgid()? })
    }

    #[inline(always)]
    fn signal(self) -> Option<u64> {
        self.field(config!(processes.signal))
    }

    #[inline(always)]
    fn parent(self) -> Option<Process> {
        let parent = Task(self.field(config!(processes.real_parent))?);
        let leader = Task(parent.field(config!(processes.group_leader))?);
        Some(Process { leader, tgid: parent.tgid()?, started: leader.started()? })
    }

    #[inline(always)]
    fn started(self) -> Option<u32> {
        self.field(config!(processes.start_boottime)).map(start_tag)
    }

    #[inline(always)]
    fn comm(self) -> Option<Comm> {
        self.field(config!(offsets.task_comm))
    }
}
