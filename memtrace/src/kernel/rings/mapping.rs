//! Parts of maps in our memory.

use std::{os::fd::BorrowedFd, ptr::NonNull, sync::atomic::AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::error::RingError;

/// Pages of a map's file in our memory.
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
    protection: ProtFlags,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: shared, it only gives pointers and atomics.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub fn new(fd: BorrowedFd<'_>, offset: u64, len: u64, protection: ProtFlags) -> Result<Self, RingError> {
        let len = len as usize;
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let start = unsafe { mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, fd, offset) };
        let start = start.map_err(|error| RingError::Map(error.into()))?;
        Ok(Self { start: NonNull::new(start.cast()).expect("mmap gives no null"), len, protection })
    }

    /// Maps another part of the file in the place of this one.
    pub fn replace(&mut self, fd: BorrowedFd<'_>, offset: u64) -> Result<(), RingError> {
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the pages at this address are ours, and `&mut self` says that nothing refers to them.
        let replaced =
            unsafe { mmap(self.start.as_ptr().cast(), self.len, self.protection, flags, fd, offset) };
        replaced.map(drop).map_err(|error| RingError::Map(error.into()))
    }

    pub fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len, "within the mapping");
        // SAFETY: within the mapping.
        unsafe { self.start.add(offset) }
    }

    /// A number that the kernel side and we tell each other.
    pub fn number(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(size_of::<u64>()), "aligned");
        // SAFETY: it is mapped as long as `self` lives, aligned, and written in one piece by all sides.
        unsafe { AtomicU64::from_ptr(self.at(offset).cast().as_ptr()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing refers to it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
