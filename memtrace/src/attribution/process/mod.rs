//! Processes: who started them and what they run. Forks, execs and exits come as events; processes from before the session are
//! looked up in /proc.

mod chain;
mod command;
mod running;
mod table;

pub use self::{
    chain::{Chain, ChainId, NO_CHAIN},
    command::Command,
    running::{Running, running},
    table::{Definition, Process, Processes},
};
