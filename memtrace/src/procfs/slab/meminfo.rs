//! Slab memory and available memory, from /proc/meminfo.

use std::io;

use thiserror::Error;

use crate::procfs::meminfo;

/// In bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meminfo {
    pub slab: u64,
    pub sreclaimable: u64,
    pub sunreclaim: u64,
    /// Memory that programs can still get, by the kernel's estimate. None before v3.14.
    pub available: Option<u64>,
}

#[derive(Debug, Error)]
pub enum MeminfoError {
    #[error("/proc/meminfo cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("/proc/meminfo has no line `{0}:` with a number of kB")]
    Missing(&'static str),
}

impl TryFrom<&meminfo::Meminfo> for Meminfo {
    type Error = MeminfoError;

    fn try_from(lines: &meminfo::Meminfo) -> Result<Self, MeminfoError> {
        let bytes_of = |key| lines.bytes(key).ok_or(MeminfoError::Missing(key));
        Ok(Self {
            slab: bytes_of("Slab")?,
            sreclaimable: bytes_of("SReclaimable")?,
            sunreclaim: bytes_of("SUnreclaim")?,
            available: lines.bytes("MemAvailable"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<(u64, u64, u64), &str>) {
        let found = Meminfo::try_from(&meminfo::Meminfo::parse(text.as_bytes()))
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
}
