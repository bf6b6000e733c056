//! A block: a stretch of the session, from one moment to the next, that can be read by itself. In the file it has a frame of
//! fixed length in front, is compressed, and begins at a multiple of [`ALIGNMENT`], where it can be found again behind damage.

use super::{
    columns::{Columns, Encoder},
    definitions::Definitions,
    footer::BlockFooter,
    limits::TooMuch,
    wire::{Cursor, Malformed},
};
use crate::stream::event::TimeNs;

/// How a frame begins.
pub const MAGIC: [u8; 8] = *b"MTBLOCK\n";
pub const FRAME_LEN: usize = 64;
pub const ALIGNMENT: u64 = 64;

/// A block is made smaller than this by far: see [`super::recorder`]. What says that it is larger is not believed.
pub const MAX_PLAIN: usize = 128 << 20;

/// What a frame is in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    Block,
    Index,
    /// The header once more, for when the file's beginning is damaged.
    Header,
}

/// What stands in front of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub contents: Contents,
    /// The first block's is 0.
    pub sequence: u64,
    /// Bytes that follow the frame, without what fills up to the next multiple of [`ALIGNMENT`].
    pub packed_len: u32,
    pub plain_len: u32,
    /// Of the packed bytes.
    pub checksum: u32,
    /// From the moment before it to its own.
    pub start: TimeNs,
    pub end: TimeNs,
    pub entries: u64,
}

impl Frame {
    pub fn to_bytes(self) -> [u8; FRAME_LEN] {
        let kind: u32 = match self.contents {
            Contents::Block => 1,
            Contents::Index => 2,
            Contents::Header => 3,
        };
        let mut bytes = [0; FRAME_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[12..16].copy_from_slice(&kind.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.packed_len.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.plain_len.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.start.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.end.to_le_bytes());
        bytes[56..].copy_from_slice(&self.entries.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// None where the bytes are no frame.
    pub fn read(bytes: &[u8; FRAME_LEN]) -> Option<Self> {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        if bytes[..8] != MAGIC || number(8) != crc32fast::hash(&bytes[12..]) {
            return None;
        }
        let contents = match number(12) {
            1 => Contents::Block,
            2 => Contents::Index,
            3 => Contents::Header,
            _ => return None,
        };
        let frame = Self {
            contents,
            sequence: long(16),
            packed_len: number(24),
            plain_len: number(28),
            checksum: number(32),
            start: long(40),
            end: long(48),
            entries: long(56),
        };
        Some(frame).filter(|frame| frame.start <= frame.end && frame.plain_len as usize <= MAX_PLAIN)
    }

    /// Bytes that it takes in the file, its frame and filling included.
    pub fn room(&self) -> u64 {
        (FRAME_LEN as u64 + u64::from(self.packed_len)).next_multiple_of(ALIGNMENT)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it cannot be unpacked")]
    Packing,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// What is not damaged.
pub fn intact<T>(read: Result<T, BlockError>) -> Result<Option<T>, TooMuch> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(BlockError::TooMuch(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Packs what is written.
pub struct Packer(zstd::bulk::Compressor<'static>);

/// Fast enough beside the reader of the rings; more would make a recording smaller by a tenth.
const LEVEL: i32 = 1;

impl Packer {
    pub fn new() -> std::io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(Self)
    }

    /// Appends a frame, the packed bytes, and the filling.
    pub fn pack(&mut self, plain: &[u8], about: About, out: &mut Vec<u8>) -> std::io::Result<Frame> {
        if plain.len() > MAX_PLAIN {
            return Err(std::io::Error::other("a block is larger than its readers believe"));
        }
        let packed = self.0.compress(plain)?;
        let About { contents, sequence, start, end, entries } = about;
        let frame = Frame {
            contents,
            sequence,
            packed_len: packed.len() as u32,
            plain_len: plain.len() as u32,
            checksum: crc32fast::hash(&packed),
            start,
            end,
            entries,
        };
        let before = out.len();
        out.extend(frame.to_bytes());
        out.extend(&packed);
        out.resize(before + frame.room() as usize, 0);
        Ok(frame)
    }
}

/// What a frame says that the bytes do not.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub contents: Contents,
    pub sequence: u64,
    pub start: TimeNs,
    pub end: TimeNs,
    pub entries: u64,
}

/// Unpacks what a frame is in front of.
pub fn unpack(frame: &Frame, packed: &[u8]) -> Result<Vec<u8>, BlockError> {
    if crc32fast::hash(packed) != frame.checksum {
        return Err(BlockError::Checksum);
    }
    let len = frame.plain_len as usize;
    let plain = zstd::bulk::decompress(packed, len).map_err(|_| BlockError::Packing)?;
    if plain.len() == len { Ok(plain) } else { Err(BlockError::Packing) }
}

/// A block's bytes.
pub fn put(encoder: &mut Encoder, definitions: &Definitions, footer: &BlockFooter, out: &mut Vec<u8>) {
    definitions.put(out);
    footer.put(out);
    encoder.finish(out);
    footer.put_additions(out);
}

/// A block that is read. Its entries are read as they are asked for.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    pub definitions: Definitions,
    /// How things stood behind its last entry.
    pub footer: BlockFooter,
    pub columns: Columns<'a>,
}

impl<'a> Block<'a> {
    pub fn read(plain: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(plain);
        let mut block = Self {
            definitions: Definitions::read(&mut cursor)?,
            footer: BlockFooter::read(&mut cursor)?,
            columns: Columns::read(&mut cursor)?,
        };
        // Version 1 ends here.
        if !cursor.is_empty() {
            block.footer.read_additions(&mut cursor)?;
        }
        Ok(block)
    }
}
