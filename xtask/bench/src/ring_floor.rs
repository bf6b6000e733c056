//! The floor of tracers that send each event through a ring buffer: a program on each tracepoint that writes a record as large as
//! memtrace's and reads nothing, and a reader that skips all of them. What memtrace takes beyond is what it finds out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::maps::RingBuf;

use crate::bpf::{self, Attached};

/// As large as all of memtrace's rings together on a host with two CPUs.
const RING_BYTES: u32 = 128 << 20;

/// As often as memtrace drains.
const SKIP_EVERY: Duration = Duration::from_millis(10);

/// Programs that write until this is dropped.
pub struct RingFloor {
    _programs: Vec<Attached>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl RingFloor {
    pub fn attach(object: &Path, tracepoints: &[String]) -> Result<Self> {
        let mut object = bpf::load(object, RING_BYTES)?;
        let attach = |tracepoint: &String| {
            let program = if tracepoint.contains("free") { "write_free" } else { "write_alloc" };
            bpf::attach(&mut object, program, tracepoint)
        };
        let programs = tracepoints.iter().map(attach).collect::<Result<_>>()?;
        let mut ring = RingBuf::try_from(object.take_map("RING").context("the object has no ring")?)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let reader = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                while !until.load(Ordering::Relaxed) && ring.next().is_some() {}
                thread::sleep(SKIP_EVERY);
            }
        });
        Ok(Self { _programs: programs, is_over, reader: Some(reader) })
    }
}

impl Drop for RingFloor {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.reader.take().map(JoinHandle::join);
    }
}
