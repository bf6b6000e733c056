//! What this process may do, and how it gives up what it does not need: see decision 46.
//!
//! [`capability`] says what each right is for. A session keeps what it [`needs`] when its probes are attached. A command that reads
//! recordings does so in a [`sandbox`]. [`calls`] are the system calls of both.

pub mod capability;
pub mod calls;
pub mod needs;
pub mod sandbox;
