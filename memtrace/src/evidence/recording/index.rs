//! The end of a recording: where its blocks are. It only saves time: without it, as after a crash, the blocks' frames tell.

use super::{
    footer::Outstanding,
    wire::{Cursor, Malformed, put_list, put_varint},
};
use crate::stream::event::TimeNs;

/// Stands at the very end, with the index's place behind it.
pub const TRAILER_MAGIC: [u8; 8] = *b"MTINDEX\n";
pub const TRAILER_LEN: usize = 16;

/// A block, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub sequence: u64,
    pub offset: u64,
    pub start: TimeNs,
    pub end: TimeNs,
    pub entries: u64,
    pub outstanding: Outstanding,
}

pub fn put(places: &[Place], out: &mut Vec<u8>) {
    put_list(out, places.iter(), |out, place| {
        let Place { sequence, offset, start, end, entries, outstanding } = *place;
        for figure in [sequence, offset, start, end, entries, outstanding.objects, outstanding.bytes] {
            put_varint(out, figure);
        }
    });
}

/// `most` blocks are in the file, or less.
pub fn read(plain: &[u8], most: usize) -> Result<Vec<Place>, Malformed> {
    Cursor::new(plain).list_of(most, |cursor| {
        Ok(Place {
            sequence: cursor.varint()?,
            offset: cursor.varint()?,
            start: cursor.time()?,
            end: cursor.time()?,
            entries: cursor.varint()?,
            outstanding: Outstanding { objects: cursor.figure()?, bytes: cursor.figure()? },
        })
    })
}

/// The last bytes of a file whose index is at this place.
pub fn trailer(offset: u64) -> [u8; TRAILER_LEN] {
    let mut bytes = [0; TRAILER_LEN];
    bytes[..8].copy_from_slice(&TRAILER_MAGIC);
    bytes[8..].copy_from_slice(&offset.to_le_bytes());
    bytes
}

/// Where the index is, by a file's last bytes; None where it was not finished.
pub fn offset(trailer: &[u8; TRAILER_LEN]) -> Option<u64> {
    let (magic, offset) = trailer.split_at(8);
    (magic == TRAILER_MAGIC).then(|| u64::from_le_bytes(offset.try_into().expect("8 bytes")))
}
