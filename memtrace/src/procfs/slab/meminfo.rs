//! The lines of /proc/meminfo that are about slab memory, and what there is left.

use std::{io, path::Path};

use thiserror::Error;

/// The host's slab memory, and what memory is left, in bytes, from /proc/meminfo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meminfo {
    pub slab: u64,
    pub sreclaimable: u64,
    pub sunreclaim: u64,
    /// What there is left for new needs, by the kernel's estimate. None before v3.14 and where it is not told.
    pub available: Option<u64>,
}

#[derive(Debug, Error)]
pub enum MeminfoError {
    #[error("/proc/meminfo cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("/proc/meminfo has no line `{0}:` with a number of kB")]
    Missing(&'static str),
}

pub fn read(path: &Path) -> Result<Meminfo, MeminfoError> {
    parse(&std::fs::read(path)?)
}

pub fn parse(bytes: &[u8]) -> Result<Meminfo, MeminfoError> {
    let text = String::from_utf8_lossy(bytes);
    let bytes_of = |key| find(&text, key).ok_or(MeminfoError::Missing(key));
    Ok(Meminfo {
        slab: bytes_of("Slab")?,
        sreclaimable: bytes_of("SReclaimable")?,
        sunreclaim: bytes_of("SUnreclaim")?,
        available: find(&text, "MemAvailable"),
    })
}

fn find(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<(u64, u64, u64), &str>) {
        let found = parse(text.as_bytes())
            .map(|info| (info.slab, info.sreclaimable, info.sunreclaim))
            .map_err(|error| error.to_string());
        assert_eq!(found, expect.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn slab_lines() {
        let missing = |key: &str| format!("/proc/meminfo has no line `{key}:` with a number of kB");
        check(
            "MemTotal: 9 kB\nKReclaimable:  7 kB\nSlab:     115272 kB\nSReclaimable:      65536 kB\nSUnreclaim:  4 kB\n",
            Ok((115_272 * 1024, 65_536 * 1024, 4096)),
        );
        check("", Err(&missing("Slab")));
        check("Slab: 1 kB\nSUnreclaim: 1 kB", Err(&missing("SReclaimable")));
        check("Slab: 1 kB\nSReclaimable: 1\nSUnreclaim: 1 kB", Err(&missing("SReclaimable")));
        check("Slab: 18446744073709551615 kB\n", Err(&missing("Slab")));
        check("SlabX: 1 kB\n", Err(&missing("Slab")));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
