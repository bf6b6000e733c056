//! Where a recording is written: a file that grows, a file whose blocks go round, or a pipe.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt as _,
    path::Path,
};

use super::{
    block::{ALIGNMENT, About, Contents, FRAME_LEN, MAGIC, Packer},
    header::{Header, Ring},
    index::{self, Place},
    limits::TooMuch,
};
use crate::evidence::output_file::{FileError, NewFile};

/// A ring has room for some blocks, the largest of which take some megabytes.
pub const MIN_RING: u64 = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("cannot write the recording: {source}{what_is_there}", what_is_there = kept(*.blocks))]
    Write { source: io::Error, blocks: u64 },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot compress the recording: {0}")]
    Pack(#[source] io::Error),
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    #[error("a block of {0} bytes does not fit into the ring; use a larger --max-size")]
    NoRoom(usize),
}

fn kept(blocks: u64) -> &'static str {
    if blocks > 0 { ". What was written so far is intact: memtrace report reads it" } else { "" }
}

/// Takes blocks.
pub struct Sink {
    target: Target,
    /// Where the next block goes, and where it ends.
    position: u64,
    end: u64,
    ring: Option<Ring>,
    /// What is there, in the order of the file, round from the oldest: sequence, offset, room.
    blocks: VecDeque<(u64, u64, u64)>,
}

enum Target {
    /// It gets its name with the header.
    File(NewFile),
    /// It never has one.
    Scratch(File),
    Stream(Box<dyn Write + Send>),
}

/// Where a block is, and which is the first that is there still.
pub struct Appended {
    pub offset: u64,
    pub first: u64,
}

impl Sink {
    /// A file that can be read as soon as it has its name, whatever happens to its recorder.
    pub fn file(file: NewFile, ring: Option<u64>) -> Self {
        // A ring's place is known when the header is written.
        let ring = ring.map(|end| Ring { start: 0, end: end - end % ALIGNMENT });
        Self::new(Target::File(file), ring)
    }

    pub fn create(path: &Path, replace: bool, ring: Option<u64>) -> Result<Self, FileError> {
        Ok(Self::file(NewFile::create(path, replace)?, ring))
    }

    /// A file for ourselves.
    pub fn scratch(file: File) -> Self {
        Self::new(Target::Scratch(file), None)
    }

    /// A pipe, or anything that takes bytes in their order.
    pub fn stream(stream: impl Write + Send + 'static) -> Self {
        Self::new(Target::Stream(Box::new(stream)), None)
    }

    fn new(target: Target, ring: Option<Ring>) -> Self {
        Self { target, position: 0, end: 0, ring, blocks: VecDeque::new() }
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.end
    }

    pub fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// A ring's file, to be copied. None where nothing goes round.
    pub fn ring_file(&self) -> Option<Result<File, FileError>> {
        match (&self.target, self.ring) {
            (Target::File(file), Some(_)) => Some(file.handle()),
            _ => None,
        }
    }

    /// Writes the header, twice: without it nothing can be read. The file has its name afterwards.
    pub fn begin(&mut self, header: &Header) -> Result<(), WriteError> {
        let mut header = header.clone();
        if let Some(ring) = &mut self.ring {
            // Room for both, whatever the place's own length.
            ring.start = (2 * header.to_bytes().len() as u64 + 1024).next_multiple_of(ALIGNMENT);
        }
        header.ring = self.ring;
        let plain = header.to_bytes();
        let mut bytes = plain.clone();
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        let (start, end) = (header.started_ns, header.started_ns);
        let about = About { contents: Contents::Header, sequence: 0, start, end, entries: 0 };
        let packed = Packer::new().and_then(|mut packer| packer.pack(&plain, about, &mut bytes));
        packed.map_err(WriteError::Pack)?;
        let len = self.ring.map_or(bytes.len() as u64, |ring| ring.start);
        bytes.resize(len as usize, 0);
        self.write(0, &bytes)?;
        self.position = len;
        if let Target::File(file) = &mut self.target {
            file.publish()?;
        }
        Ok(())
    }

    /// Writes a packed block, over the oldest ones where it has to.
    pub fn append(&mut self, sequence: u64, packed: &[u8]) -> Result<Appended, WriteError> {
        let room = packed.len() as u64;
        if let Some(ring) = self.ring {
            if room > ring.end.saturating_sub(ring.start) {
                return Err(WriteError::NoRoom(packed.len()));
            }
            if self.position + room > ring.end {
                self.go_round(ring)?;
            }
            while self
                .blocks
                .front()
                .is_some_and(|&(_, at, len)| at < self.position + room && self.position < at + len)
            {
                self.blocks.pop_front();
            }
        }
        let offset = self.position;
        self.write(offset, packed)?;
        self.position += room;
        self.blocks.push_back((sequence, offset, room));
        let first = self.blocks.front().map_or(sequence, |&(first, ..)| first);
        Ok(Appended { offset, first })
    }

    /// Begins again at the start. What is left of the last round behind here is voided, or it would look as if what came
    /// between was missing.
    fn go_round(&mut self, ring: Ring) -> Result<(), WriteError> {
        while let Some(&(_, offset, _)) = self.blocks.front().filter(|&&(_, at, _)| at >= self.position) {
            self.write(offset, &[0; MAGIC.len()])?;
            self.blocks.pop_front();
        }
        self.position = ring.start;
        Ok(())
    }

    /// Writes the index. Returns the file's length.
    pub fn finish(&mut self, places: &[Place], packer: &mut Packer) -> Result<u64, WriteError> {
        let offset = self.end.next_multiple_of(ALIGNMENT);
        self.write(offset, &closing(places, offset, packer)?)?;
        if let Target::Stream(stream) = &mut self.target {
            stream
                .flush()
                .map_err(|source| WriteError::Write { source, blocks: self.blocks.len() as u64 })?;
        }
        Ok(self.end)
    }

    /// All or nothing: what a full disk took of it is taken back.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let end = self.end;
        let write_at = |file: &File| {
            file.write_all_at(bytes, offset).inspect_err(|_| {
                if offset >= end {
                    // It is shorter then; where that fails too, the reader finds half a block.
                    let _ = file.set_len(end);
                }
            })
        };
        let written = match &mut self.target {
            Target::File(file) => write_at(file.file()),
            Target::Scratch(file) => write_at(file),
            Target::Stream(stream) => stream.write_all(bytes),
        };
        written.map_err(|source| WriteError::Write { source, blocks: self.blocks.len() as u64 })?;
        self.end = self.end.max(offset + bytes.len() as u64);
        Ok(())
    }
}

/// What stands at a file's end, from `offset` on.
pub(super) fn closing(places: &[Place], offset: u64, packer: &mut Packer) -> Result<Vec<u8>, WriteError> {
    let mut plain = Vec::new();
    index::put(places, &mut plain);
    let about = About {
        contents: Contents::Index,
        sequence: 0,
        start: places.first().map_or(0, |place| place.start),
        end: places.last().map_or(0, |place| place.end),
        entries: 0,
    };
    let mut bytes = Vec::with_capacity(FRAME_LEN);
    packer.pack(&plain, about, &mut bytes).map_err(WriteError::Pack)?;
    bytes.extend(index::trailer(offset));
    Ok(bytes)
}
