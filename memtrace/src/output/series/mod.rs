//! What was outstanding over time, by key: a line or an object for each moment, or series for Prometheus. docs/series.md describes
//! them.

pub mod csv;
pub mod json;
pub mod openmetrics;

#[cfg(test)]
mod tests;
