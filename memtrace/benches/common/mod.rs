//! What the micro-benchmarks share: a synthetic kernel, and how is measured and printed.

pub mod measure;
pub mod report;
pub mod source;
