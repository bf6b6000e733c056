//! The programs, by what they watch.

mod bulk;
mod dentry;
mod process;
mod slab;
