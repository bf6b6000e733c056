//! Each table's columns, declared once for all formats.

pub mod ages;
pub mod difference;
pub mod directories;
pub mod keys;
pub mod line;
pub mod rows;
pub mod shares;
pub mod slab_caches;
pub mod stacks;
pub mod triage;
