//! Recordings are read in a sandbox: see [`crate::rights::sandbox`].

use std::path::{Path, PathBuf};

use crate::{
    evidence::{
        output_file::directory,
        recording::{ReadError, Reader, reader},
    },
    rights::sandbox::Sandbox,
};

/// Enters the sandbox when the recording is open, before its first byte is understood.
pub fn open(path: &Path, sandbox: &Sandbox) -> Result<Reader, ReadError> {
    let file = reader::open(path)?;
    sandbox.enter();
    Reader::of_file(file, path)
}

/// Where a recording is that is opened again while it grows, or when another stands in its place.
pub fn folder(path: &Path) -> PathBuf {
    // Rules are about where a file is, not about a link to it.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    directory(&path).to_owned()
}
