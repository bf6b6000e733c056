//! Recordings: what a session saw, in a file from which each of its reports can be made again.
//!
//! A recording is a header, blocks, and an index: docs/recording.md. A block is a stretch of a second or so, compressed, with a
//! checksum, and with all that its events refer to, so that it can be read without the others. Damage costs the
//! blocks that it is in.
//!
//! Written: [`recorder`] (the session's side, and a thread) -> [`columns`], [`definitions`], [`footer`] -> [`block`] -> [`file`]; a ring also as a [`copy`].
//! Read: [`reader`] -> [`block`]. Every byte of the format is written and read here.

pub mod wire;
pub mod columns;
pub mod definitions;
mod census;
pub mod footer;
pub mod block;
pub mod header;
pub mod index;
pub mod limits;
mod directory;
pub mod file;
pub mod pipe;
pub mod reader;
pub mod copy;
pub mod recorder;

#[cfg(test)]
pub(crate) mod tests;

pub use self::{
    block::{Block, BlockError},
    columns::Encoder,
    header::Header,
    index::Place,
    limits::TooMuch,
    reader::{ReadError, Reader},
    recorder::{Progress, Recorder, Written},
};
/// What a recording consists of.
pub use crate::stream::entry::Entry;
