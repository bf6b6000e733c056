//! The beginning of a recording: whose it is, of when, and how it was made. It is there twice: the second time in a frame, as
//! blocks are, behind the first.

use std::time::{Duration, SystemTime};

use super::wire::{Cursor, Malformed, put_bytes, put_list, put_option, put_varint};
use crate::{kernel::gfp::GfpNames, stream::event::TimeNs, view::event::Source};

/// How a recording begins.
pub const MAGIC: [u8; 8] = *b"MEMTRACE";
/// Raised when older readers would misread what is written.
pub const VERSION: u32 = 2;
/// Magic, version, the body's length, and its checksum.
pub const FIXED_LEN: usize = 20;
/// A body is a few hundred bytes.
pub const MAX_BODY: usize = 1 << 20;

/// What holds for the whole recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Version of the memtrace that recorded.
    pub tool: String,
    /// Its command line, as text.
    pub command: Vec<String>,
    pub host: String,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// Tells one boot of one host from all others; empty where the kernel does not tell.
    pub boot_id: String,
    /// The start by both clocks: events tell CLOCK_MONOTONIC.
    pub started: SystemTime,
    pub started_ns: TimeNs,
    /// The process that recorded: nobody asks for its own memory.
    pub own_tgid: u32,
    /// Bytes that the ledger was given: with the same, it leaves out the same.
    pub ledger_bytes: u64,
    /// One object in so many was followed at the start.
    pub period: u32,
    /// One allocation in so many tells its stack; None where none does.
    pub stacks_period: Option<u32>,
    /// What was traced, as it is written on the command line; empty where all was.
    pub filters: String,
    /// What flags of allocations are called; None where that is not known.
    pub gfp_names: Option<GfpNames>,
    /// Where blocks go round; None where they follow each other to the end.
    pub ring: Option<Ring>,
}

/// Nobody's: all is followed, in as much memory as it takes.
impl Default for Header {
    fn default() -> Self {
        Self {
            tool: String::new(),
            command: Vec::new(),
            host: String::new(),
            kernel: String::new(),
            boot_id: String::new(),
            started: SystemTime::UNIX_EPOCH,
            started_ns: 0,
            own_tgid: 1,
            ledger_bytes: u64::MAX,
            period: 1,
            stacks_period: Some(1),
            filters: String::new(),
            gfp_names: None,
            ring: None,
        }
    }
}

impl From<&Header> for Source {
    fn from(header: &Header) -> Self {
        let Header { host, kernel, boot_id, started, tool, .. } = header.clone();
        Self { host, kernel, boot_id, started, tool }
    }
}

/// The part of the file that is written again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    pub start: u64,
    pub end: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("it is empty")]
    Empty,
    #[error("it is not a memtrace recording")]
    NoRecording,
    #[error("its format is version {0}, and this memtrace reads up to {VERSION}; use a newer memtrace")]
    Newer(u32),
    #[error("its header is damaged: {0}")]
    Damaged(&'static str),
}

impl Header {
    /// As it stands in the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.put(&mut body);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(crc32fast::hash(&body).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    /// Reads it, and how many bytes it takes.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        if bytes.is_empty() {
            return Err(HeaderError::Empty);
        }
        if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
            return Err(HeaderError::NoRecording);
        }
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 4).ok_or(HeaderError::Damaged("it ends there"))?;
            Ok(u32::from_le_bytes(bytes.try_into().expect("4 bytes")))
        };
        let version = number(8)?;
        if version == 0 {
            return Err(HeaderError::Damaged("there is no version 0"));
        }
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        let (len, checksum) = (number(12)? as usize, number(16)?);
        if len > MAX_BODY {
            return Err(HeaderError::Damaged("its length is impossible"));
        }
        let body = bytes.get(FIXED_LEN..FIXED_LEN + len).ok_or(HeaderError::Damaged("it ends there"))?;
        if crc32fast::hash(body) != checksum {
            return Err(HeaderError::Damaged("its checksum is wrong"));
        }
        let header =
            Self::read_body(&mut Cursor::new(body)).map_err(|Malformed(what)| HeaderError::Damaged(what))?;
        Ok((header, FIXED_LEN + len))
    }

    fn put(&self, out: &mut Vec<u8>) {
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        put_bytes(out, self.tool.as_bytes());
        put_list(out, self.command.iter(), |out, argument| put_bytes(out, argument.as_bytes()));
        for text in [&self.host, &self.kernel, &self.boot_id] {
            put_bytes(out, text.as_bytes());
        }
        put_varint(out, u64::try_from(started.as_nanos()).unwrap_or(u64::MAX));
        put_varint(out, self.started_ns);
        put_varint(out, self.own_tgid.into());
        put_varint(out, self.ledger_bytes);
        put_varint(out, self.period.into());
        put_option(out, self.stacks_period, |out, period| put_varint(out, period.into()));
        put_option(out, self.ring, |out, ring| {
            put_varint(out, ring.start);
            put_varint(out, ring.end);
        });
        put_bytes(out, self.filters.as_bytes());
        put_option(out, self.gfp_names.as_ref(), |out, names| {
            put_list(out, names.table().iter(), |out, (flags, name)| {
                put_varint(out, (*flags).into());
                put_bytes(out, name.as_bytes());
            });
        });
    }

    fn read_body(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            tool: cursor.text()?,
            command: cursor.list(Cursor::text)?,
            host: cursor.text()?,
            kernel: cursor.text()?,
            boot_id: cursor.text()?,
            started: SystemTime::UNIX_EPOCH + Duration::from_nanos(cursor.time()?),
            started_ns: cursor.time()?,
            own_tgid: cursor.u32()?,
            ledger_bytes: cursor.varint()?,
            period: cursor.period()?,
            stacks_period: cursor.option(Cursor::u32)?,
            ring: cursor.option(|cursor| Ok(Ring { start: cursor.varint()?, end: cursor.varint()? }))?,
            filters: cursor.text()?,
            gfp_names: cursor
                .option(|cursor| cursor.list(|cursor| Ok((cursor.u32()?, cursor.text()?))))?
                .map(GfpNames::from_table),
        })
    }
}
