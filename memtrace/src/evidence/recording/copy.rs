//! A copy of a ring as it is now, while its recorder goes on.
//!
//! The bytes are copied as they are. Meanwhile the recorder may write over the oldest blocks: the copy's index has those that are
//! whole in it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    block::{ALIGNMENT, FRAME_LEN, Packer},
    file::{WriteError, closing},
    index::Place,
    reader::{frame_at, read_at},
};
use crate::evidence::output_file::{FileError, NewFile};

/// Copied at a time.
const CHUNK: usize = 1 << 20;

/// A copy that is wanted.
pub struct Order {
    pub path: PathBuf,
    pub replace: bool,
    /// Called in another thread.
    pub done: Box<dyn FnOnce(Result<(), WriteError>) + Send>,
}

/// What is copied: a file, its length, and the blocks that are in it now.
pub(super) struct Ring {
    pub file: File,
    pub len: u64,
    pub places: Vec<Place>,
}

impl Ring {
    pub fn copy(&self, path: &Path, replace: bool) -> Result<(), WriteError> {
        let mut copy = NewFile::create(path, replace)?;
        let wrong = |source| FileError::Io { path: path.to_owned(), source };
        self.copy_bytes(copy.file()).map_err(wrong)?;
        let places = self.places.iter().filter(|place| is_whole(copy.file(), place)).copied();
        let places: Vec<Place> = places.collect();
        let end = self.len.next_multiple_of(ALIGNMENT);
        let mut packer = Packer::new().map_err(WriteError::Pack)?;
        let closing = closing(&places, end, &mut packer)?;
        copy.file().write_all_at(&closing, end).map_err(wrong)?;
        Ok(copy.publish()?)
    }

    fn copy_bytes(&self, copy: &File) -> io::Result<()> {
        let mut bytes = vec![0; CHUNK];
        let mut offset = 0;
        while offset < self.len {
            let room = bytes.len().min((self.len - offset) as usize);
            let read = read_at(&self.file, &mut bytes[..room], offset)?;
            if read == 0 {
                break;
            }
            copy.write_all_at(&bytes[..read], offset)?;
            offset += read as u64;
        }
        Ok(())
    }
}

fn is_whole(file: &File, place: &Place) -> bool {
    let Ok(Some(frame)) = frame_at(file, place.offset) else { return false };
    let mut packed = vec![0; frame.packed_len as usize];
    let read = read_at(file, &mut packed, place.offset + FRAME_LEN as u64).unwrap_or(0);
    frame.sequence == place.sequence && read == packed.len() && crc32fast::hash(&packed) == frame.checksum
}
