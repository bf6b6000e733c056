//! The commands: one file each, and what several of them share.

pub mod exit;
pub mod shared;

pub mod bundle;
pub mod caches;
pub mod census;
pub mod check;
pub mod diff;
pub mod events;
pub mod explain;
pub mod live;
pub mod mark;
pub mod record;
pub mod redact;
pub mod report;
pub mod run;
pub mod serve;
pub mod top;
pub mod triage;
pub mod watch;
