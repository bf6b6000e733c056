//! memtrace: who holds the kernel's slab memory. The modules stand in the order that data flows through them.

pub mod cli;
pub mod cmd;

pub mod cgroup;
pub mod decode;
pub mod event;
pub mod kernel;
pub mod knowledge;
pub mod ledger;
pub mod process;
pub mod output;
pub mod session;
pub mod slab;
pub mod stack;
pub mod view;
pub mod recording;
pub mod replay;

pub mod host;
pub mod triage;

pub mod redact;
pub mod bundle;

pub mod exit;
