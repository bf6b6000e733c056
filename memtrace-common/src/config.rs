//! What userspace knows of this kernel and this session, as one read-only global.
//!
//! The global is frozen before the programs are loaded, so the verifier knows every field as a constant: a branch
//! on it costs nothing, and code behind a feature that this kernel lacks is never verified.

use crate::cpu_ring::{Place, WRITERS};

/// For an argument that a tracepoint does not have.
pub const NO_ARGUMENT: u32 = u32::MAX;

/// [`Arguments::alloc_bulk_returns`]: how many objects there are.
pub const RETURNS_COUNT: u32 = 0;
/// [`Arguments::alloc_bulk_returns`]: a bool, whether there are all.
pub const RETURNS_BOOL: u32 = 1;

/// [`CacheFilter::mode`]: every slab cache is traced.
pub const CACHES_ALL: u32 = 0;
/// [`CacheFilter::mode`]: only the cache at [`CacheFilter::only`].
pub const CACHES_ONE: u32 = 1;
/// [`CacheFilter::mode`]: the caches whose addresses are keys of the map `CACHE_FILTER`.
pub const CACHES_SET: u32 = 2;
/// [`CacheFilter::mode`]: all others, new ones as well.
pub const CACHES_EXCEPT: u32 = 3;

/// [`TaskFilter`]: no filter.
pub const TASKS_ALL: u32 = 0;
/// [`TaskFilter`]: the keys of the filter's map.
pub const TASKS_SET: u32 = 1;
/// [`TaskFilter::comms`]: all but the keys of the map.
pub const TASKS_EXCEPT: u32 = 2;
/// [`TaskFilter::processes`]: the keys of the map, and what they start: the map `TREE`.
pub const TASKS_TREE: u32 = 3;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    pub caches: CacheFilter,
    pub tasks: TaskFilter,
    pub rings: Rings,
    pub arguments: Arguments,
    pub pages: Pages,
    pub offsets: Offsets,
    pub processes: ProcessOffsets,
    pub cgroups: Cgroups,
    pub stacks: Stacks,
    pub pids: PidNamespace,
    pub slabs: Slabs,
}

/// Which caches are traced. The dentry cache is named besides, since its objects get names.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheFilter {
    /// Address of the one `struct kmem_cache`.
    pub only: u64,
    /// Address of the cache that every `struct kmem_cache` is from; 0 where it is not known.
    pub of_caches: u64,
    pub mode: u32,
    /// 1 when objects of `dentry` are traced, so that their names are worth sending.
    pub names: u32,
}

/// [`TaskFilter::own_tgid`]: of no process.
pub const NO_TGID: u32 = u32::MAX;

/// Whose allocations are traced. Anybody may free an object.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskFilter {
    /// memtrace's own process, to be left out; [`NO_TGID`] where userspace leaves it out.
    pub own_tgid: u32,
    /// Keys of `PID_FILTER`: `TASKS_ALL`, `_SET` or `_TREE`.
    pub processes: u32,
    /// Keys of `UID_FILTER`, real user ids: `TASKS_ALL` or `_SET`.
    pub users: u32,
    /// Keys of `COMM_FILTER`: `TASKS_ALL`, `_SET` or `_EXCEPT`.
    pub comms: u32,
    /// See [`crate::cgroup`]: `TASKS_ALL` or `_SET`.
    pub cgroups: u32,
    /// 1: objects of tasks that pass are noted in the map `HELD`, and frees of others are not sent: see [`crate::held`].
    pub notes_held: u32,
}

/// The rings that events go to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Rings {
    /// Their number, a power of two, less one: see [`crate::ring::index`].
    pub mask: u32,
    /// 1: some probes have a backup.
    pub backups: u32,
    /// CPUs on which writers have rings of their own: see [`crate::cpu_ring`]. 0: all events go to the shared rings.
    pub cpus: u32,
    pub reserved: u32,
    pub places: [Place; WRITERS.len()],
}

/// Which argument of a tracepoint, or of a traced function, holds what; [`NO_ARGUMENT`] where it is not there.
/// A return value counts as the argument behind the last one, as in the context of an fexit program.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Arguments {
    /// `struct kmem_cache *` of the tracepoint `kmem_cache_alloc`.
    pub alloc_cache: u32,
    /// `struct kmem_cache *` of the tracepoint `kmem_cache_free`.
    pub free_cache: u32,
    /// `gfp_t` of the tracepoints `kmem_cache_alloc` and `kmalloc`, and of their forms for a NUMA node.
    pub alloc_gfp: u32,
    pub kmalloc_gfp: u32,
    /// Return values of the traced functions.
    pub alloc_return: u32,
    pub alloc_lru_return: u32,
    pub alloc_node_return: u32,
    pub d_alloc_return: u32,
    pub d_alloc_parallel_return: u32,
    /// 1: `kmem_cache_free` fires when the object is back in its cache already, so its page may be no slab's any more.
    pub free_is_late: u32,
    /// What `kmem_cache_alloc_bulk` returns: `RETURNS_*`.
    pub alloc_bulk_returns: u32,
    /// Return value of `__kfree_rcu_sheaf`.
    pub kfree_rcu_sheaf_return: u32,
}

/// How to find the slab cache of an object from its address alone: see [`crate::page`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Pages {
    /// 0 when it is not known: then no program that needs it is attached.
    pub base: u64,
    /// `PAGE_SHIFT`.
    pub page_shift: u32,
    /// `sizeof(struct page)`.
    pub page_size: u32,
    /// Largest `kmalloc` that is served from a slab cache, in bytes; above it the object is whole pages.
    pub largest_slab_kmalloc: u32,
    pub reserved: u32,
}

/// Offsets of fields in kernel structures, in bytes, from the kernel's BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Offsets {
    pub task_flags: u32,
    pub task_tgid: u32,
    pub task_comm: u32,
    /// 1: programs may load fields of the current task themselves, which costs less than asking helpers for each
    /// (`bpf_get_current_task_btf`, Linux commit 3ca1032ab7ab ("bpf: Implement get_current_task_btf and RET_PTR_TO_BTF_ID")
    /// (in v5.11)).
    pub task_is_typed: u32,
    /// `page.compound_head`: bit 0 set in a tail page, the rest then points at the head page.
    pub page_compound_head: u32,
    /// `slab.slab_cache`, or `page.slab_cache` before v5.17.
    pub slab_cache: u32,
    pub dentry_parent: u32,
    /// `dentry.d_name.name`: pointer to the bytes.
    pub dentry_name: u32,
    /// `dentry.d_name.len`: u32.
    pub dentry_name_len: u32,
    pub reserved: u32,
}

/// Offsets of fields that identify and describe a process; all are 0 where processes are not followed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessOffsets {
    /// `task_struct.group_leader`: the first thread of the process.
    pub group_leader: u32,
    /// `task_struct.start_boottime`.
    pub start_boottime: u32,
    /// `task_struct.pid`: of the thread.
    pub pid: u32,
    pub real_parent: u32,
    pub mm: u32,
    pub mm_arg_start: u32,
    pub mm_arg_end: u32,
    /// `linux_binprm.filename`.
    pub program_filename: u32,
    /// `task_struct.signal`: all threads of a process share it, from its fork to its end.
    pub signal: u32,
    pub reserved: u32,
}

/// [`Cgroups::way`]: a helper says the cgroup's id, in the one hierarchy of version 2.
pub const CGROUP_BY_HELPER: u32 = 0;
/// [`Cgroups::way`]: the same, which costs less where fields can be loaded: `task.cgroups->dfl_cgrp->kn->id`.
pub const CGROUP_BY_DEFAULT: u32 = 1;
/// [`Cgroups::way`]: memory is charged in a hierarchy of its own (version 1): `task.cgroups->subsys[memory]->cgroup->kn->id`.
pub const CGROUP_BY_MEMORY: u32 = 2;

/// How to read a task's cgroup, and those around it. Its state is `task.cgroups->subsys[memory]`, or `&task.cgroups->dfl_cgrp->self`
/// where there is one hierarchy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Cgroups {
    /// How to read its id: one of `CGROUP_*`.
    pub way: u32,
    /// 0 where states cannot be read.
    pub task_cgroups: u32,
    /// Of `css_set.dfl_cgrp`, or of the memory controller's entry in `css_set.subsys`.
    pub set_entry: u32,
    /// Of the state in what that points to.
    pub state: u32,
    pub state_cgroup: u32,
    pub state_parent: u32,
    pub cgroup_node: u32,
    pub node_id: u32,
}

/// In the id of a process that memtrace's PID namespace does not have: the rest is the host's, which has 22 bits.
pub const OUTSIDE: u32 = 1 << 31;

/// The PID namespace that memtrace runs in, where it is not the host's: ids of processes are those of the namespace then, as its
/// /proc has them. How to read them: `task->group_leader->thread_pid->numbers[level]`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PidNamespace {
    /// Its address; 0 where it is the host's.
    pub namespace: u64,
    /// How many namespaces it is in.
    pub level: u32,
    pub task_leader: u32,
    pub task_pid: u32,
    pub pid_level: u32,
    /// In `struct pid`, of the entry of that level: its namespace and its number.
    pub pid_namespace: u32,
    pub pid_number: u32,
}

/// Offsets of fields that show what a slab holds: see [`crate::census`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Slabs {
    /// In `slab.counters`: the charges are in the objects, not in an array. 0 where the kernel has no such.
    pub in_object: u64,
    /// Of `struct slab`, or before v5.17 of `struct page`.
    pub freelist: u32,
    pub counters: u32,
    pub page_type: u32,
    /// `obj_exts`, `memcg_data` or `obj_cgroups`; 0 where charges cannot be read.
    pub vector: u32,
    /// `obj_cgroup.refcnt.percpu_count_ptr` and `.memcg`.
    pub objcg_refcnt: u32,
    pub objcg_memcg: u32,
    /// `mem_cgroup.css`, its `cgroup`, that one's `kn`, and the `id` there.
    pub memcg_state: u32,
    pub state_cgroup: u32,
    pub cgroup_node: u32,
    pub node_id: u32,
    /// Of `struct kmem_cache_cpu`, up to v6.19.
    pub cpu_slab: u32,
    pub cpu_freelist: u32,
    pub cpu_tid: u32,
    /// Of `struct page`.
    pub flags: u32,
}

/// Which allocations carry their stack, and which stacks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Stacks {
    /// Objects up to this limit of [`crate::sample`] do; 0: none.
    pub limit: u32,
    /// 1: the calls in the kernel.
    pub kernel: u32,
    /// 1: the calls in the process.
    pub user: u32,
    pub reserved: u32,
}

const _: () = assert!(
    size_of::<Config>() == 24 + 24 + (16 + 12 * WRITERS.len()) + 48 + 24 + 40 + 40 + 32 + 16 + 32 + 64
);
