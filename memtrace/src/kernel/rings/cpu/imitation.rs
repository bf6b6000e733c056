//! What the programs do, in this process: for tests, and to find out how hosts do that have more CPUs than ours.

use std::{
    fs::File,
    mem::offset_of,
    os::fd::{AsFd as _, OwnedFd},
    sync::atomic::{AtomicU64, Ordering},
};

use memtrace_common::cpu_ring::{
    ALLOC, AllocRecord, By, CHUNK, CONTEXT, Chunk, Context, Control, FREE, Head, PAGE_TIMES, Place, Spot,
    alloc_time, jumps, page_place, stamp, writer,
};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    mm::ProtFlags,
};

use super::{
    super::{error::RingError, mapping::Mapping, sizes::CpuRingSizes},
    CpuRings,
};
use crate::{
    kernel::clock,
    stream::event::{Address, TimeNs},
};

pub(super) const ALLOC_RING: usize = writer::KMEM_CACHE_ALLOC;
pub(super) const FREE_RING: usize = writer::KMEM_CACHE_FREE;

/// By then an event is in its ring, as the reader of a real host has it.
const SETTLES_NS: TimeNs = 10_000;

/// The memory that programs and reader share: each CPU has a ring for allocations and one for frees.
pub struct Host {
    control: OwnedFd,
    chunks: OwnedFd,
    sizes: CpuRingSizes,
    page_times: Vec<AtomicU64>,
}

impl Host {
    /// With rings of so many bytes.
    pub fn new(cpus: u32, bytes: u32) -> Result<Self, RingError> {
        let mut sizes = CpuRingSizes { cpus, rings: 0, chunks: 0, places: Default::default() };
        for writer in [ALLOC_RING, FREE_RING] {
            let place = Place { ring: sizes.rings, chunk: sizes.chunks, bytes };
            sizes.places[writer] = place;
            sizes.rings += cpus;
            sizes.chunks += place.chunks() * cpus;
        }
        let map = |bytes: usize| -> Result<OwnedFd, RingError> {
            let file =
                memfd_create("rings", MemfdFlags::empty()).map_err(|error| RingError::Map(error.into()))?;
            let file = File::from(file);
            file.set_len(bytes as u64).map_err(RingError::Map)?;
            Ok(file.into())
        };
        let control = map((sizes.rings as usize * size_of::<Control>()).next_multiple_of(4096))?;
        let chunks = map(sizes.chunks as usize * size_of::<Chunk>() + 4096)?;
        let page_times = (0..PAGE_TIMES).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { control, chunks, sizes, page_times })
    }

    pub fn rings(&self) -> Result<CpuRings, RingError> {
        let chunks = self.chunks.try_clone().map_err(RingError::Map)?;
        CpuRings::new(&self.control, chunks, &self.sizes)
    }

    pub fn cpu(&self, cpu: u32) -> Result<Cpu<'_>, RingError> {
        let (allocs, frees) = (self.writer(ALLOC_RING, cpu)?, self.writer(FREE_RING, cpu)?);
        Ok(Cpu { allocs, frees, page_times: &self.page_times })
    }

    /// What happened before that may be read.
    pub fn settled() -> TimeNs {
        clock::now().saturating_sub(SETTLES_NS)
    }

    pub(super) fn writer(&self, writer: usize, cpu: u32) -> Result<Writer, RingError> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let place = self.sizes.places[writer];
        let control = u64::from(self.sizes.rings) * size_of::<Control>() as u64;
        let chunks = u64::from(self.sizes.chunks) * size_of::<Chunk>() as u64;
        Ok(Writer {
            control: Mapping::new(self.control.as_fd(), 0, control, access)?,
            chunks: Mapping::new(self.chunks.as_fd(), 0, chunks, access)?,
            at_control: (place.ring + cpu) as usize * size_of::<Control>(),
            first: place.chunk + cpu * place.chunks(),
            bytes: place.bytes,
            by: [0; 5],
        })
    }
}

/// The programs of one CPU.
pub struct Cpu<'h> {
    allocs: Writer,
    frees: Writer,
    page_times: &'h [AtomicU64],
}

impl Cpu<'_> {
    /// False where there is no room: the event is lost, and counted.
    pub fn alloc(&mut self, ptr: Address, tgid: u32) -> bool {
        let noted = &self.page_times[page_place(ptr) as usize];
        let mut before = noted.load(Ordering::Acquire);
        let time = loop {
            let time = alloc_time(clock::now(), before).max(self.allocs.last());
            match noted.compare_exchange(before, time, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break time,
                Err(other) => before = other,
            }
        };
        self.allocs.alloc(time, ptr, tgid)
    }

    /// As above.
    pub fn free(&mut self, ptr: Address) -> bool {
        let noted = &self.page_times[page_place(ptr) as usize];
        let time = noted.load(Ordering::Acquire).max(self.frees.last());
        noted.fetch_max(time, Ordering::AcqRel);
        self.frees.free(time, ptr)
    }

    /// Of its two rings, the fuller one: 0 to 1.
    pub fn fill(&self) -> f64 {
        self.allocs.fill().max(self.frees.fill())
    }
}

/// What `memtrace-ebpf/src/cpu_ring.rs` does.
pub(super) struct Writer {
    control: Mapping,
    chunks: Mapping,
    at_control: usize,
    first: u32,
    bytes: u32,
    by: By,
}

impl Writer {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.control.number(self.at_control + offset)
    }

    fn add_one(&self, offset: usize) {
        self.word(offset).store(self.word(offset).load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// False where there is no room.
    fn write(&mut self, time: TimeNs, words: &[u64]) -> bool {
        let len = words.len() as u64 * 8;
        let load = |offset| self.word(offset).load(Ordering::Acquire);
        let (head, tail, at) =
            (load(offset_of!(Control, head)), load(offset_of!(Control, tail)), load(offset_of!(Control, at)));
        let Some(Spot { at, restarts }) = Spot::find(head, tail, at, self.bytes, len) else {
            self.add_one(offset_of!(Control, lost));
            return false;
        };
        if restarts {
            self.word(offset_of!(Control, restarted)).store(head, Ordering::Relaxed);
        }
        let chunk = self.first as usize + at as usize / CHUNK as usize;
        let start = chunk * size_of::<Chunk>() + at as usize % CHUNK as usize;
        for (word, number) in words.iter().zip(0..) {
            self.chunks.number(start + number * 8).store(*word, Ordering::Relaxed);
        }
        if jumps(time, load(offset_of!(Control, time))) {
            self.word(offset_of!(Control, jumped)).store(head, Ordering::Relaxed);
            self.word(offset_of!(Control, jump_time)).store(time, Ordering::Relaxed);
        }
        self.word(offset_of!(Control, at)).store(at + len, Ordering::Relaxed);
        self.word(offset_of!(Control, time)).store(time, Ordering::Relaxed);
        self.add_one(offset_of!(Control, events));
        self.word(offset_of!(Control, head)).store(head + len, Ordering::Release);
        true
    }

    pub(super) fn alloc(&mut self, time: TimeNs, ptr: Address, tgid: u32) -> bool {
        let by = [tgid.into(), 0, 1, 0, 0];
        let mut words = Vec::new();
        if by != self.by {
            words.push(CONTEXT);
            words.extend(by);
        }
        words.extend([ptr | ALLOC, u64::from(stamp(time)) << 32, 0x40, 0]);
        let is_written = self.write(time, &words);
        if is_written {
            self.by = by;
        }
        is_written
    }

    fn fill(&self) -> f64 {
        let load = |offset| self.word(offset).load(Ordering::Acquire);
        let unread = load(offset_of!(Control, head)) - load(offset_of!(Control, tail));
        unread as f64 / f64::from(self.bytes)
    }

    /// Of the last event.
    pub(super) fn last(&self) -> TimeNs {
        self.word(offset_of!(Control, time)).load(Ordering::Relaxed)
    }

    pub(super) fn free(&mut self, time: TimeNs, ptr: Address) -> bool {
        self.write(time, &[ptr | FREE, u64::from(stamp(time)) << 32 | 1])
    }
}

const _: () = {
    assert!(size_of::<Head>() == 16 && size_of::<AllocRecord>() == 32 && size_of::<Context>() == 48);
};
