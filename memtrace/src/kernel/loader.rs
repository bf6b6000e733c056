//! Loads the object into the kernel.

use std::sync::{LazyLock, Mutex, PoisonError};

use aya::{Ebpf, EbpfError, EbpfLoader};
use memtrace_common::names::{global, map};

use super::{log, object::Object};

/// aya reads all of the kernel's types for each loader that it makes, some 40 ms and 20 MB, though we look up ourselves the few that
/// matter. So a process makes one, and what differs from one load to the next is in the object, or set anew each time.
static LOADER: LazyLock<Mutex<EbpfLoader<'static>>> = LazyLock::new(|| {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    Mutex::new(loader)
});

/// Maps whose size is up to the session; elsewhere they have one entry.
const SIZED: [&str; 11] = [
    map::RINGS,
    map::CPU_RING_CONTROL,
    map::CPU_RING_CHUNKS,
    map::PAGE_TIMES,
    map::CACHE_FILTER,
    map::PID_FILTER,
    map::TREE,
    map::UID_FILTER,
    map::CGROUP_FILTER,
    map::COMM_FILTER,
    map::HELD,
];

/// Makes the object's maps, and its programs ready to be loaded.
pub fn load(object: &Object, entries: &[(&'static str, u32)], verbose: bool) -> Result<Ebpf, EbpfError> {
    debug_assert!(entries.iter().all(|(name, _)| SIZED.contains(name)), "{entries:?}");
    let mut loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    for name in SIZED {
        loader.map_max_entries(name, 1);
    }
    for (name, entries) in entries {
        loader.map_max_entries(name, (*entries).max(1));
    }
    loader.override_global(global::LOG_LEVEL, log::level(verbose), true);
    loader.map_max_entries(map::LOGS, log::ring_bytes(verbose));
    let ebpf = loader.load(object.bytes());
    // What it was parsed into, megabytes, is gone.
    give_back();
    ebpf
}

/// Returns freed memory to the host: the allocator keeps it while a later block is in use.
fn give_back() {
    // SAFETY: takes no pointers, and may be called at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
