//! /sys/kernel/slab: which caches the kernel merged, and what each one is like.
//!
//! SLUB lets caches of like size and flags share one `struct kmem_cache`. The shared one is a directory called after
//! its traits (`:A-0000256`), and each name that lives in it is a symbolic link to that directory. A cache that cannot
//! be merged (dentry, kmalloc-*) is a directory by its own name.

use std::{
    collections::BTreeMap,
    hash::BuildHasher as _,
    io,
    os::unix::fs::DirEntryExt as _,
    path::{Path, PathBuf},
};

use foldhash::fast::FixedState;
use thiserror::Error;

use crate::text::escape;

/// One `struct kmem_cache` as sysfs shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Every name that lives in it, sorted. The first creator's is the one that the kernel's struct carries; sysfs
    /// does not say which that is.
    pub names: Vec<String>,
    /// None where the file is absent, or unreadable: it is root's.
    pub reclaimable: Option<bool>,
}

#[derive(Debug, Error)]
pub enum SysfsError {
    #[error(
        "{} does not exist: sysfs is not mounted, or the kernel's slab allocator is not SLUB",
        escape::path(path)
    )]
    Absent { path: PathBuf },
    #[error("{} cannot be read: {source}", escape::path(path))]
    Io { path: PathBuf, source: io::Error },
}

/// Caches come and go meanwhile: an entry that vanishes is left out.
pub fn read(path: &Path) -> Result<Vec<Group>, SysfsError> {
    let entries = std::fs::read_dir(path).map_err(|source| {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => SysfsError::Absent { path },
            _ => SysfsError::Io { path, source },
        }
    })?;
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(directory) = directory_of(&entry, &name) else { continue };
        let group = groups.entry(directory).or_default();
        // `:A-0000256` is a shape, not a name.
        if !name.starts_with(':') {
            group.names.push(name);
        }
    }
    for (directory, group) in &mut groups {
        group.names.sort_unstable();
        group.reclaimable = number(&path.join(directory), "reclaim_account").map(|flag| flag != 0);
    }
    Ok(groups.into_values().collect())
}

/// Changes when an entry comes or goes, even if one of the same name comes in its place: the kernel counts their inode
/// numbers up.
pub fn fingerprint(path: &Path) -> io::Result<u64> {
    let mut sum = 0_u64;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        sum = sum.wrapping_add(FixedState::default().hash_one((entry.file_name(), entry.ino())));
    }
    Ok(sum)
}

/// The directory that holds an entry's cache: the entry itself, or what it links to.
fn directory_of(entry: &std::fs::DirEntry, name: &str) -> Option<String> {
    let kind = entry.file_type().ok()?;
    if kind.is_symlink() {
        let target = std::fs::read_link(entry.path()).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    } else {
        kind.is_dir().then(|| name.to_owned())
    }
}

/// What a file of a cache's directory says.
pub fn number(directory: &Path, file: &str) -> Option<u64> {
    std::fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()
}
