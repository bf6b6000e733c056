//! Who made an allocation: the process and its ancestors, the cgroup, the call stack.

pub mod process;
pub mod cgroup;
pub mod stack;
