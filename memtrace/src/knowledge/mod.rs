//! What is known of slab caches and of incidents that fill them: data files, read into types that hold only what is
//! well-formed. A faulty value is refused where it stands, so that the reader of a user's file can say the line.

pub mod caches;
pub mod incidents;
mod values;

pub use values::{Line, Pattern, Prose};
