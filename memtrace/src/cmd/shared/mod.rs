//! What several commands share: options ([`trace`], [`rows`], [`select`], [`output`], [`finding`], [`until`], [`conditions`], [`arming`], [`command`]) with their numbers ([`number`]),
//! what the terminal is ([`terminal`]), the table on it ([`screen`]), a line for each report ([`lines`]), what stands on it meanwhile ([`status`], [`progress`]), the event loop ([`runtime`]), a session with somebody who presses keys ([`keyboard`]), recordings in a sandbox ([`sandboxed`]), and one that grows ([`follow`]).

pub mod arming;
pub mod command;
pub mod conditions;
pub mod finding;
pub mod follow;
pub mod keyboard;
pub mod lines;
pub mod number;
pub mod output;
pub mod parent;
pub mod progress;
pub mod recorded;
pub mod rows;
pub mod runtime;
pub mod sandboxed;
pub mod screen;
pub mod select;
pub mod status;
pub mod terminal;
pub mod trace;
pub mod until;
