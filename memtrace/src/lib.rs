//! memtrace: who holds the kernel's slab memory.
//!
//! The folders stand in order: each imports only from those above it. `cargo xtask tidy` reads this list and checks that.

pub mod text;
pub mod procfs;
pub mod rights;
pub mod condition;
pub mod knowledge;
pub mod stream;
pub mod kernel;
pub mod attribution;
pub mod select;
pub mod view;
pub mod triage;
pub mod output;
pub mod evidence;
pub mod session;
pub mod top;
pub mod serve;
pub mod armed;
pub mod cmd;

pub mod cli;
#[cfg(test)]
mod testing;
