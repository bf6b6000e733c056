//! /proc/PID/maps: what a process has mapped.

use std::{ffi::OsString, ops::Range, os::unix::ffi::OsStringExt as _, path::PathBuf};

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub addresses: Range<u64>,
    pub is_executable: bool,
    /// None for memory that is not of a file.
    pub file: Option<File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: PathBuf,
    /// Major and minor number.
    pub device: (u32, u32),
    pub inode: u64,
    /// Where in the file the mapping begins.
    pub offset: u64,
}

/// Lines that make no sense are left out.
pub fn parse(text: &[u8]) -> impl Iterator<Item = Mapping> {
    text.split(|&byte| byte == b'\n').filter_map(mapping)
}

/// `55f1c0a00000-55f1c0a21000 r-xp 00002000 fd:01 1234   /usr/bin/curl`
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let mut word = || fields.next().and_then(|field| str::from_utf8(field).ok());
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = word()?.split_once('-')?;
    let addresses = hex(start)?..hex(end)?;
    let is_executable = word()?.contains('x');
    let offset = hex(word()?)?;
    let (major, minor) = word()?.split_once(':')?;
    let device = (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let inode: u64 = word()?.parse().ok()?;
    let path = fields.next().map(<[u8]>::trim_ascii_start).unwrap_or_default();
    let file = || File { path: OsString::from_vec(path.to_vec()).into(), device, inode, offset };
    Some(Mapping { addresses, is_executable, file: (inode != 0).then(file) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mappings_of_files_and_of_none() {
        let text = b"55f1c0a00000-55f1c0a21000 r-xp 00002000 fd:01 1234                       /usr/bin/a b\n\
            7ffd9c000000-7ffd9c021000 rw-p 00000000 00:00 0                          [stack]\n\
            55f1c0a00000 r-xp\nxyz-abc r-xp 0 0:0 0\n";
        let mappings: Vec<_> = parse(text).collect();
        let file = File { path: "/usr/bin/a b".into(), device: (0xfd, 1), inode: 1234, offset: 0x2000 };
        let addresses = 0x55f1_c0a0_0000..0x55f1_c0a2_1000;
        assert_eq!(mappings[0], Mapping { addresses, is_executable: true, file: Some(file) });
        assert_eq!((mappings.len(), mappings[1].is_executable, &mappings[1].file), (2, false, &None));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes).count();
            let _ = parse(&[b"0-1 r-xp 0 0:0 ", &*bytes].concat()).count();
        }
    }
}
