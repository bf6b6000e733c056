//! /proc/self/mountinfo: which filesystem is mounted where.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

/// Lines that are read, at most: a host of many containers has some thousand.
const MAX_LINES: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `8:1`.
    pub device: Vec<u8>,
    /// The directory of the filesystem that is mounted: `/`, except for bind mounts and in containers.
    pub root: Vec<u8>,
    pub at: PathBuf,
    /// `tmpfs`, `cgroup2`, ...
    pub kind: Vec<u8>,
    /// Of the filesystem, not of this mount: a cgroup hierarchy lists its controllers here.
    pub options: Vec<u8>,
}

impl Mount {
    pub fn has_option(&self, option: &str) -> bool {
        self.options.split(|&byte| byte == b',').any(|own| own == option.as_bytes())
    }
}

/// Lines that make no sense are left out.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n').take(MAX_LINES).filter_map(mount).collect()
}

/// `35 31 0:32 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate`: see the kernel's
/// Documentation/filesystems/proc.rst. Any number of fields may follow the sixth, up to a dash.
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let dash = fields.iter().skip(6).position(|&field| field == b"-")? + 6;
    Some(Mount {
        device: fields[2].to_vec(),
        root: unescaped(fields[3]),
        at: OsString::from_vec(unescaped(fields[4])).into(),
        kind: fields.get(dash + 1)?.to_vec(),
        options: fields.get(dash + 3)?.to_vec(),
    })
}

/// The kernel writes blanks, tabs, newlines and backslashes as `\040`.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, others)) = rest.split_first() {
        let escaped = others.first_chunk().filter(|_| first == b'\\').and_then(|digits| octal(*digits));
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &others[3..] } else { others };
    }
    bytes
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let value =
        |value: u32, digit: u8| (b'0'..=b'7').contains(&digit).then(|| value * 8 + u32::from(digit - b'0'));
    u8::try_from(digits.into_iter().try_fold(0, value)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mounts_with_odd_names() {
        let text = b"24 31 0:22 / /dev/shm rw,nosuid - tmpfs tmpfs rw\n\
            35 31 0:32 /docker/x /sys/fs/a\\040b\\134\\x\\777 rw,memory shared:9 master:1 - cgroup2 none rw,memory_recursiveprot\n\
            35 31 0:32 / /x rw cgroup2 none rw\nodd\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].at.to_str(), &mounts[0].kind[..]), (Some("/dev/shm"), &b"tmpfs"[..]));
        assert_eq!(mounts[0].device, b"0:22");
        assert_eq!(
            (mounts[1].at.to_str(), &mounts[1].root[..]),
            (Some("/sys/fs/a b\\\\x\\777"), &b"/docker/x"[..])
        );
        assert!(mounts[1].has_option("rw") && !mounts[1].has_option("memory"));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\\'), Just(b'-')], 0..200)) {
            let _ = parse(&bytes);
            let _ = unescaped(&bytes);
        }
    }
}
