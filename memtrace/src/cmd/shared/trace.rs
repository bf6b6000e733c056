//! What a session traces, for how long, and its limits: live, recorded, or as events.

use std::{num::NonZeroU64, time::Duration};

use clap::Args;

use super::{
    number,
    select::{LiveSelectArgs, SelectArgs},
};
use crate::{
    kernel::trials::Avoid,
    rights::needs::Needs,
    select::Select,
    session::{Readers, StacksOption, budget::memory},
    text::{duration, human, size},
};

#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    #[command(flatten)]
    pub select: SelectArgs,

    #[command(flatten)]
    pub live_select: LiveSelectArgs,

    /// Show call stacks of the first rows, from one allocation in 32
    #[arg(long, value_enum, value_name = "WHICH")]
    pub stacks: Option<StacksOption>,

    /// Time between reports (500ms, 10s, 5m); the first comes within 1s
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = duration::parse, allow_hyphen_values = true)]
    pub interval: Duration,

    /// Stop after this time (30s, 5m) instead of at Ctrl-C
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    pub duration: Option<Duration>,

    /// Stop after N reports, the final one included
    #[arg(short = 'n', long, value_name = "N", value_parser = number::at_least_one::<NonZeroU64>, allow_hyphen_values = true)]
    pub count: Option<NonZeroU64>,

    /// Keep counting frees for this long before the final report, since RCU delays many; 0 turns this off
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration::parse_or_none, allow_hyphen_values = true)]
    pub settle: Duration,

    /// Trace one object in N, chosen by address: cheaper; figures become estimates with an error
    #[arg(long, value_name = "N", default_value = "1", value_parser = number::period, allow_hyphen_values = true)]
    pub sample: u32,

    /// Memory limit for the process and its kernel buffers together (64M, 1G) [default: 1/32 of the host's]
    #[arg(long, value_name = "SIZE", value_parser = memory_budget, allow_hyphen_values = true)]
    pub max_memory: Option<u64>,

    /// CPU limit for probes and process together, in percent of one CPU as in top. Over it, memtrace samples, and
    /// finally detaches
    #[arg(long, value_name = "PERCENT", value_parser = number::percent, allow_hyphen_values = true)]
    pub max_cpu: Option<f64>,

    /// Threads that follow events
    #[arg(long, value_enum, value_name = "N", default_value_t)]
    pub readers: Readers,

    /// Keep all rights while tracing, for debugging. Without it, those that are not needed any more are given up once the probes are
    /// attached
    #[arg(long)]
    pub keep_privileges: bool,

    /// Print the BPF programs' log to standard error
    #[arg(short, long)]
    pub verbose: bool,

    /// Do without a kernel feature, as on kernels that lack it
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', hide = true)]
    pub avoid: Vec<Avoid>,

    /// Size of the ring buffer in bytes, a power of two: a tiny one overflows
    #[arg(long, value_name = "BYTES", value_parser = ring_bytes, hide = true)]
    pub ring_bytes: Option<u64>,

    /// Find out what is there already even if it is little
    #[arg(long, hide = true)]
    pub census: bool,
}

impl TraceArgs {
    pub fn select(&self) -> Select {
        self.select.select_live(&self.live_select)
    }

    /// For a session of a command that does nothing else; None where rights are kept.
    pub fn needs(&self) -> Option<Needs> {
        (!self.keep_privileges).then(Needs::default)
    }
}

pub fn memory_budget(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text).map_err(|error| error.to_string())?;
    if bytes < memory::MIN {
        return Err(format!("the minimum is {}", human::bytes(memory::MIN)));
    }
    Ok(bytes)
}

/// All rings together: a power of two of whole pages.
pub fn ring_bytes(text: &str) -> Result<u64, &'static str> {
    let bytes = text.parse().map_err(|_| "not a number of bytes")?;
    let is_ring = u64::is_power_of_two(bytes) && bytes as usize >= rustix::param::page_size();
    if is_ring { Ok(bytes) } else { Err("not a power of two of at least one page") }
}
