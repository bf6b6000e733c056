//! Small files that are read whole.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Enough for every configuration, and small enough to refuse a disk image.
const MAX_BYTES: u64 = 1 << 20;

pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a configuration has at most 1 MiB"));
    }
    Ok(bytes)
}
