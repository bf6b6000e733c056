//! Names of maps, globals and programs, as the loader looks them up in the object file.

pub mod map {
    pub const RINGS: &str = "RINGS";
    pub const CPU_RING_CONTROL: &str = "CPU_RING_CONTROL";
    pub const CPU_RING_CHUNKS: &str = "CPU_RING_CHUNKS";
    pub const PAGE_TIMES: &str = "PAGE_TIMES";
    pub const COUNTERS: &str = "COUNTERS";
    pub const LOSSES: &str = "LOSSES";
    pub const SAMPLE_LIMIT: &str = "SAMPLE_LIMIT";
    pub const CACHE_GENERATIONS: &str = "CACHE_GENERATIONS";
    pub const GENERATION_SLOTS: &str = "GENERATION_SLOTS";
    pub const CACHE_FILTER: &str = "CACHE_FILTER";
    pub const PID_FILTER: &str = "PID_FILTER";
    pub const TREE: &str = "TREE";
    pub const UID_FILTER: &str = "UID_FILTER";
    pub const CGROUP_FILTER: &str = "CGROUP_FILTER";
    pub const COMM_FILTER: &str = "COMM_FILTER";
    pub const HELD: &str = "HELD";
    pub const PEEK: &str = "PEEK";
    pub const SCAN: &str = "SCAN";
    pub const LOOK: &str = "LOOK";
    /// aya-log's own.
    pub const LOGS: &str = "AYA_LOGS";
}

pub mod global {
    pub const CONFIG: &str = "CONFIG";
    /// aya-log's own: a u8, the most verbose level of its `Level` that is logged; 0 for none.
    pub const LOG_LEVEL: &str = "AYA_LOG_LEVEL";
}

pub mod program {
    /// Runs on demand only: see [`crate::peek`].
    pub const PEEK: &str = "peek";
    /// As that: see [`crate::census`].
    pub const SCAN: &str = "scan";
    pub const LOOK: &str = "look";

    // Raw tracepoints, named after the tracepoint.
    pub const KMEM_CACHE_ALLOC: &str = "kmem_cache_alloc";
    pub const KMEM_CACHE_ALLOC_NODE: &str = "kmem_cache_alloc_node";
    pub const KMEM_CACHE_FREE: &str = "kmem_cache_free";
    pub const KMALLOC: &str = "kmalloc";
    pub const KMALLOC_NODE: &str = "kmalloc_node";
    pub const KFREE: &str = "kfree";

    // Backups: on the same tracepoint as the program they stand in for.
    pub const KMEM_CACHE_ALLOC_BACKUP: &str = "kmem_cache_alloc_backup";
    pub const KMALLOC_BACKUP: &str = "kmalloc_backup";
    pub const KMEM_CACHE_FREE_BACKUP: &str = "kmem_cache_free_backup";
    pub const KFREE_BACKUP: &str = "kfree_backup";
    pub const SCHED_PROCESS_FORK_BACKUP: &str = "sched_process_fork_backup";

    // Trampolines, for kernels whose tracepoints do not carry the cache.
    pub const ALLOC_FEXIT: &str = "alloc_fexit";
    pub const ALLOC_LRU_FEXIT: &str = "alloc_lru_fexit";
    pub const ALLOC_NODE_FEXIT: &str = "alloc_node_fexit";
    pub const FREE_FENTRY: &str = "free_fentry";

    // Trampolines for what fires no tracepoint.
    pub const FREE_BULK_FENTRY: &str = "free_bulk_fentry";
    pub const ALLOC_BULK_FEXIT: &str = "alloc_bulk_fexit";
    pub const KFREE_RCU_SHEAF_FEXIT: &str = "kfree_rcu_sheaf_fexit";

    // Raw tracepoints again.
    pub const SCHED_PROCESS_FORK: &str = "sched_process_fork";
    pub const SCHED_PROCESS_EXEC: &str = "sched_process_exec";
    pub const SCHED_PROCESS_EXIT: &str = "sched_process_exit";
    pub const SCHED_PROCESS_FREE: &str = "sched_process_free";

    pub const D_ALLOC_FEXIT: &str = "d_alloc_fexit";
    pub const D_ALLOC_PARALLEL_FEXIT: &str = "d_alloc_parallel_fexit";
    pub const D_ALLOC_KRETPROBE: &str = "d_alloc_kretprobe";
}
