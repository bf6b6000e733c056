//! The system calls that a process may make from now on, by seccomp.

use std::{collections::BTreeMap, env, process};

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, apply_filter_all_threads,
};

/// What reading a recording takes, with all that the C library does for it. A call that is not here does not exist: that is
/// what a C library expects of a kernel that is older than itself.
const READING: &[c_long] = &[
    // Files that are open, or that Landlock lets it open.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fchmod,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_pipe2,
    // Their names.
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    // Memory and threads.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_prctl,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    // Signals and time.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    // What a terminal's keys come through: signals wake the reader by a pair of sockets.
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    // Who and where we are.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getpgid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// The older forms that x86_64 has as well.
#[cfg(target_arch = "x86_64")]
const READING_BEFORE: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_link,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_getpgrp,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const READING_BEFORE: &[c_long] = &[];

/// Types what follows into the terminal's own input, for the shell to run when we are gone.
const TIOCSTI: u64 = 0x5412;
/// The same on a console.
const TIOCLINUX: u64 = 0x541c;

/// Whoever leaves these out and shares everything is a thread. clone3() hides its flags in memory: it is left out, and the C library
/// takes clone() then.
const NOT_A_THREAD: libc::c_int = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// Leaves this thread, and those that it starts, what reading recordings takes.
pub fn only_reading() -> Result<(), seccompiler::Error> {
    let always = READING.iter().chain(READING_BEFORE).map(|&call| (call, Vec::new()));
    let rules = always.chain(in_some_cases()?.map(|(call, rule)| (call, vec![rule]))).collect();
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    apply_filter(&program(rules, missing, SeccompAction::Allow)?)
}

/// What no session does, and what would give somebody who took it over the host: other processes, mounts, modules, identities,
/// parts of the kernel that are rarely used and often broken.
const NEVER: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    // The host.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // Identities, owners, devices, keys.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_mknodat,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Rarely used.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_personality,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
];

/// What some sessions do yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// Running a program.
    pub exec: bool,
    /// Attaching to functions where that goes by events.
    pub perf_events: bool,
}

/// Forbids to all threads what no session does, and this.
pub fn forbid(forbidden: Forbidden) -> Result<(), seccompiler::Error> {
    let Forbidden { exec, perf_events } = forbidden;
    let exec: &[c_long] = if exec { &[libc::SYS_execve, libc::SYS_execveat] } else { &[] };
    let perf_events: &[c_long] = if perf_events { &[libc::SYS_perf_event_open] } else { &[] };
    let calls = [NEVER, exec, perf_events].concat().into_iter();
    let rules = calls.map(|call| (call, Vec::new())).collect();
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply_filter_all_threads(&program(rules, SeccompAction::Allow, refused)?)
}

/// Calls that reading takes with some arguments only.
fn in_some_cases() -> Result<impl Iterator<Item = (c_long, SeccompRule)>, BackendError> {
    let thread = mask(libc::CLONE_THREAD);
    let any_of = thread | mask(NOT_A_THREAD);
    let rules = [
        (libc::SYS_clone, when([(0, SeccompCmpOp::MaskedEq(any_of), thread)])?),
        (libc::SYS_tgkill, when([(0, SeccompCmpOp::Eq, process::id().into())])?),
        (libc::SYS_prlimit64, when([(0, SeccompCmpOp::Eq, 0)])?),
        (libc::SYS_socketpair, when([(0, SeccompCmpOp::Eq, mask(libc::AF_UNIX))])?),
        (libc::SYS_ioctl, when([(1, SeccompCmpOp::Ne, TIOCSTI), (1, SeccompCmpOp::Ne, TIOCLINUX)])?),
    ];
    Ok(rules.into_iter())
}

fn mask(flags: libc::c_int) -> u64 {
    flags.cast_unsigned().into()
}

/// Where all of these hold: an argument's number, and what its lower half is compared with.
fn when<const N: usize>(arguments: [(u8, SeccompCmpOp, u64); N]) -> Result<SeccompRule, BackendError> {
    let conditions = arguments.into_iter().map(|(number, operator, value)| {
        SeccompCondition::new(number, SeccompCmpArgLen::Dword, operator, value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

fn program(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    other: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let target = TargetArch::try_from(env::consts::ARCH)?;
    SeccompFilter::new(rules, other, listed, target)?.try_into()
}
