//! A page of triage as JSON, by its own schema.

pub mod json;

#[cfg(test)]
pub(in crate::output) mod sample;
#[cfg(test)]
mod tests;
