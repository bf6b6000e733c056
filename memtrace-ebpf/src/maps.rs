//! Maps shared with userspace. Sizes are defaults; the loader sets the real ones.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, RingBuf},
};
use memtrace_common::{COMM_LEN, counters::Counters, peek::Peek};

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub static CACHE_FILTER: HashMap<u64, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub static PID_FILTER: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

#[map]
pub static COMM_FILTER: HashMap<[u8; COMM_LEN], u8> = HashMap::with_max_entries(1, 0);

#[map]
pub static PEEK: Array<Peek> = Array::with_max_entries(1, 0);
