//! A synthetic kernel: slab pages that lie anywhere in memory, tasks that allocate and free, and the records that our
//! probes would send.

use std::collections::VecDeque;

use fastrand::Rng;
use memtrace_common::{
    COMM_LEN,
    event::{
        AllocEvent, FreeEvent, Header, KIND_ALLOC, KIND_FREE, KIND_SHORT_NAME, SHORT_NAME_LEN,
        ShortNameEvent, cache_tag,
    },
};

/// Objects of a slab page: dentries, 192 bytes each.
const PER_SLAB: u64 = 21;
const OBJECT_SIZE: u64 = 192;

/// An address that was freed is handed out again after this many others.
const FREE_LIST: u64 = 4096;

/// The same numbers in each run.
pub fn random() -> Rng {
    Rng::with_seed(0x2545_f491_4f6c_dd1d)
}

/// Who allocates.
#[derive(Clone, Copy)]
pub struct Task {
    pub tgid: u32,
    pub comm: [u8; COMM_LEN],
}

impl Task {
    /// Many processes have few command names.
    pub fn new(tgid: u32) -> Self {
        let mut comm = [0; COMM_LEN];
        let name = format!("worker-{}", tgid % 100);
        comm[..name.len()].copy_from_slice(name.as_bytes());
        Self { tgid, comm }
    }
}

/// Records as in the ring, one after the other.
#[derive(Default)]
pub struct Records {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Records {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let record = &self.bytes[start..end as usize];
            start = end as usize;
            record
        })
    }

    fn push<T: Copy>(&mut self, record: &T) {
        // SAFETY: records have no padding, so all their bytes are initialised; they are copied while `record` is borrowed.
        let bytes =
            unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast::<u8>(), size_of::<T>()) };
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len() as u32);
    }
}

/// The objects that are allocated, by number; and the clock.
pub struct Heap {
    live: Vec<u32>,
    free: VecDeque<u32>,
    unused: u32,
    time_ns: u64,
}

impl Heap {
    pub fn with_capacity(objects: usize) -> Self {
        Self {
            live: Vec::with_capacity(objects + FREE_LIST as usize),
            free: VecDeque::with_capacity(2 * FREE_LIST as usize),
            unused: 0,
            time_ns: 1_000_000_000_000,
        }
    }

    /// As new, with the memory it has.
    pub fn restart(&mut self) {
        self.live.clear();
        self.free.clear();
        self.unused = 0;
    }

    pub fn live(&self) -> usize {
        self.live.len()
    }

    pub fn alloc(&mut self, task: Task, cache: u64, records: &mut Records) -> u64 {
        let object = self.take();
        self.live.push(object);
        records.push(&AllocEvent {
            header: header(KIND_ALLOC),
            tgid: task.tgid,
            ptr: address(object),
            time_ns: self.tick(),
            cache: cache_address(cache),
            call_site: 0xffff_ffff_8120_0000 + cache * 64,
            cgroup: 1,
            comm: task.comm,
            started: task.tgid,
            gfp: 0xcc0,
        });
        address(object)
    }

    pub fn name(&self, dentry: u64, name: &str, records: &mut Records) {
        let padded = |text: &str| {
            let mut bytes = [0; SHORT_NAME_LEN];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            bytes
        };
        records.push(&ShortNameEvent {
            header: header(KIND_SHORT_NAME),
            reserved: 0,
            dentry,
            parent: 0xffff_8880_0200_0000,
            name_len: name.len() as u32,
            parent_name_len: 5,
            name: padded(name),
            parent_name: padded("nssdb"),
        });
    }

    /// Frees one of all objects.
    pub fn free_any(&mut self, random: &mut Rng, records: &mut Records) {
        let at = random.usize(..self.live.len());
        let object = self.live.swap_remove(at);
        self.free(object, records);
    }

    /// Frees one of the `recent` objects that were allocated last.
    pub fn free_recent(&mut self, recent: usize, random: &mut Rng, records: &mut Records) {
        let recent = recent.min(self.live.len());
        let at = self.live.len() - 1 - random.usize(..recent);
        let object = self.live.swap_remove(at);
        self.free(object, records);
    }

    fn free(&mut self, object: u32, records: &mut Records) {
        self.tick();
        let cache_tag = cache_tag(cache_address(1));
        records.push(&FreeEvent { header: header(KIND_FREE), cache_tag, ptr: address(object) });
        self.free.push_back(object);
    }

    fn take(&mut self) -> u32 {
        if self.free.len() as u64 >= FREE_LIST
            && let Some(object) = self.free.pop_front()
        {
            return object;
        }
        self.unused += 1;
        self.unused - 1
    }

    /// Two million events a second.
    fn tick(&mut self) -> u64 {
        self.time_ns += 500;
        self.time_ns
    }
}

fn header(kind: u16) -> Header {
    Header { kind, flags: 0 }
}

fn cache_address(cache: u64) -> u64 {
    0xffff_8880_0100_0000 + cache * 256
}

/// Where an object lies: slabs are pages anywhere in 64 GiB.
fn address(object: u32) -> u64 {
    let (slab, index) = (u64::from(object) / PER_SLAB, u64::from(object) % PER_SLAB);
    let page = slab.wrapping_mul(0x9e37_79b1) & 0xff_ffff;
    0xffff_8880_0000_0000 + page * 4096 + index * OBJECT_SIZE
}
