//! The running kernel: what it is like, what it offers, and memtrace's programs in it.
//!
//! `btf` (the format) -> `types` (the kernel's own) -> `layout` (what memtrace needs of it) -> `memory` (reading the kernel on demand) -> `caches`
//! (which slab caches there are, and where) -> `pages` (how to find an object's cache) -> `load` (the programs) ->
//! `events` (what they tell).
//! `look` tells what a live object is, when a report asks, `nodes` on which NUMA node it is, and `gfp` what allocation flags are
//! called.

pub mod btf;
pub mod bulk;
pub mod caches;
pub mod clock;
pub mod config;
pub mod cost;
pub mod discover;
pub mod events;
pub mod functions;
pub mod gfp;
pub mod handle;
pub mod layout;
pub mod load;
pub mod log;
pub mod inspect;
pub mod memory;
pub mod nodes;
pub mod object;
pub mod support;
pub mod pages;
pub mod plan;
pub mod privileges;
pub mod rings;
pub mod generations;
pub mod symbols;
pub mod tracefs;
pub mod trials;
pub mod types;
