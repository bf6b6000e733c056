//! The programs, by what they watch.

mod bulk;
mod dentry;
mod slab;
