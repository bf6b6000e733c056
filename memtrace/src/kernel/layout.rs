//! Everything memtrace needs to know of this kernel's types, looked up once.

use std::ops::Range;

use memtrace_common::config::{
    Arguments, CGROUP_BY_DEFAULT, CGROUP_BY_HELPER, CGROUP_BY_MEMORY, Cgroups, NO_ARGUMENT, Offsets,
    ProcessOffsets, RETURNS_BOOL, RETURNS_COUNT,
};

use super::{
    census::sign_fields::SignFields,
    functions::{self, Functions},
    inspect::{
        field::{Field, span},
        fields::Fields,
    },
    reason::Reason,
    slabs::layout::SlabsLayout,
    types::{KernelTypes, TypesError},
    unused::fields::UnusedFields,
};

/// What the kernel's BTF says; offsets and sizes in bytes.
#[derive(Clone, Debug)]
pub struct Layout {
    /// For the eBPF programs.
    pub arguments: Arguments,
    pub offsets: Offsets,
    /// Or why processes cannot be followed.
    pub processes: Result<ProcessOffsets, Reason>,
    /// How to read a task's cgroup in a memory controller's own hierarchy, or why that is impossible.
    pub memory_cgroups: Result<Cgroups, Reason>,
    /// And where there is one hierarchy.
    pub unified_cgroups: Cgroups,
    /// For trampolines.
    pub functions: Functions,
    pub task: TaskLayout,
    pub pid: PidLayout,
    pub cache: CacheLayout,
    pub slab: SlabLayout,
    /// Or why pages do not show their NUMA node.
    pub page_node: Result<PageNode, Reason>,
    /// For inspecting objects.
    pub inspect: Fields,
    /// For looking at slabs, or why they cannot be.
    pub slabs: Result<SlabsLayout, Reason>,
    /// For what objects tell of their past.
    pub signs: SignFields,
    /// For counts of unused dentries and inodes, or why they cannot be read.
    pub unused: Result<UnusedFields, Reason>,
    /// Separate tracepoints for allocations on a NUMA node: before v6.1.
    pub has_node_tracepoints: bool,
    /// A program on a tracepoint can be preempted, and is skipped then for the tasks that run meanwhile.
    pub preempts_probes: bool,
    /// A program on a tracepoint is not run while it is running on that CPU: Linux commit 05b24ff9b2cf ("bpf: Prevent bpf program
    /// recursion for raw tracepoint probes") (in v6.1), which added the function that counts such runs.
    pub guards_probes: bool,
}

/// The way from a task to some slab cache: `task->nsproxy->pid_ns_for_children->pid_cachep`.
#[derive(Clone, Debug)]
pub struct TaskLayout {
    pub nsproxy: u32,
    pub nsproxy_pid_ns: u32,
    pub pid_ns_cache: u32,
}

/// The way from a task to its ids in each PID namespace: `task->group_leader->thread_pid->numbers[level]`.
#[derive(Clone, Debug)]
pub struct PidLayout {
    pub task_leader: u32,
    pub task_pid: u32,
    pub level: u32,
    pub numbers: u32,
    /// Of an entry of `numbers`.
    pub number_size: u32,
    pub number: u32,
    pub number_namespace: u32,
}

/// `struct kmem_cache` and `struct kmem_cache_node`.
#[derive(Clone, Debug)]
pub struct CacheLayout {
    pub name: u32,
    pub size: u32,
    pub object_size: u32,
    /// Order of the cache's slabs in the upper half, objects in each in the lower.
    pub order_objects: u32,
    /// Links all caches.
    pub list: u32,
    /// How many slabs a CPU may have beside its own, or before v5.16 how many free objects may be in them. Neither is there where CPUs
    /// have none.
    pub cpu_partial_slabs: Field,
    pub cpu_partial: Field,
    /// From v6.18 on.
    pub sheaf_capacity: Field,
    pub nodes: u32,
    pub node_partial: u32,
}

impl CacheLayout {
    /// Of the fields that say what a cache is like.
    pub fn span(&self) -> Range<u32> {
        let Self {
            name,
            size,
            object_size,
            order_objects,
            cpu_partial_slabs,
            cpu_partial,
            sheaf_capacity,
            ..
        } = *self;
        let always = [name, size, object_size, order_objects].map(Some);
        span(&[&always[..], &[cpu_partial_slabs, cpu_partial, sheaf_capacity]].concat())
    }
}

/// `struct slab`, or before v5.17 the part of `struct page` that became it.
#[derive(Clone, Debug)]
pub struct SlabLayout {
    pub list: u32,
    pub freelist: u32,
    pub page_size: u32,
}

/// Where `struct page` says which NUMA node it is of: in the uppermost bits of its flags, where pages are one array
/// (SPARSEMEM_VMEMMAP); else the memory section is above them. As in include/linux/page-flags-layout.h from v5.10 to v7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageNode {
    pub flags: u32,
    /// `NODES_SHIFT`.
    pub bits: u32,
}

impl PageNode {
    /// The node that a page's flags say.
    pub fn of(self, flags: u64) -> u64 {
        flags.checked_shr(u64::BITS - self.bits).unwrap_or(0)
    }
}

impl Layout {
    pub fn from_types(types: &KernelTypes) -> Result<Self, TypesError> {
        let cache = |field| types.offset("kmem_cache", field);
        // Linux commit d122019bf061 ("mm: Split slab into its own type") (in v5.17) made `struct slab`.
        let slab = |field| types.first_offset(&[("slab", field), ("page", field)]);
        let functions = Functions::find(types);
        Ok(Self {
            arguments: arguments(types, &functions),
            offsets: offsets(types)?,
            processes: processes(types).map_err(|error| error.to_string()),
            memory_cgroups: memory_cgroups(types).map_err(|error| error.to_string()),
            unified_cgroups: unified_cgroups(types).unwrap_or_default(),
            task: TaskLayout {
                nsproxy: types.offset("task_struct", "nsproxy")?,
                nsproxy_pid_ns: types.offset("nsproxy", "pid_ns_for_children")?,
                pid_ns_cache: types.offset("pid_namespace", "pid_cachep")?,
            },
            pid: PidLayout {
                task_leader: types.offset("task_struct", "group_leader")?,
                task_pid: types.offset("task_struct", "thread_pid")?,
                level: types.offset("pid", "level")?,
                numbers: types.offset("pid", "numbers")?,
                number_size: types.size("upid")?,
                number: types.offset("upid", "nr")?,
                number_namespace: types.offset("upid", "ns")?,
            },
            cache: CacheLayout {
                name: cache("name")?,
                size: cache("size")?,
                object_size: cache("object_size")?,
                order_objects: cache("oo")?,
                list: cache("list")?,
                cpu_partial_slabs: cache("cpu_partial_slabs").ok(),
                cpu_partial: cache("cpu_partial").ok(),
                sheaf_capacity: cache("sheaf_capacity").ok(),
                nodes: cache("node").or_else(|_| per_node(types))?,
                node_partial: types.offset("kmem_cache_node", "partial")?,
            },
            slab: SlabLayout {
                list: slab("slab_list")?,
                freelist: slab("freelist")?,
                page_size: types.size("page")?,
            },
            page_node: page_node(types).map_err(|error| error.to_string()),
            inspect: Fields::find(types),
            slabs: SlabsLayout::find(types).map_err(|error| error.to_string()),
            signs: SignFields::find(types),
            unused: UnusedFields::find(types).map_err(|error| error.to_string()),
            has_node_tracepoints: types.has_tracepoint("kmem_cache_alloc_node"),
            preempts_probes: preempts_probes(types),
            guards_probes: types.function("bpf_prog_inc_misses_counter").is_some(),
            functions,
        })
    }

    /// `kmem_cache_alloc` says which cache it allocates from.
    pub fn alloc_names_cache(&self) -> bool {
        self.arguments.alloc_cache != NO_ARGUMENT
    }

    /// `kmem_cache_free` says which cache it frees to.
    pub fn free_names_cache(&self) -> bool {
        self.arguments.free_cache != NO_ARGUMENT
    }
}

/// Since Linux commit a46023d5616e ("tracing: Guard __DECLARE_TRACE() use of __DO_TRACE_CALL() with SRCU-fast") (in v7.0)
/// tracepoints have their SRCU domain again, which up to v6.13 was for idle CPUs; SRCU-fast and its `srcu_ctr` are from v6.15.
fn preempts_probes(types: &KernelTypes) -> bool {
    types.has_per_cpu_variable("tracepoint_srcu_srcu_data") && types.has_structure("srcu_ctr")
}

/// From v7.1 the pointer to a cache's node sits in an array of structures.
fn per_node(types: &KernelTypes) -> Result<u32, TypesError> {
    Ok(types.offset("kmem_cache", "per_node")? + types.offset("kmem_cache_per_node_ptrs", "node")?)
}

/// How many nodes a kernel can have shows by its arrays with one element for each.
fn page_node(types: &KernelTypes) -> Result<PageNode, TypesError> {
    let nodes =
        types.array_length("kmem_cache", "node").or_else(|_| types.array_length("kmem_cache", "per_node"))?;
    Ok(PageNode { flags: types.offset("page", "flags")?, bits: nodes.max(1).ilog2() })
}

/// The same change that added the cache's name as the third argument of `kmem_cache_free` moved it to before the object is
/// given back: Linux commit 3544de8ee6e4 ("mm, tracing: record slab name for kmem_cache_free()") (in v5.12).
fn arguments(types: &KernelTypes, functions: &Functions) -> Arguments {
    let cache = |tracepoint| types.tracepoint_argument(tracepoint, "kmem_cache").unwrap_or(NO_ARGUMENT);
    let gfp = |tracepoint| types.tracepoint_argument_of_type(tracepoint, "gfp_t").unwrap_or(NO_ARGUMENT);
    let returned = |function| functions.argument_count(function).unwrap_or(NO_ARGUMENT);
    Arguments {
        alloc_cache: cache("kmem_cache_alloc"),
        free_cache: cache("kmem_cache_free"),
        alloc_gfp: gfp("kmem_cache_alloc"),
        kmalloc_gfp: gfp("kmalloc"),
        alloc_return: returned(functions::KMEM_CACHE_ALLOC),
        alloc_lru_return: returned(functions::KMEM_CACHE_ALLOC_LRU),
        alloc_node_return: returned(functions::KMEM_CACHE_ALLOC_NODE),
        d_alloc_return: returned(functions::D_ALLOC),
        d_alloc_parallel_return: returned(functions::D_ALLOC_PARALLEL),
        free_is_late: u32::from(types.tracepoint_argument_count("kmem_cache_free") == Some(2)),
        alloc_bulk_returns: functions.alloc_bulk().map_or(NO_ARGUMENT, |(_, function)| {
            if function.returns_bool { RETURNS_BOOL } else { RETURNS_COUNT }
        }),
        kfree_rcu_sheaf_return: returned(functions::KFREE_RCU_SHEAF),
    }
}

fn offsets(types: &KernelTypes) -> Result<Offsets, TypesError> {
    Ok(Offsets {
        task_flags: types.offset("task_struct", "flags")?,
        task_tgid: types.offset("task_struct", "tgid")?,
        task_comm: types.offset("task_struct", "comm")?,
        task_is_typed: u32::from(types.has_helper("get_current_task_btf")),
        page_compound_head: types.first_offset(&[("page", "compound_head"), ("page", "compound_info")])?,
        slab_cache: types.first_offset(&[("slab", "slab_cache"), ("page", "slab_cache")])?,
        dentry_parent: types.offset("dentry", "d_parent")?,
        dentry_name: types.offset("dentry", "d_name.name")?,
        dentry_name_len: types.offset("dentry", "d_name.len")?,
        reserved: 0,
    })
}

fn processes(types: &KernelTypes) -> Result<ProcessOffsets, TypesError> {
    let task = |field| types.offset("task_struct", field);
    for tracepoint in ["sched_process_fork", "sched_process_exec", "sched_process_exit"] {
        if !types.has_tracepoint(tracepoint) {
            return Err(TypesError::NoSuchType(tracepoint.to_owned()));
        }
    }
    Ok(ProcessOffsets {
        group_leader: task("group_leader")?,
        start_boottime: task("start_boottime")?,
        pid: task("pid")?,
        real_parent: task("real_parent")?,
        mm: task("mm")?,
        mm_arg_start: types.offset("mm_struct", "arg_start")?,
        mm_arg_end: types.offset("mm_struct", "arg_end")?,
        program_filename: types.offset("linux_binprm", "filename")?,
        signal: task("signal")?,
        reserved: 0,
    })
}

/// How to read a task's cgroup in the hierarchy that charges memory apart from others.
fn memory_cgroups(types: &KernelTypes) -> Result<Cgroups, TypesError> {
    let controller = types.enumerator("cgroup_subsys_id", "memory_cgrp_id")?;
    let set_entry = types.offset("css_set", "subsys")? + controller * size_of::<u64>() as u32;
    cgroups(types, CGROUP_BY_MEMORY, set_entry)
}

/// In the one hierarchy: by the helper, unless fields can be loaded, which costs less.
fn unified_cgroups(types: &KernelTypes) -> Result<Cgroups, TypesError> {
    let way = if types.has_helper("get_current_task_btf") { CGROUP_BY_DEFAULT } else { CGROUP_BY_HELPER };
    let state = types.offset("cgroup", "self")?;
    Ok(Cgroups { state, ..cgroups(types, way, types.offset("css_set", "dfl_cgrp")?)? })
}

fn cgroups(types: &KernelTypes, way: u32, set_entry: u32) -> Result<Cgroups, TypesError> {
    Ok(Cgroups {
        way,
        task_cgroups: types.offset("task_struct", "cgroups")?,
        set_entry,
        state_cgroup: types.offset("cgroup_subsys_state", "cgroup")?,
        state_parent: types.offset("cgroup_subsys_state", "parent")?,
        cgroup_node: types.offset("cgroup", "kn")?,
        node_id: types.offset("kernfs_node", "id")?,
        ..Cgroups::default()
    })
}

#[cfg(test)]
mod tests;
