//! The part of a ring that is mapped.

use std::os::fd::BorrowedFd;

use memtrace_common::cpu_ring::{CHUNK, Chunk};
use rustix::mm::ProtFlags;

use super::{error::RingError, mapping::Mapping};

/// One chunk, or none yet: all of them would count as our resident memory.
#[derive(Default)]
pub struct ChunkWindow {
    mapped: Option<Mapped>,
}

struct Mapped {
    mapping: Mapping,
    chunk: u32,
    /// Where it begins in the mapping: a chunk is no whole number of pages.
    start: usize,
}

impl ChunkWindow {
    /// What is in a ring from `at` on, up to the end of the chunk that this lies in; the ring begins with the chunk `first`.
    #[inline]
    pub fn bytes(&mut self, fd: BorrowedFd<'_>, first: u32, at: u32) -> Result<&[u8], RingError> {
        let (chunk, at) = (first + at / CHUNK, (at % CHUNK) as usize);
        if self.mapped.as_ref().is_none_or(|mapped| mapped.chunk != chunk) {
            // Both at once would count as our memory.
            self.mapped = None;
            self.mapped = Some(Mapped::new(fd, chunk)?);
        }
        let Mapped { mapping, start, .. } = self.mapped.as_ref().expect("it was mapped now");
        // SAFETY: the whole chunk is mapped. Its writer writes only where the reader has said that it is done, and what it has not
        // yet said to be there.
        Ok(unsafe { std::slice::from_raw_parts(mapping.at(start + at).as_ptr(), size_of::<Chunk>() - at) })
    }
}

impl Mapped {
    fn new(fd: BorrowedFd<'_>, chunk: u32) -> Result<Self, RingError> {
        let page = rustix::param::page_size() as u64;
        let offset = u64::from(chunk) * size_of::<Chunk>() as u64;
        let start = offset % page;
        let len = (start + size_of::<Chunk>() as u64).next_multiple_of(page);
        let mapping = Mapping::new(fd, offset - start, len, ProtFlags::READ)?;
        Ok(Self { mapping, chunk, start: start as usize })
    }
}
