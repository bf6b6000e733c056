//! /proc/self/mounts: where the cgroups are, and what the tmpfs hold.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use rustix::fs::{stat, statvfs};

/// Mounts that are looked at, at most.
const MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub at: PathBuf,
    pub kind: Vec<u8>,
    pub options: Vec<u8>,
}

impl Mount {
    pub fn has_option(&self, option: &str) -> bool {
        self.options.split(|&byte| byte == b',').any(|own| own == option.as_bytes())
    }
}

/// A mounted tmpfs, and the bytes of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    pub at: Vec<u8>,
    pub used: u64,
    device: u64,
}

pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n').take(MAX).filter_map(line).collect()
}

/// `tmpfs /dev/shm tmpfs rw,nosuid 0 0`
fn line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|&byte| byte == b' ');
    let at = words.nth(1)?;
    let (kind, options) = (words.next()?.to_vec(), words.next()?.to_vec());
    Some(Mount { at: OsString::from_vec(unescaped(at)).into(), kind, options })
}

/// The kernel writes blanks, tabs, newlines and backslashes as `\040`.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\');
        let octal = octal.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    bytes
}

/// What is in each tmpfs; one that is mounted several times counts once.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mounts_with_odd_names() {
        let text = b"tmpfs /dev/shm tmpfs rw,nosuid 0 0\ncgroup2 /sys/fs/a\\040b\\134\\x cgroup2 rw,memory_recursiveprot 0 0\nodd\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].at.to_str(), &mounts[0].kind[..]), (Some("/dev/shm"), &b"tmpfs"[..]));
        assert_eq!(mounts[1].at.to_str(), Some("/sys/fs/a b\\\\x"));
        assert!(mounts[1].has_option("rw") && !mounts[1].has_option("memory"));
    }

    #[test]
    fn a_tmpfs_that_is_not_there_is_left_out() {
        let text = b"tmpfs /nonexistent/tmpfs tmpfs rw 0 0\next4 / ext4 rw 0 0\n";
        assert_eq!(measure(&parse(text)), []);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = unescaped(&bytes);
        }
    }
}
