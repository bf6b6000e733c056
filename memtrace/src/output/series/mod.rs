//! What was outstanding over time, by key: a line or an object for each moment, or series for Prometheus. docs/series.md describes
//! them.

pub mod csv;
pub mod json;
pub mod openmetrics;

#[cfg(test)]
mod tests;

/// Stands for all keys that have no line of their own. No command is called like that: names of commands have no brackets but
/// those of kernel threads, which are square.
const OTHERS: &str = "(other)";
