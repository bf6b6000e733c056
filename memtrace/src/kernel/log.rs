//! What the kernel-side programs log (`--verbose`): rare things only, never an event's normal path.
//!
//! Without `--verbose` the level is 0, which the verifier knows: the log statements are not even in the programs.

use std::io::{self, Write as _};

use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use memtrace_common::names::{global, map};

static QUIET: u8 = 0;
static EVERYTHING: u8 = u8::MAX;

/// A ring that is not used is as small as can be: one page.
const UNUSED_RING: u32 = 4096;

pub struct KernelLog {
    /// None where it is off.
    logger: Option<EbpfLogger<Stderr>>,
}

impl KernelLog {
    /// Sets the level in an object that is about to be loaded.
    pub fn configure(loader: &mut EbpfLoader<'_>, verbose: bool) {
        loader.override_global(global::LOG_LEVEL, if verbose { &EVERYTHING } else { &QUIET }, true);
        if !verbose {
            loader.map_max_entries(map::LOGS, UNUSED_RING);
        }
    }

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
