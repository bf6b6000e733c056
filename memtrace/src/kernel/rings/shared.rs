//! Rings that all programs on all CPUs share, and their reader.
//!
//! Each is a BPF ring buffer. The kernel offers all of it for mapping, twice in a row so that no record is broken at the
//! end. It would count as our resident memory, and mapping it takes time, so only a window of the data is mapped, where
//! the next records are.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicU32, Ordering},
};

use aya::maps::MapData;
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;
use rustix::mm::ProtFlags;

use super::{error::RingError, mapping::Mapping, sizes::RingSizes};

/// Bytes in front of each record: its length with two flags, and the kernel's own.
const RECORD_HEADER: u64 = 8;
/// In a record's length: it is being written.
const BUSY: u32 = 1 << 31;
/// In a record's length: it is void.
const DISCARDED: u32 = 1 << 30;

/// So much of a ring's data is mapped at a time, besides room for the record that the window's end lies in.
const WINDOW: u64 = 512 << 10;
/// Longest record that is read, its header included.
const MAX_RECORD: u64 = 64 << 10;

/// Bytes after which the kernel gets their room back.
const RELEASE_EVERY: u64 = 16 << 10;

/// All rings of a session.
pub struct SharedRings {
    rings: Vec<Ring>,
    /// Where the next drain begins, so that under a flood no ring has to wait for the others.
    next: usize,
}

impl SharedRings {
    /// Makes the rings; the caller puts them where the programs find them.
    pub fn create(sizes: RingSizes) -> Result<Self, RingError> {
        let rings = (0..sizes.count).map(|_| Ring::create(sizes.bytes)).collect::<Result<_, _>>()?;
        Ok(Self { rings, next: 0 })
    }

    pub fn maps(&self) -> impl Iterator<Item = &MapData> {
        self.rings.iter().map(|ring| &ring.map)
    }

    /// Hands each record to `sink`, the oldest of a ring first, until those are read that were there at the call, or
    /// `most` were. Returns how many were read.
    pub fn drain(&mut self, most: usize, mut sink: impl FnMut(&[u8])) -> Result<usize, RingError> {
        let mut read = 0;
        for _ in 0..self.rings.len() {
            let index = self.next;
            self.next = (index + 1) % self.rings.len();
            read += self.rings[index].drain(most - read, &mut sink)?;
            if read == most {
                break;
            }
        }
        Ok(read)
    }
}

struct Ring {
    map: MapData,
    /// Holds the reader's position, which we write.
    consumer: Mapping,
    /// Holds the writers' position.
    producer: Mapping,
    data: Window,
    /// Records up to here are read. Counts on and on; the place in the ring is its remainder.
    position: u64,
}

impl Ring {
    fn create(bytes: u32) -> Result<Self, RingError> {
        let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, bytes, 0);
        let map = MapData::create(definition, "memtrace_ring", None)
            .map_err(|source| RingError::Create { bytes, source })?;
        let page = rustix::param::page_size() as u64;
        let fd = map.fd().as_fd();
        Ok(Self {
            consumer: Mapping::new(fd, 0, page, ProtFlags::READ | ProtFlags::WRITE)?,
            producer: Mapping::new(fd, page, page, ProtFlags::READ)?,
            data: Window::new(fd, u64::from(bytes), 2 * page)?,
            map,
            position: 0,
        })
    }

    fn drain(&mut self, most: usize, sink: &mut impl FnMut(&[u8])) -> Result<usize, RingError> {
        let end = self.producer.number(0).load(Ordering::Acquire);
        let mut read = 0;
        let mut released = self.position;
        while self.position < end && read < most {
            self.data.reach(self.map.fd().as_fd(), self.position)?;
            let Some((record, len)) = self.data.record(self.position) else { break };
            if let Some(record) = record {
                sink(record);
                read += 1;
            }
            self.position += len;
            if self.position - released >= RELEASE_EVERY {
                released = self.position;
                self.release();
            }
        }
        self.release();
        Ok(read)
    }

    /// Gives the room of what was read back to the writers.
    fn release(&self) {
        self.consumer.number(0).store(self.position, Ordering::Release);
    }
}

/// The part of a ring's data that is mapped.
struct Window {
    mapping: Mapping,
    /// Of the whole ring, in bytes.
    ring: u64,
    /// Where the data begins in the map's file.
    offset: u64,
    /// Position that the window begins at, and how many bytes from there a record may begin at.
    start: u64,
    len: u64,
}

impl Window {
    fn new(fd: BorrowedFd<'_>, ring: u64, offset: u64) -> Result<Self, RingError> {
        let len = ring.min(WINDOW);
        let mapping = Mapping::new(fd, offset, len + ring.min(MAX_RECORD), ProtFlags::READ)?;
        Ok(Self { mapping, ring, offset, start: 0, len })
    }

    /// Moves the window to where the record at `position` begins, unless it lies there.
    fn reach(&mut self, fd: BorrowedFd<'_>, position: u64) -> Result<(), RingError> {
        if position - self.start < self.len {
            return Ok(());
        }
        let start = position - position % self.len;
        // A ring that is mapped whole comes round to the same place.
        if self.len < self.ring {
            self.mapping.replace(fd, self.offset + start % self.ring)?;
        }
        self.start = start;
        Ok(())
    }

    /// The record at a position in the window, none where it is void, and the length that it takes in the ring; or
    /// nothing where it is still being written.
    fn record(&self, position: u64) -> Option<(Option<&[u8]>, u64)> {
        let at = (position - self.start) as usize;
        // SAFETY: `at` is in the window, a record's header is aligned to 8 bytes, and the kernel writes its length
        // atomically.
        let header = unsafe { AtomicU32::from_ptr(self.mapping.at(at).cast().as_ptr()) };
        let header = header.load(Ordering::Acquire);
        if header & BUSY != 0 {
            return None;
        }
        let len = header & !DISCARDED;
        let whole = (RECORD_HEADER + u64::from(len)).next_multiple_of(8);
        if header & DISCARDED != 0 || whole > MAX_RECORD.min(self.ring) {
            return Some((None, whole));
        }
        // SAFETY: the record is complete, lies in the mapping as `whole` is not longer than the room behind the window, and
        // is not overwritten before the position behind it is released.
        let record = unsafe {
            std::slice::from_raw_parts(
                self.mapping.at(at + RECORD_HEADER as usize).as_ptr().cast_const(),
                len as usize,
            )
        };
        Some((Some(record), whole))
    }
}
