//! Which page frames a census draws from, and the draw.
//!
//! What is drawn may contain holes: a hole is no slab, and takes nothing from the others' chances.

use std::{
    fs::File,
    io,
    ops::Range,
    os::{fd::AsFd as _, unix::fs::FileExt as _},
};

use memmap2::MmapOptions;
use memtrace_common::{config::Pages, page};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use crate::{
    kernel::{
        discover::Kernel,
        memory::{Memory, MemoryError, Readable as _},
        slabs::{layout::AnchorFields, own_file},
    },
    procfs::Files,
};

/// Frames of a pass. Only whole passes count: a part of one would not be of all memory.
pub const PASS: u64 = 4096;

/// The host's page frames, as ranges of addresses of `struct page`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    ranges: Vec<Range<u64>>,
    /// `sizeof(struct page)`.
    page_size: u64,
    total: u64,
    /// The page of frame 0, where it is known.
    first: Option<u64>,
}

impl Frames {
    pub(in crate::kernel) fn find(
        kernel: &Kernel,
        fields: &AnchorFields,
        pages: &Pages,
    ) -> Result<Self, MemoryError> {
        let memory = &kernel.memory;
        match first_page(memory, fields, pages) {
            Ok(Some(first)) => {
                let zones = Files::live().zones();
                let size = u64::from(pages.page_size);
                let ranges = zones.iter().map(|zone| first + zone.start * size..first + zone.end * size);
                Ok(Self { first: Some(first), ..Self::new(ranges.collect(), size) })
            }
            // The kernel tells frame numbers to CAP_SYS_ADMIN only.
            _ => {
                let of_caches = kernel.caches.first().map_or(0, |cache| cache.address);
                let Pages { base, page_shift, page_size, .. } = *pages;
                by_trying(memory, pages, page::address_of(of_caches, base, page_shift, page_size))
            }
        }
    }

    fn new(mut ranges: Vec<Range<u64>>, page_size: u64) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut apart: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        let total = apart.iter().map(|range| (range.end - range.start) / page_size).sum();
        Self { ranges: apart, page_size, total, first: None }
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// The number of a page's frame, where that is known.
    pub fn frame(&self, page: u64) -> Option<u64> {
        Some(page.wrapping_sub(self.first?) / self.page_size)
    }

    /// The address of the page of this number, below [`Self::total`].
    fn page(&self, mut number: u64) -> u64 {
        for range in &self.ranges {
            let pages = (range.end - range.start) / self.page_size;
            if number < pages {
                return range.start + number * self.page_size;
            }
            number -= pages;
        }
        unreachable!("the number is below the total")
    }

    /// One page of each of `count` stripes of the same size, in order: each page has the same chance.
    ///
    /// Stripes, and not any pages, since memory of one kind lies together; and at random within, since slabs are at even
    /// distances.
    pub fn draw(&self, random: &mut fastrand::Rng, count: u64) -> Vec<u64> {
        let count = count.min(self.total);
        let start = |stripe: u64| (u128::from(self.total) * u128::from(stripe) / u128::from(count)) as u64;
        (0..count).map(|stripe| self.page(random.u64(start(stripe)..start(stripe + 1)))).collect()
    }
}

/// The address of the page of frame 0, from a page of which we know both. None where the kernel does not tell us frame numbers.
fn first_page(memory: &Memory, fields: &AnchorFields, pages: &Pages) -> Result<Option<u64>, AnchorError> {
    let file = File::from(memfd_create("memtrace", MemfdFlags::CLOEXEC).map_err(io::Error::from)?);
    let len = 1_u64 << pages.page_shift;
    ftruncate(&file, len).map_err(io::Error::from)?;
    // SAFETY: nobody else has this file, so nobody shortens it.
    let mut mapping = unsafe { MmapOptions::new().len(len as usize).map_mut(&file) }?;
    mapping[0] = 1;
    let Some(frame) = frame_of(mapping.as_ptr() as u64 >> pages.page_shift)? else { return Ok(None) };
    let kernel = own_file::address(memory, fields, file.as_fd())?;
    let inode = memory.u64(kernel + u64::from(fields.file_inode))?;
    let mapped = memory.u64(inode + u64::from(fields.inode_mapping))?;
    // The only page of a file is at the head of its tree.
    let page = memory.u64(mapped + u64::from(fields.mapping_page))?;
    Ok(Some(page.wrapping_sub(frame * u64::from(pages.page_size))))
}

#[derive(Debug, thiserror::Error)]
enum AnchorError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// The frame behind a page of ours.
fn frame_of(page: u64) -> io::Result<Option<u64>> {
    const PRESENT: u64 = 1 << 63;
    const NUMBER: u64 = (1 << 55) - 1;
    let mut entry = [0; 8];
    File::open("/proc/self/pagemap")?.read_exact_at(&mut entry, page * 8)?;
    let entry = u64::from_ne_bytes(entry);
    Ok((entry & PRESENT != 0 && entry & NUMBER != 0).then_some(entry & NUMBER))
}

/// Memory comes in sections, each with its own piece of the array of pages: steps from a known page both ways, while there are
/// pages.
fn by_trying(memory: &Memory, pages: &Pages, known: u64) -> Result<Frames, MemoryError> {
    /// Of 64 GiB together.
    const MAX_GAP: u32 = 512;
    let section = (SECTION >> pages.page_shift) * u64::from(pages.page_size);
    let first = known / section * section;
    let mut ranges = Vec::new();
    let mut go = |mut at: u64, step: fn(u64, u64) -> u64| {
        let mut gap = 0;
        while gap < MAX_GAP {
            match memory.u64(at) {
                Ok(_) => {
                    ranges.push(at..at + section);
                    gap = 0;
                }
                Err(MemoryError::Fault(_)) => gap += 1,
                Err(error) => return Err(error),
            }
            at = step(at, section);
        }
        Ok(())
    };
    go(first, u64::wrapping_add)?;
    go(first - section, u64::wrapping_sub)?;
    Ok(Frames::new(ranges, pages.page_size.into()))
}

/// Bytes of memory in a section: `SECTION_SIZE_BITS` of x86_64 and arm64.
const SECTION: u64 = 128 << 20;
