//! A directory for what a run writes, and the promise to clean up: it goes when the bench ends, also when it is
//! interrupted.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

pub struct Scratch {
    path: PathBuf,
    made: Cell<usize>,
}

impl Scratch {
    /// Makes the directory, empty. It should be on a disk: tmpfs keeps no dentries of names that do not exist.
    pub fn new(path: PathBuf) -> Result<Self> {
        // A bench that was killed may have left it.
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, made: Cell::new(0) })
    }

    /// A path in it that nothing else has; nothing is made there.
    pub fn fresh(&self, what: &str) -> PathBuf {
        self.made.set(self.made.get() + 1);
        self.path.join(format!("{what}-{}", self.made.get()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Bytes of all files in a directory.
pub fn size_of_files(directory: &Path) -> io::Result<u64> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and the like no longer end us at once: the run in progress is finished, then all is taken down.
pub fn catch_interrupts() {
    extern "C" fn note(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic.
        unsafe { libc::signal(signal, note as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    }
}

/// An error if somebody asked us to end.
pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}
