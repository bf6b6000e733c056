//! Who made an allocation: the process and its ancestors, its user, the cgroup, the call stack.

pub mod process;
pub mod cgroup;
pub mod stack;
pub mod user;
