//! Limits that the kernel sets us.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Lifts the limit on locked memory, which maps count against before v5.11. If that is not allowed, creating the maps fails
/// with an error.
pub fn raise_memlock() {
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

/// Whoever writes more than the limit on the size of files (`ulimit -f`) gets an error, as on a full disk, and is not killed.
pub fn survive_file_size_limit() {
    // SAFETY: no handler is installed: the signal is ignored.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}
