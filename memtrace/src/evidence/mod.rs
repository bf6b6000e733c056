//! What is kept of a session: the recording, the reports made from it, copies without names, and the bundle for a ticket.

pub mod recording;
pub mod replay;
pub mod redact;
pub mod bundle;
