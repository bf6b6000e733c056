//! The running kernel: what it is like, what it supports, and memtrace's programs in it.
//!
//! `btf` (the format) -> `types` (of this kernel) -> `layout` (the part that memtrace needs) -> `memory` (reads the kernel on demand) -> `caches` (the slab caches
//! and their addresses) -> `pages` (how to find an object's cache) -> `plan` -> `load` -> `attach` -> `events`.
//! For reports, `inspect` describes live objects, `nodes` finds their NUMA node, and `gfp` names allocation flags.

pub mod attach;
pub mod btf;
pub mod bulk;
pub mod caches;
pub mod census;
pub mod clock;
pub mod config;
pub mod cost;
pub mod discover;
pub mod error;
pub mod events;
pub mod functions;
pub mod gfp;
pub mod handle;
pub mod layout;
pub mod limits;
pub mod live_filters;
pub mod load;
pub mod loader;
pub mod lockdown;
pub mod log;
pub mod inspect;
pub mod memory;
pub mod nodes;
pub mod object;
pub mod options;
pub mod per_cpu_free;
pub mod support;
pub mod pages;
pub mod panel;
pub mod pids;
pub mod plan;
pub mod priority;
pub mod reason;
pub mod rings;
pub mod generations;
pub mod slabs;
pub mod stopped;
pub mod symbols;
pub mod tracefs;
pub mod trials;
pub mod types;
pub mod unused;
pub mod verify;
