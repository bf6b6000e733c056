//! The live view, and the same of a recording: what `memtrace` is on a terminal.
//!
//! [`history`] is what was seen, [`state`] what the user wants to see of it, [`body`] what that comes to. [`press`] makes of a state
//! and a key the next state, [`draw`] makes of a state a screen: both are pure. A [`source`] brings moments, of a session or of a
//! recording. [`run`] is the loop: in a thread of its own, so that neither a slow terminal nor a busy user holds up a session.

pub mod history;
pub mod state;
pub mod keys;
pub mod chart;
pub mod body;
pub mod press;
pub mod mouse;
pub mod draw;
pub mod source;
pub mod keep;
pub mod recorder;
pub mod terminal;
pub mod run;
#[cfg(test)]
mod fixture;
