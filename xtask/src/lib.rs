//! What the tasks and the bench share: setting up, building, and running other programs.

pub mod build_ebpf;
pub mod command;
pub mod host;
pub mod paths;
pub mod setup;
pub mod toolchain;
