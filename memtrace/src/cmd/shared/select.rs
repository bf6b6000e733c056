//! Which of the recorded allocations are shown.

use clap::Args;

use super::number;
use crate::{
    evidence::replay::filter::{Filter, FilterError},
    stream::comm_pattern::CommPattern,
};

#[derive(Args, Clone, Debug)]
pub struct SelectArgs {
    /// Only these slab caches: names, globs ('kmalloc-*') or all; may be repeated
    #[arg(short, long = "cache", value_name = "NAME|GLOB", value_delimiter = ',')]
    pub caches: Vec<String>,

    /// Only allocations by this process; may be repeated
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = number::process_id, allow_hyphen_values = true)]
    pub pids: Vec<u32>,

    /// Only allocations by processes of this name or glob ('php*'); may be repeated. Threads count for their process
    #[arg(long = "comm", value_name = "COMM|GLOB", value_parser = CommPattern::parse)]
    pub comms: Vec<CommPattern>,
}

impl SelectArgs {
    pub fn filter(&self) -> Result<Filter, FilterError> {
        Filter::new(&self.caches, &self.comms, &self.pids)
    }
}
