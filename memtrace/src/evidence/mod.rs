//! What is kept of a session: the recording, the reports made from it, copies without names, and the bundle for a ticket; and how
//! every file is written.

pub mod output_file;
pub mod recording;
pub mod replay;
pub mod redact;
pub mod bundle;

/// How far something that takes time is: `done` of `all` blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub doing: &'static str,
    pub done: usize,
    pub all: usize,
}
