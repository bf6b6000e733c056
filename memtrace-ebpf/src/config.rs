//! The session's read-only configuration: see [`memtrace_common::config`].

use memtrace_common::{
    config::Config,
    cpu_ring::{Place, WRITERS},
};

#[unsafe(no_mangle)]
pub(crate) static CONFIG: Config = Config {
    caches: memtrace_common::config::CacheFilter { only: 0, of_caches: 0, mode: 0, names: 0 },
    tasks: memtrace_common::config::TaskFilter {
        own_tgid: 0,
        processes: 0,
        users: 0,
        comms: 0,
        cgroups: 0,
        notes_held: 0,
    },
    rings: memtrace_common::config::Rings {
        mask: 0,
        backups: 0,
        cpus: 0,
        reserved: 0,
        places: [Place { ring: 0, chunk: 0, bytes: 0 }; WRITERS.len()],
    },
    arguments: memtrace_common::config::Arguments {
        alloc_cache: 0,
        free_cache: 0,
        alloc_gfp: 0,
        kmalloc_gfp: 0,
        alloc_return: 0,
        alloc_lru_return: 0,
        alloc_node_return: 0,
        d_alloc_return: 0,
        d_alloc_parallel_return: 0,
        free_is_late: 0,
        alloc_bulk_returns: 0,
        kfree_rcu_sheaf_return: 0,
    },
    pages: memtrace_common::config::Pages {
        base: 0,
        page_shift: 0,
        page_size: 0,
        largest_slab_kmalloc: 0,
        reserved: 0,
    },
    offsets: memtrace_common::config::Offsets {
        task_flags: 0,
        task_tgid: 0,
        task_comm: 0,
        task_is_typed: 0,
        page_compound_head: 0,
        slab_cache: 0,
        dentry_parent: 0,
        dentry_name: 0,
        dentry_name_len: 0,
        reserved: 0,
    },
    processes: memtrace_common::config::ProcessOffsets {
        group_leader: 0,
        start_boottime: 0,
        pid: 0,
        real_parent: 0,
        mm: 0,
        mm_arg_start: 0,
        mm_arg_end: 0,
        program_filename: 0,
        signal: 0,
        reserved: 0,
    },
    cgroups: memtrace_common::config::Cgroups {
        way: 0,
        task_cgroups: 0,
        set_entry: 0,
        state: 0,
        state_cgroup: 0,
        state_parent: 0,
        cgroup_node: 0,
        node_id: 0,
    },
    stacks: memtrace_common::config::Stacks { limit: 0, kernel: 0, user: 0, reserved: 0 },
    pids: memtrace_common::config::PidNamespace {
        namespace: 0,
        level: 0,
        task_leader: 0,
        task_pid: 0,
        pid_level: 0,
        pid_namespace: 0,
        pid_number: 0,
    },
    slabs: memtrace_common::config::Slabs {
        in_object: 0,
        freelist: 0,
        counters: 0,
        page_type: 0,
        vector: 0,
        objcg_refcnt: 0,
        objcg_memcg: 0,
        memcg_state: 0,
        state_cgroup: 0,
        cgroup_node: 0,
        node_id: 0,
        cpu_slab: 0,
        cpu_freelist: 0,
        cpu_tid: 0,
        flags: 0,
    },
};

/// Reads one field of [`CONFIG`]: `config!(pages.base)`.
///
/// Volatile, because userspace rewrites the global before it loads the programs: the compiler must not fold the
/// zeroes above. The verifier folds the real values.
macro_rules! config {
    ($section:ident . $($field:tt)+) => {
        // SAFETY: a static of plain integers, never written while programs run.
        unsafe { core::ptr::read_volatile(&raw const $crate::config::CONFIG.$section.$($field)+) }
    };
}
pub(crate) use config;
