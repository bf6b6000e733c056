//! Files of tracefs, which describe the kernel's tracepoints.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

use crate::procfs::Files;

const KIND: &str = "tracefs";

/// No file that is read here is longer.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum TracefsError {
    #[error("cannot read {path} of the mounted tracefs: {source}")]
    Mounted { path: String, source: io::Error },
    #[error("tracefs is not mounted, and a private mount needs CAP_SYS_ADMIN and Linux 5.2: {0}")]
    Detached(#[source] io::Error),
}

/// Reads a file by its path within tracefs.
pub fn read(path: &str) -> Result<Vec<u8>, TracefsError> {
    match Files::live().mounts().iter().find(|mount| mount.kind == KIND.as_bytes()) {
        Some(mount) => read_whole(File::open(mount.at.join(path)))
            .map_err(|source| TracefsError::Mounted { path: path.to_owned(), source }),
        None => read_detached(path).map_err(TracefsError::Detached),
    }
}

/// From an instance that is mounted nowhere, so that no other process sees it, and that goes with its file descriptor. Only where
/// tracefs is not mounted: older kernels would reset the mode and owner of a mounted one.
fn read_detached(path: &str) -> io::Result<Vec<u8>> {
    let filesystem = fsopen(KIND, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&filesystem)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let file = openat(&root, Path::new(path), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    read_whole(file.map(File::from).map_err(io::Error::from))
}

fn read_whole(file: io::Result<File>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
