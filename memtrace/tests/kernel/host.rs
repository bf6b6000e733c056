//! What this host lets us test.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use memtrace::kernel::{layout::Layout, types::KernelTypes};
use rustix::{
    fs::statfs,
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
};
use tempfile::TempDir;

use crate::Needs;

/// Filesystems that keep a dentry for a name that does not exist, and one only, by `statfs.f_type` (linux/magic.h).
const DISK_FILESYSTEMS: [(&str, u32); 3] = [("ext4", 0xef53), ("xfs", 0x5846_5342), ("btrfs", 0x9123_683e)];

/// The memtrace to test.
pub fn memtrace() -> PathBuf {
    env::var_os("MEMTRACE_BIN").map_or_else(|| env!("CARGO_BIN_EXE_memtrace").into(), PathBuf::from)
}

pub fn may_not_skip() -> bool {
    env::var_os("MEMTRACE_NO_SKIP").is_some_and(|value| value == "1")
}

/// Why what a test needs is not to be had here.
pub fn lacks(needs: Needs) -> Option<String> {
    static TRACING: OnceLock<Option<String>> = OnceLock::new();
    let tracing =
        || TRACING.get_or_init(|| refusal().map(|reason| format!("no session starts here: {reason}")));
    match needs {
        Needs::Nothing => None,
        Needs::Tracing => tracing().clone(),
        Needs::Disk => tracing().clone().or_else(no_disk),
        Needs::OwnMachine => tracing().clone().or_else(others_machine),
    }
}

/// Set where we run alone, emulated, and may do to the machine what we like.
const MODULES: &str = "MEMTRACE_TEST_MODULES";

/// Whether the machine is a VM of ours: there is nobody to disturb, and everything takes long.
pub fn is_our_own() -> bool {
    env::var_os(MODULES).is_some()
}

/// Whether the kernel may preempt a task in a probe, and skips the probe for the others meanwhile.
pub fn preempts_probes() -> bool {
    static PREEMPTS: OnceLock<bool> = OnceLock::new();
    *PREEMPTS.get_or_init(|| {
        let types = KernelTypes::load().expect("sessions load them too");
        Layout::from_types(&types).expect("sessions find it too").preempts_probes
    })
}

fn others_machine() -> Option<String> {
    let reason = "not on a machine that others may use: it runs in the VMs of `cargo xtask test`";
    (!is_our_own()).then(|| reason.to_owned())
}

/// The NUMA nodes that have CPUs, each with one of them.
pub fn cpus_by_node() -> Vec<(u16, usize)> {
    let Ok(entries) = fs::read_dir("/sys/devices/system/node") else { return vec![(0, 0)] };
    let node = |entry: fs::DirEntry| {
        let node = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
        let cpus = fs::read_to_string(entry.path().join("cpulist")).ok()?;
        let first = cpus.trim().split(['-', ',']).next()?.parse().ok()?;
        Some((node, first))
    };
    entries.flatten().filter_map(node).collect()
}

/// How many nodes with CPUs there are, where whoever made the machine says so.
pub fn expected_nodes() -> Option<usize> {
    Some(env::var("MEMTRACE_TEST_NODES").ok()?.parse().expect("it is a number"))
}

/// From now on a process runs on this CPU only.
pub fn keep_on(pid: u32, cpu: usize) {
    let mut only = CpuSet::new();
    only.set(cpu);
    let pid = Pid::from_raw(pid as i32).expect("it is a process");
    sched_setaffinity(Some(pid), &only).expect("root may move processes");
}

/// A kernel module that tests may load.
pub fn module(name: &str) -> PathBuf {
    Path::new(&env::var_os(MODULES).expect("it is set where a test needs it")).join(name).with_extension("ko")
}

/// Runs a short session on a cache.
pub fn try_session(cache: &str, arguments: &[&str]) -> io::Result<Output> {
    Command::new(memtrace())
        .args(["--cache", cache, "--interval", "10ms", "--count", "1"])
        .args(arguments)
        .output()
}

/// Why no session starts here; None if one does.
fn refusal() -> Option<String> {
    match try_session("filp", &[]) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("cannot run {}: {error}", memtrace().display())),
    }
}

fn no_disk() -> Option<String> {
    let directory = disk();
    let found = match statfs(&directory) {
        // The same 32 bits on every architecture, whatever the field's width and sign.
        Ok(statfs) => statfs.f_type as u32,
        Err(error) => {
            return Some(format!("cannot ask for the filesystem of {}: {error}", directory.display()));
        }
    };
    if DISK_FILESYSTEMS.iter().any(|(_, magic)| *magic == found) {
        return None;
    }
    let names = DISK_FILESYSTEMS.map(|(name, _)| name).join(", ");
    Some(format!(
        "{} is on a filesystem of type {found:#x}; set MEMTRACE_TEST_DISK to a directory on one of {names}",
        directory.display()
    ))
}

fn disk() -> PathBuf {
    env::var_os("MEMTRACE_TEST_DISK").map_or_else(env::temp_dir, PathBuf::from)
}

/// A new directory on the disk, removed when dropped.
pub fn directory_on_disk() -> TempDir {
    TempDir::with_prefix_in("memtrace-test-", disk()).expect("the test disk is writable")
}

/// Whether a process of this command name runs.
pub fn is_running(comm: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("comm")).ok())
        .any(|running| running.trim_end() == comm)
}

/// Names and object counts of the slab caches, from the kernel's own accounts.
pub fn slabinfo() -> Vec<(String, u64)> {
    let text = fs::read_to_string("/proc/slabinfo").expect("root may read /proc/slabinfo");
    let caches = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    caches.collect()
}

/// Whether this name stands for a cache that the kernel merged into one of another name.
pub fn is_alias(cache: &str) -> bool {
    Path::new("/sys/kernel/slab").join(cache).is_symlink() && slabinfo().iter().all(|(name, _)| name != cache)
}

/// Whether somebody pays for slab objects. `cgroup.memory=nokmem` turns that off.
pub fn charges_slab() -> bool {
    fs::read_to_string("/proc/cmdline").is_ok_and(|line| !line.contains("nokmem"))
}

pub fn has_cache(name: &str) -> bool {
    slabinfo().iter().any(|(known, _)| known == name)
}

/// Whether the kernel's slab caches have sheaves, since v6.18.
pub fn has_sheaves() -> bool {
    Path::new("/sys/kernel/slab/maple_node/sheaf_capacity").exists()
}

/// A program that a test needs. Where it is missing there is nothing to test.
#[track_caller]
pub fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok();
    assert!(is_there || !may_not_skip(), "there is no {program}; cargo xtask setup installs one");
    if !is_there {
        eprintln!("skipped: there is no {program}");
    }
    is_there
}
