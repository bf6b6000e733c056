//! What the kernel-side programs log (`--verbose`): rare things only, never an event's normal path.
//!
//! Without `--verbose` the level is 0, which the verifier knows: the log statements are not even in the programs.

use std::io::{self, Write as _};

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

static QUIET: u8 = 0;
static EVERYTHING: u8 = u8::MAX;

/// aya-log's own size.
const RING: u32 = 128 << 10;
/// A ring that is not used is as small as can be: one page.
const UNUSED_RING: u32 = 4096;

pub struct KernelLog {
    /// None where it is off.
    logger: Option<EbpfLogger<Stderr>>,
}

/// What is logged, as the object's variable has it.
pub fn level(verbose: bool) -> &'static u8 {
    if verbose { &EVERYTHING } else { &QUIET }
}

pub fn ring_bytes(verbose: bool) -> u32 {
    if verbose { RING } else { UNUSED_RING }
}

impl KernelLog {
    pub fn open(ebpf: &mut Ebpf, verbose: bool) -> Self {
        // An object without log statements has no such map: nothing will be logged, which is no error.
        let logger = verbose.then(|| EbpfLogger::init_with_logger(ebpf, Stderr).ok()).flatten();
        Self { logger }
    }

    /// Writes what was logged since the last call to standard error.
    pub fn flush(&mut self) {
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
    }
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // Nowhere to complain if standard error is closed.
        let _ = writeln!(io::stderr(), "memtrace: kernel side: {}", record.args());
    }

    fn flush(&self) {}
}
