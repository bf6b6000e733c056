//! Armed: nothing is traced, the host's own figures are read now and then, and when a condition holds, somebody records.
//!
//! The [`machine`] says when, from what holds and a clock. A [`recorder`] is a process of its own that makes a bundle, so that what it takes is given
//! back, and so that whatever becomes of it we are still there. The [`shelf`] keeps the worst bundles, and a [`hook`] is run with each that is kept: an [`episode`].
//! The [`guard`] is all of it at work.

pub mod machine;
pub mod shelf;
pub mod hook;
pub mod recorder;
pub mod census;
pub mod episode;
pub mod webhook;
pub mod figures;
pub mod guard;
