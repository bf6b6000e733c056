//! The configuration that programs are loaded with: see [`memtrace_common::config`].

use memtrace_common::config::{
    CACHES_ALL, CACHES_EXCEPT, CACHES_ONE, CACHES_SET, CacheFilter, Config, NO_TGID, Rings, Slabs, TASKS_ALL,
    TASKS_EXCEPT, TASKS_SET, TASKS_TREE, TaskFilter,
};

use super::{
    layout::Layout,
    options::{Filters, LoadOptions, Members, Processes},
    plan::Plan,
    rings::sizes::RingPlan,
};

/// What keeps a probe that the kernel skips from being a mistake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Safeguard {
    /// Some probes run twice: see `memtrace-ebpf/src/backup.rs`.
    pub has_backups: bool,
    /// Objects of tasks that pass the filters are noted: see [`memtrace_common::held`].
    pub notes_held: bool,
}

/// For a session with these filters.
pub(super) fn new(
    plan: &Plan,
    layout: &Layout,
    filters: &Filters,
    rings: RingPlan,
    options: LoadOptions,
    safeguard: Safeguard,
) -> Config {
    let (mode, only) = match &filters.caches {
        Members::All => (CACHES_ALL, 0),
        Members::Only(caches) if caches.len() == 1 => (CACHES_ONE, caches.iter().copied().sum()),
        Members::Only(_) => (CACHES_SET, 0),
        Members::Except(_) => (CACHES_EXCEPT, 0),
    };
    Config {
        caches: CacheFilter {
            only,
            of_caches: filters.cache_of_caches,
            mode,
            names: u32::from(filters.names),
        },
        tasks: TaskFilter { notes_held: u32::from(safeguard.notes_held), ..tasks(filters) },
        rings: Rings {
            mask: rings.shared.count - 1,
            backups: u32::from(safeguard.has_backups),
            cpus: rings.of_cpus.map_or(0, |sizes| sizes.cpus),
            reserved: 0,
            places: rings.of_cpus.map(|sizes| sizes.places).unwrap_or_default(),
        },
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

fn tasks(filters: &Filters) -> TaskFilter {
    let is_set = |is_set| if is_set { TASKS_SET } else { TASKS_ALL };
    TaskFilter {
        // With all tasks followed, the sum is compared with slabinfo, so ours must be in it; views leave it out.
        own_tgid: if filters.follow_all_tasks() { NO_TGID } else { std::process::id() },
        processes: match filters.processes {
            Processes::All => TASKS_ALL,
            Processes::Only(_) => TASKS_SET,
            Processes::Trees(_) => TASKS_TREE,
        },
        users: is_set(!filters.uids.is_empty()),
        comms: match filters.comms {
            Members::All => TASKS_ALL,
            Members::Only(_) => TASKS_SET,
            Members::Except(_) => TASKS_EXCEPT,
        },
        cgroups: is_set(filters.by_cgroup),
        notes_held: 0,
    }
}
