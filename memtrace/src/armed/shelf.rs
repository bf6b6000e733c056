//! The bundles that are kept: a directory of their own. All that is known of one is in its name, so that nothing else has to be kept
//! beside it, and a bundle that was copied elsewhere still says what it is.
//!
//!     memtrace-20261129T182005Z-leak-215847.tar.zst
//!
//! The time, what was found (`leak`, `flood`, `short`, or `none`), and by how many bytes a second it grew.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{FlockOperation, flock, statvfs};

use crate::{
    evidence::output_file::{FileError, HIDDEN},
    text::{escape, time::rfc3339_seconds},
    triage::suspect::{Candidate, Charge},
};

const BEGIN: &str = "memtrace-";
const END: &str = ".tar.zst";
const NOTHING: &str = "none";

/// What stays free on the filesystem, whatever is recorded.
const SPARE: u64 = 16 << 20;
/// A recording that may take less is not worth the name.
const LEAST: u64 = 4 << 20;
/// As long as there are bundles that can go, a recording may take so much.
const ENOUGH: u64 = 64 << 20;
/// A recording is there twice for a moment: as it was written, and in its bundle.
const COPIES: u64 = 2;

/// How bad what was found is: whatever somebody is accused of is worse than nothing, and then what grows faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Severity {
    is_accused: bool,
    bytes_per_s: u64,
}

/// A bundle on the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub name: String,
    /// As in the name: in the order of time.
    time: String,
    pub severity: Severity,
    pub bytes: u64,
}

/// What a bundle is called.
pub fn name(time: SystemTime, suspect: Option<&Candidate>, window: std::time::Duration) -> String {
    let time: String = rfc3339_seconds(time).chars().filter(|c| !"-:".contains(*c)).collect();
    let charge = suspect.and_then(|suspect| suspect.charge).map_or(NOTHING, |charge| charge.into_str());
    let growth = suspect.map_or(0, |suspect| suspect.growth.max(0));
    let bytes_per_s = (growth as f64 / window.as_secs_f64().max(1.0)) as u64;
    format!("{BEGIN}{time}-{charge}-{bytes_per_s}{END}")
}

impl Bundle {
    /// None for what is not called like one.
    fn of(name: &str, bytes: u64) -> Option<Self> {
        let fields = name.strip_prefix(BEGIN)?.strip_suffix(END)?;
        let [time, charge, rate] = fields.split('-').collect::<Vec<_>>().try_into().ok()?;
        let charges = [Charge::Leak, Charge::Flood, Charge::Short].map(|charge| charge.into_str());
        if charge != NOTHING && !charges.contains(&charge) {
            return None;
        }
        let severity = Severity { is_accused: charge != NOTHING, bytes_per_s: rate.parse().ok()? };
        Some(Self { name: name.to_owned(), time: time.to_owned(), severity, bytes })
    }
}

/// What may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bundles: usize,
    pub bytes: u64,
}

/// The first ones to go until the rest is within the limits: the least bad, of equals the oldest.
fn excess(mut bundles: Vec<Bundle>, limits: Limits) -> Vec<Bundle> {
    bundles.sort_by(|a, b| (b.severity, &b.time).cmp(&(a.severity, &a.time)));
    let mut bytes: u64 = bundles.iter().map(|bundle| bundle.bytes).fold(0, u64::saturating_add);
    let mut gone = Vec::new();
    while bundles.len() > limits.bundles || bytes > limits.bytes {
        let Some(bundle) = bundles.pop() else { break };
        bytes = bytes.saturating_sub(bundle.bytes);
        gone.push(bundle);
    }
    gone
}

/// How much a recording may take where so much is free; None where that is too little.
fn allowed(free: u64, wanted: u64) -> Option<u64> {
    let room = free.saturating_sub(SPARE) / COPIES;
    Some(wanted.min(room)).filter(|allowed| *allowed >= LEAST.min(wanted))
}

#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error("cannot keep bundles in {}: {source}", escape::path(path))]
    Directory { path: PathBuf, source: io::Error },
    #[error("another memtrace watch keeps its bundles in {}; --into names another directory", escape::path(.0))]
    Taken(PathBuf),
    #[error(
        "bundles name programs and files, and user {owner} could replace those in {}",
        escape::path(path)
    )]
    Others { path: PathBuf, owner: u32 },
    #[error("bundles name programs and files, and any user could replace those in {}: chmod 700 it", escape::path(.0))]
    Open(PathBuf),
    #[error(transparent)]
    File(#[from] FileError),
}

/// The directory, which is ours alone as long as this lives.
pub struct Shelf {
    directory: PathBuf,
    limits: Limits,
    /// Locked.
    handle: File,
}

impl Shelf {
    /// Makes the directory if it is not there. What a watch left behind that was killed is removed.
    pub fn open(directory: &Path, limits: Limits) -> Result<Self, ShelfError> {
        let failed = |source| ShelfError::Directory { path: directory.to_owned(), source };
        DirBuilder::new().mode(0o700).recursive(true).create(directory).map_err(failed)?;
        let handle = File::open(directory).map_err(failed)?;
        let found = handle.metadata().map_err(failed)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(ShelfError::Others { path: directory.to_owned(), owner: found.uid() });
        }
        if found.mode() & 0o022 != 0 {
            return Err(ShelfError::Open(directory.to_owned()));
        }
        flock(&handle, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| ShelfError::Taken(directory.to_owned()))?;
        let shelf = Self { directory: directory.to_owned(), limits, handle };
        shelf.clear().map_err(failed)?;
        Ok(shelf)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes what a recorder did not complete.
    pub fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)?.flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && entry.file_name().as_encoded_bytes().starts_with(HIDDEN.as_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    pub fn bundles(&self) -> io::Result<Vec<Bundle>> {
        let bundle = |entry: fs::DirEntry| {
            let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Bundle::of(entry.file_name().to_str()?, found.len())
        };
        Ok(fs::read_dir(&self.directory)?.flatten().filter_map(bundle).collect())
    }

    /// Removes what is beyond the limits, and returns it. The newest may be among them.
    pub fn tidy(&self) -> io::Result<Vec<Bundle>> {
        self.remove(excess(self.bundles()?, self.limits))
    }

    /// Makes room for a recording of this size: bundles go as long as there is not enough. Returns how much it may take, if there is room at
    /// all, and what went.
    pub fn make_room(&self, wanted: u64) -> io::Result<(Option<u64>, Vec<Bundle>)> {
        let wanted = wanted.min(self.limits.bytes);
        let mut gone = Vec::new();
        loop {
            let allowed = allowed(self.free()?, wanted);
            let bundles = self.bundles()?;
            if bundles.is_empty() || allowed.is_some_and(|allowed| allowed >= ENOUGH.min(wanted)) {
                return Ok((allowed, gone));
            }
            let limits = Limits { bundles: bundles.len() - 1, bytes: u64::MAX };
            gone.extend(self.remove(excess(bundles, limits))?);
        }
    }

    fn remove(&self, bundles: Vec<Bundle>) -> io::Result<Vec<Bundle>> {
        bundles.iter().try_for_each(|bundle| fs::remove_file(self.directory.join(&bundle.name)))?;
        Ok(bundles)
    }

    /// After a bundle came: its name must not be lost with the power.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let found = statvfs(&self.directory)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

#[cfg(test)]
mod tests;
