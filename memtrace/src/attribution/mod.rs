//! Whose an allocation is: the process and who started it, the cgroup, the calls that led to it.

pub mod process;
pub mod cgroup;
pub mod stack;
