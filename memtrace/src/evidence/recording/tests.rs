//! Sessions that were never live, for the tests of what records and what replays; and that each part of a file reads as it was
//! written.

pub mod entries;
pub mod script;

mod parts;
