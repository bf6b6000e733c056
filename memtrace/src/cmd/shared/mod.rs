//! What several commands share: options ([`trace`], [`rows`], [`select`], [`output`], [`finding`]) with their values ([`when`], [`number`]),
//! what the terminal is ([`terminal`]), the table on it ([`screen`]), what stands on it meanwhile ([`status`], [`progress`]), and the event loop ([`runtime`]).

pub mod finding;
pub mod number;
pub mod output;
pub mod progress;
pub mod rows;
pub mod runtime;
pub mod screen;
pub mod select;
pub mod status;
pub mod terminal;
pub mod trace;
pub mod when;
