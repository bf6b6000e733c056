//! Reads a recording: finds its blocks by the index, or where there is none, one behind the other, over whatever is damaged.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{OFlags, SeekFrom},
    io::Errno,
};

use super::{
    block::{self, ALIGNMENT, Block, BlockError, Contents, FRAME_LEN, Frame, MAGIC},
    footer::Outstanding,
    header::{self, Header, HeaderError},
    index::{self, Place, TRAILER_LEN},
    limits::{Limits, Unpacked},
    pipe::{self, PipeError},
};
use crate::{evidence::output_file::rewound, stream::event::TimeNs, text::escape};

/// Read at a time while the next block is searched behind damage: little at first, since it may be near, again and again.
const SEARCHED: std::ops::RangeInclusive<usize> = 4 << 10..=1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {}: {source}", escape::path(path))]
    Open { path: PathBuf, source: io::Error },
    #[error("{} is not a regular file; to read a recording from a pipe, use - for standard input", escape::path(.0))]
    NotAFile(PathBuf),
    #[error("cannot read the recording from standard input: {0}")]
    Pipe(#[from] PipeError),
    #[error("cannot read {}: {source}", escape::path(path))]
    Header { path: PathBuf, source: HeaderError },
    #[error("{} has no complete block: recording ended before the first second was written", escape::path(.0))]
    NoBlocks(PathBuf),
}

/// A stretch of time that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub from: TimeNs,
    pub to: TimeNs,
}

pub struct Reader {
    file: File,
    pub header: Header,
    places: Vec<Place>,
    /// Between the blocks that are there.
    gaps: Vec<Missing>,
    /// Its index is intact: it was closed cleanly.
    pub is_finished: bool,
    /// The file's beginning is damaged: the header is from its copy.
    pub is_mended: bool,
    /// What reading it may take, by its length.
    pub limits: Limits,
    unpacked: Unpacked,
}

impl Reader {
    /// A recording in a file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::of_file(open(path)?, path)
    }

    /// A recording in a file that is open; `path` is what errors call it.
    pub fn of_file(file: File, path: &Path) -> Result<Self, ReadError> {
        let error = |source| ReadError::Open { path: path.to_owned(), source };
        let metadata = file.metadata().map_err(error)?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile(path.to_owned()));
        }
        let file_len = metadata.len();
        let longest = (header::FIXED_LEN + header::MAX_BODY) as u64;
        let mut beginning = vec![0; longest.min(file_len) as usize];
        let read = read_at(&file, &mut beginning, 0).map_err(error)?;
        let (header, start, is_mended) = match Header::read(&beginning[..read]) {
            Ok((header, len)) => (header, len as u64, false),
            Err(source) => match copied(&file, file_len) {
                Some(header) => (header, 0, true),
                None => return Err(ReadError::Header { path: path.to_owned(), source }),
            },
        };
        let places = indexed(&file, file_len);
        let is_finished = places.is_some();
        let places = match places {
            Some(places) => places,
            None => found(&file, start.next_multiple_of(ALIGNMENT), file_len).map_err(error)?,
        };
        if places.is_empty() {
            return Err(ReadError::NoBlocks(path.to_owned()));
        }
        let gaps = gaps(&places);
        let limits = Limits::of(file_len);
        Ok(Self {
            file,
            header,
            places,
            gaps,
            is_finished,
            is_mended,
            limits,
            unpacked: Unpacked::new(limits),
        })
    }

    /// All its bytes.
    pub fn bytes(&self) -> io::Result<File> {
        rewound(&self.file)
    }

    /// The blocks, in their order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What is missing between blocks.
    pub fn gaps(&self) -> &[Missing] {
        &self.gaps
    }

    /// What was read so far does not count towards the limits any more.
    pub fn start_anew(&self) {
        self.unpacked.start_anew();
    }

    /// A block's bytes, for [`Self::block`].
    pub fn plain(&self, place: &Place) -> Result<Vec<u8>, BlockError> {
        let mut bytes = [0; FRAME_LEN];
        let read = read_at(&self.file, &mut bytes, place.offset).unwrap_or(0);
        let frame = Some(bytes).filter(|_| read == FRAME_LEN).as_ref().and_then(Frame::read);
        let is_it = |frame: &Frame| frame.contents == Contents::Block && frame.sequence == place.sequence;
        let frame = frame.filter(is_it).ok_or(BlockError::Checksum)?;
        self.unpacked.block(frame.plain_len.into(), frame.packed_len.into())?;
        unpacked(&self.file, &frame, place.offset)
    }

    pub fn block<'a>(&self, plain: &'a [u8]) -> Result<Block<'a>, BlockError> {
        let block = Block::read(plain)?;
        self.unpacked.copied(block.definitions.copied())?;
        Ok(block)
    }
}

/// Opens a recording without understanding any of it. `-` is standard input: a pipe is copied to a temporary file first, since a
/// recording is read back and forth.
pub fn open(path: &Path) -> Result<File, ReadError> {
    if pipe::is_descriptor(path) {
        return Ok(pipe::open(path)?);
    }
    // Without blocking: a FIFO that nobody writes to would never open.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    file.map_err(|source| ReadError::Open { path: path.to_owned(), source })
}

/// What stands behind the frame at this place.
fn unpacked(file: &File, frame: &Frame, offset: u64) -> Result<Vec<u8>, BlockError> {
    if frame.packed_len as usize > zstd::zstd_safe::compress_bound(block::MAX_PLAIN) {
        return Err(BlockError::Packing);
    }
    let mut packed = vec![0; frame.packed_len as usize];
    let read = read_at(file, &mut packed, offset + FRAME_LEN as u64).unwrap_or(0);
    block::unpack(frame, &packed[..read])
}

/// The header's copy, which is behind it.
fn copied(file: &File, len: u64) -> Option<Header> {
    let len = len.min(2 * header::MAX_BODY as u64);
    let mut offset = 0;
    while let Some(place) = search(file, offset, len).ok()? {
        if let Some(frame) = frame_at(file, place).ok()?.filter(|frame| frame.contents == Contents::Header) {
            let plain = unpacked(file, &frame, place).ok()?;
            return Header::read(&plain).ok().map(|(header, _)| header);
        }
        offset = place + ALIGNMENT;
    }
    None
}

/// Reads as much as there is.
pub(super) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The places by the index; None where there is none, or it is not whole.
fn indexed(file: &File, len: u64) -> Option<Vec<Place>> {
    let mut trailer = [0; TRAILER_LEN];
    read_at(file, &mut trailer, len.checked_sub(TRAILER_LEN as u64)?).ok()?;
    let offset = index::offset(&trailer)?;
    let frame = frame_at(file, offset).ok()?.filter(|frame| frame.contents == Contents::Index)?;
    let plain = unpacked(file, &frame, offset).ok()?;
    // Each takes a frame at least.
    let most = usize::try_from(len / FRAME_LEN as u64).unwrap_or(usize::MAX);
    let places = index::read(&plain, most).ok()?;
    let is_there = |place: &Place| place.start <= place.end && place.offset < offset;
    let is_whole = places.is_sorted_by(|a, b| a.sequence < b.sequence) && places.iter().all(is_there);
    (is_whole && !places.is_empty()).then_some(places)
}

/// The places of all whole blocks from `offset` on.
fn found(file: &File, mut offset: u64, len: u64) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    while offset + FRAME_LEN as u64 <= len {
        let frame = frame_at(file, offset)?;
        match frame.filter(|frame| offset + FRAME_LEN as u64 + u64::from(frame.packed_len) <= len) {
            Some(frame) => {
                if frame.contents == Contents::Block {
                    places.push(place(&frame, offset));
                }
                offset += frame.room();
            }
            None => match search(file, offset + ALIGNMENT, len)? {
                Some(next) => offset = next,
                None => break,
            },
        }
    }
    places.sort_by_key(|place| place.sequence);
    places.dedup_by_key(|place| place.sequence);
    Ok(places)
}

fn place(frame: &Frame, offset: u64) -> Place {
    let Frame { sequence, start, end, entries, .. } = *frame;
    Place { sequence, offset, start, end, entries, outstanding: Outstanding::default() }
}

pub(super) fn frame_at(file: &File, offset: u64) -> io::Result<Option<Frame>> {
    let mut bytes = [0; FRAME_LEN];
    let read = read_at(file, &mut bytes, offset)?;
    Ok(if read == FRAME_LEN { Frame::read(&bytes) } else { None })
}

/// Where the next frame may begin.
fn search(file: &File, mut offset: u64, len: u64) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; *SEARCHED.start()];
    while offset < len {
        let Some(data) = next_data(file, offset) else { return Ok(None) };
        offset = data - data % ALIGNMENT;
        let read = read_at(file, &mut bytes, offset)?;
        let places = bytes[..read].chunks(ALIGNMENT as usize);
        if let Some(index) = places.into_iter().position(|place| place.starts_with(&MAGIC)) {
            return Ok(Some(offset + index as u64 * ALIGNMENT));
        }
        offset += bytes.len() as u64;
        bytes.resize((2 * bytes.len()).min(*SEARCHED.end()), 0);
    }
    Ok(None)
}

/// Over what was never written. None where nothing else is left.
fn next_data(file: &File, offset: u64) -> Option<u64> {
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Err(Errno::NXIO) => None,
        found => Some(found.unwrap_or(offset)),
    }
}

fn gaps(places: &[Place]) -> Vec<Missing> {
    let has_gap = |pair: &&[Place]| pair[0].sequence + 1 != pair[1].sequence;
    let pairs = places.windows(2).filter(has_gap);
    pairs.map(|pair| Missing { from: pair[0].end, to: pair[1].start }).collect()
}
