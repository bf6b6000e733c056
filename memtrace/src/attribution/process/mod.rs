//! Processes: which one is meant, who started it, and what it runs. What becomes of them comes as events; those that were
//! there before are looked up in /proc.

mod chain;
mod command;
pub mod procfs;
mod table;

pub use self::{
    chain::{Chain, ChainId, NO_CHAIN},
    command::Command,
    table::{Definition, Process, Processes},
};
