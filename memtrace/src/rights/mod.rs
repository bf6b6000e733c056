//! What this process may do, and how it gives up what it does not need: see decision 46.
//!
//! A command that reads recordings does so in a [`sandbox`]; [`calls`] are the system calls that it makes.

pub mod calls;
pub mod sandbox;
