//! The programs, by what they watch.

mod dentry;
mod slab;
