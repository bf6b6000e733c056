//! Where a field lies in a kernel structure.

use std::ops::Range;

/// Offset in bytes; None where this kernel has no such field.
pub type Field = Option<u32>;

/// The smallest part of a structure that holds all of these fields, each of 8 bytes at most.
pub fn span(fields: &[Field]) -> Range<u32> {
    let known = || fields.iter().flatten().copied();
    known().min().unwrap_or_default()..known().max().map_or(0, |last| last + 8)
}
