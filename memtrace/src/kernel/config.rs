//! The configuration that programs are loaded with: see [`memtrace_common::config`].

use memtrace_common::config::{
    CACHES_ALL, CACHES_ONE, CACHES_SET, CacheFilter, Config, NO_TGID, Rings, Slabs, TaskFilter,
};

use super::{
    layout::Layout,
    options::{Filters, LoadOptions},
    plan::Plan,
    rings::RingSizes,
};

/// For a session with these filters.
pub(super) fn new(
    plan: &Plan,
    layout: &Layout,
    filters: &Filters,
    rings: RingSizes,
    options: LoadOptions,
) -> Config {
    let (mode, only) = match &filters.caches {
        None => (CACHES_ALL, 0),
        Some(caches) if caches.len() == 1 => (CACHES_ONE, caches.iter().copied().sum()),
        Some(_) => (CACHES_SET, 0),
    };
    Config {
        caches: CacheFilter {
            only,
            of_caches: filters.cache_of_caches,
            mode,
            names: u32::from(filters.names),
        },
        tasks: TaskFilter {
            // With all tasks followed, the sum is compared with slabinfo, so ours must be in it; views leave it out.
            own_tgid: if filters.follow_all_tasks() { NO_TGID } else { std::process::id() },
            by_pid: u32::from(!filters.pids.is_empty()),
            by_comm: u32::from(!filters.comms.is_empty()),
            reserved: 0,
        },
        rings: Rings { mask: rings.count - 1, reserved: 0 },
        arguments: layout.arguments,
        pages: plan.pages(),
        offsets: layout.offsets,
        processes: layout.processes.clone().unwrap_or_default(),
        cgroups: options.cgroups,
        stacks: options.stacks,
        pids: options.pid_namespace,
        // Tracing programs do not look at slabs.
        slabs: Slabs::default(),
    }
}
