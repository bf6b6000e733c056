//! What a document says, in which order; [`render`](super::render) gives it a syntax.

pub mod census;
pub mod difference;
pub mod report;
pub mod triage;
