//! What is known of slab caches and of incidents that fill them: data files, read into types that hold only what is
//! well-formed. A faulty value is rejected while reading, so that the error can name the line.

pub mod caches;
pub mod incidents;
mod values;

pub use values::{Line, Pattern, Prose};
