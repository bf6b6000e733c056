//! How much is stored in each tmpfs.

use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{stat, statvfs};

use super::mountinfo::Mount;

/// A mounted tmpfs, and the bytes of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    pub at: Vec<u8>,
    pub used: u64,
    device: u64,
}

/// A tmpfs that is mounted several times counts once.
pub fn measure(mounts: &[Mount]) -> Vec<Tmpfs> {
    let is_tmpfs = |mount: &&Mount| mount.kind == b"tmpfs" || mount.kind == b"devtmpfs";
    let mut found: Vec<Tmpfs> = Vec::new();
    for mount in mounts.iter().filter(is_tmpfs) {
        let (Ok(root), Ok(stat)) = (stat(&mount.at), statvfs(&mount.at)) else { continue };
        let used = stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize);
        if !found.iter().any(|other| other.device == root.st_dev) {
            found.push(Tmpfs { at: mount.at.as_os_str().as_bytes().to_vec(), used, device: root.st_dev });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procfs::mountinfo;

    #[test]
    fn a_tmpfs_that_is_not_there_is_left_out() {
        let text = b"1 1 0:1 / /nonexistent/tmpfs rw - tmpfs tmpfs rw\n2 1 0:2 / / rw - ext4 /dev/x rw\n";
        let mounts = mountinfo::parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!(measure(&mounts), []);
    }
}
