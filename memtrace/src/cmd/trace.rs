//! What a session traces, for how long, and what it may take: live, recorded, or as events.

use std::{num::NonZeroU64, time::Duration};

use clap::Args;

use super::number;
use crate::{
    kernel::trials::Avoid,
    session::{StacksOption, budget::memory},
    text::{duration, human, size},
};

/// Stands for all caches.
const ALL: &str = "all";

#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// Slab cache to trace: a name as in `memtrace caches`, a glob ('kmalloc-*') or all; may be given several times
    #[arg(short, long = "cache", value_name = "NAME|GLOB", default_value = "all")]
    pub caches: Vec<String>,

    /// Only what this process allocates; may be given several times
    #[arg(short, long = "pid", value_name = "PID", value_parser = number::process_id, allow_hyphen_values = true)]
    pub pids: Vec<u32>,

    /// Only what is allocated under this command name; may be given several times
    #[arg(long = "comm", value_name = "COMM")]
    pub comms: Vec<String>,

    /// Show the calls that led to allocations, of one in 32, for the first rows
    #[arg(long, value_enum, value_name = "WHICH")]
    pub stacks: Option<StacksOption>,

    /// Time between reports (500ms, 10s, 5m); the first comes after 1s at the latest
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = duration::parse, allow_hyphen_values = true)]
    pub interval: Duration,

    /// End after this time (30s, 5m) instead of with Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    pub duration: Option<Duration>,

    /// End after N reports
    #[arg(short = 'n', long, value_name = "N", value_parser = number::at_least_one::<NonZeroU64>, allow_hyphen_values = true)]
    pub count: Option<NonZeroU64>,

    /// After the end, follow frees for this long before the final report: many come late, by RCU. 0 turns it off
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration::parse_or_none, allow_hyphen_values = true)]
    pub settle: Duration,

    /// Follow one object in N, by its address: cheaper, and figures are estimates with their error
    #[arg(long, value_name = "N", default_value = "1", value_parser = number::period, allow_hyphen_values = true)]
    pub sample: u32,

    /// Take this much memory at most, rings in the kernel and the process together (64M, 1G); by default 1/32 of the host's
    #[arg(long, value_name = "SIZE", value_parser = memory_budget, allow_hyphen_values = true)]
    pub max_memory: Option<u64>,

    /// Take this much CPU time at most, probes and process together, in percent of one CPU as top counts. Over it,
    /// memtrace samples, more and more, and in the end detaches itself
    #[arg(long, value_name = "PERCENT", value_parser = number::percent, allow_hyphen_values = true)]
    pub max_cpu: Option<f64>,

    /// Show what the kernel-side programs log, on standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// Do without something that the kernel offers, to see how memtrace fares on kernels that lack it
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', hide = true)]
    pub avoid: Vec<Avoid>,

    /// Size of the ring buffer in bytes, a power of two: a tiny one shows what memtrace does when it overflows
    #[arg(long, value_name = "BYTES", value_parser = ring_bytes, hide = true)]
    pub ring_bytes: Option<u64>,
}

impl TraceArgs {
    /// What leaves allocations out, as it is written on the command line; empty where nothing does.
    pub fn filters(&self) -> String {
        let is_all = self.caches.iter().any(|cache| cache == ALL);
        let caches = self.caches.iter().filter(|_| !is_all).map(|cache| format!("--cache {cache}"));
        let pids = self.pids.iter().map(|pid| format!("--pid {pid}"));
        let comms = self.comms.iter().map(|comm| format!("--comm {comm}"));
        caches.chain(pids).chain(comms).collect::<Vec<_>>().join(" ")
    }
}

pub(super) fn memory_budget(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text).map_err(|error| error.to_string())?;
    if bytes < memory::MIN {
        return Err(format!("it is too little: memtrace needs {} at least", human::bytes(memory::MIN)));
    }
    Ok(bytes)
}

/// All rings together: a power of two of whole pages.
pub(super) fn ring_bytes(text: &str) -> Result<u64, &'static str> {
    let bytes = text.parse().map_err(|_| "it is not a number of bytes")?;
    let is_ring = u64::is_power_of_two(bytes) && bytes as usize >= rustix::param::page_size();
    if is_ring { Ok(bytes) } else { Err("it is not a power of two of at least one page") }
}
