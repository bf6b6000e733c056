//! What the kernel says of each thread of a process, in /proc.

use std::{fs, path::Path};

/// The values of a line, as `NoNewPrivs`.
#[track_caller]
pub fn status(pid: u32, key: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    let value = |thread: &Path| {
        // A thread may end meanwhile.
        let status = fs::read_to_string(thread.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel tells");
        Some(line.trim_start_matches(':').trim().to_owned())
    };
    threads.filter_map(|thread| value(&thread.path())).collect()
}

/// None can gain rights, and none can make every system call.
#[track_caller]
pub fn assert_confined(pid: u32) {
    let (no_new_privs, seccomp) = (status(pid, "NoNewPrivs"), status(pid, "Seccomp"));
    assert!(!no_new_privs.is_empty() && no_new_privs.iter().all(|value| value == "1"), "{no_new_privs:?}");
    assert!(!seccomp.is_empty() && seccomp.iter().all(|value| value == "2"), "{seccomp:?}");
}
