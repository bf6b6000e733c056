//! The floor of those who send each event through a ring buffer: a program on each tracepoint that writes a record as large as
//! memtrace's and reads nothing, and a reader that skips all of them. What memtrace takes beyond is what it finds out.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

use super::bpf;

/// As large as all of memtrace's rings together on a host with two CPUs.
const RING_BYTES: u32 = 128 << 20;

/// As often as memtrace drains.
const SKIP_EVERY: Duration = Duration::from_millis(10);

/// Words of 8 bytes in memtrace's records of an allocation and of a free.
const ALLOC_WORDS: u8 = 8;
const FREE_WORDS: u8 = 2;

/// Programs that write until this is dropped.
pub struct RingFloor {
    _links: Vec<OwnedFd>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl RingFloor {
    pub fn attach(tracepoints: &[String]) -> Result<Self> {
        let ring = bpf::ring_buffer(RING_BYTES).context("the kernel makes no ring buffer")?;
        let links = tracepoints.iter().map(|tracepoint| attach(&ring, tracepoint)).collect::<Result<_>>()?;
        let positions = Positions::map(&ring)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let reader = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                positions.skip_all();
                thread::sleep(SKIP_EVERY);
            }
        });
        Ok(Self { _links: links, is_over, reader: Some(reader) })
    }
}

impl Drop for RingFloor {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

fn attach(ring: &OwnedFd, tracepoint: &str) -> Result<OwnedFd> {
    let words = if tracepoint.contains("free") { FREE_WORDS } else { ALLOC_WORDS };
    let program =
        bpf::load_writer(ring.as_fd(), words).context("the kernel refuses a program that writes")?;
    bpf::attach(program.as_fd(), &CString::new(tracepoint)?)
        .with_context(|| format!("cannot attach to the tracepoint {tracepoint}"))
}

/// Where the reader and the writers of a ring are, each on a page of its own.
struct Positions {
    consumer: *mut AtomicU64,
    producer: *mut AtomicU64,
}

// SAFETY: both are only used as atomics, on pages that are mapped as long as this lives.
unsafe impl Send for Positions {}

impl Positions {
    fn map(ring: &OwnedFd) -> Result<Self> {
        let page = |offset: usize, protection| {
            // SAFETY: the kernel chooses the place.
            unsafe { mmap(ptr::null_mut(), page_size(), protection, MapFlags::SHARED, ring, offset as u64) }
                .context("cannot map the ring buffer")
        };
        let consumer = page(0, ProtFlags::READ | ProtFlags::WRITE)?.cast();
        let producer = page(page_size(), ProtFlags::READ)?.cast();
        Ok(Self { consumer, producer })
    }

    fn skip_all(&self) {
        // SAFETY: each is at the start of a page that is mapped, the kernel's position is only read.
        unsafe { (*self.consumer).store((*self.producer).load(Ordering::Acquire), Ordering::Release) };
    }
}

impl Drop for Positions {
    fn drop(&mut self) {
        for page in [self.consumer, self.producer] {
            // SAFETY: mapped by us, and nobody else has it.
            let _ = unsafe { munmap(page.cast(), page_size()) };
        }
    }
}
