//! Maps shared with userspace. Sizes are defaults; the loader sets the real ones.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{self, ArrayOfMaps},
    macros::{btf_map, map},
    maps::{Array, HashMap, PerCpuArray},
};
use memtrace_common::{
    census::{Look, Scan},
    counters::{Counters, LossKey},
    cpu_ring::{Chunk, Control, PageTime},
    generation::{CacheId, MAX_ADDRESSES, SLOTS},
    peek::Peek,
};

use crate::task::Comm;

/// A ring of the smallest size: userspace puts larger ones into [`RINGS`].
pub type Ring = btf_maps::RingBuf<(), 4096>;

/// The rings that events go to, by [`memtrace_common::ring::index`].
#[btf_map]
pub static RINGS: ArrayOfMaps<Ring, 1> = ArrayOfMaps::new();

/// What writers and the reader of each CPU's rings tell each other: see [`memtrace_common::cpu_ring`].
#[map]
pub static CPU_RING_CONTROL: Array<Control> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// All of these rings.
#[map]
pub static CPU_RING_CHUNKS: Array<Chunk> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// When something was last allocated on a page, by [`memtrace_common::cpu_ring::page_place`].
#[map]
pub static PAGE_TIMES: Array<PageTime> = Array::with_max_entries(1, 0);

#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// Lost events by cache and kind: see [`memtrace_common::counters`].
#[map]
pub static LOSSES: HashMap<LossKey, u64> = HashMap::with_max_entries(1024, 0);

/// The limit of [`memtrace_common::sample`], which userspace may lower while programs run.
#[map]
pub static SAMPLE_LIMIT: Array<u32> = Array::with_max_entries(1, 0);

/// Caches by address, where another was there before: see [`memtrace_common::generation`].
#[map]
pub static CACHE_GENERATIONS: HashMap<u64, CacheId> = HashMap::with_max_entries(MAX_ADDRESSES, 0);

/// 1 where [`CACHE_GENERATIONS`] may have an address of this slot.
#[map]
pub static GENERATION_SLOTS: Array<[u8; SLOTS]> = Array::with_max_entries(1, 0);

#[map]
pub static CACHE_FILTER: HashMap<u64, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub static PID_FILTER: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

/// Processes that one of [`PID_FILTER`] started, or one of these: see `tree.rs`.
#[map]
pub static TREE: HashMap<u64, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub static UID_FILTER: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

/// See [`memtrace_common::cgroup`].
#[map]
pub static CGROUP_FILTER: HashMap<u64, u8> = HashMap::with_max_entries(1, 0);

/// Objects of tasks that the filters pass: see [`memtrace_common::held`].
#[map]
pub static HELD: Array<u64> = Array::with_max_entries(1, 0);

#[map]
pub static COMM_FILTER: HashMap<Comm, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub static PEEK: Array<Peek> = Array::with_max_entries(1, 0);

#[map]
pub static SCAN: Array<Scan> = Array::with_max_entries(1, 0);

#[map]
pub static LOOK: Array<Look> = Array::with_max_entries(1, 0);
