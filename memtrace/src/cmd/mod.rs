//! The commands: one file each.

pub mod bundle;
pub mod caches;
pub mod check;
pub mod diff;
pub mod events;
pub mod explain;
pub mod live;
pub mod mark;
pub mod number;
pub mod progress;
pub mod record;
pub mod redact;
pub mod report;
pub mod rows;
pub mod trace;
pub mod triage;
pub mod when;
