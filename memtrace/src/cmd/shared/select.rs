//! Which of the recorded allocations are shown.

use clap::Args;

use super::{number, trace::comm};
use crate::evidence::replay::filter::{Filter, FilterError};

#[derive(Args, Clone, Debug)]
pub struct SelectArgs {
    /// Only these slab caches: names, globs ('kmalloc-*') or all; may be repeated
    #[arg(short, long = "cache", value_name = "NAME|GLOB", value_delimiter = ',')]
    pub caches: Vec<String>,

    /// Only allocations by this process; may be repeated
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = number::process_id, allow_hyphen_values = true)]
    pub pids: Vec<u32>,

    /// Only allocations under this command name; may be repeated
    #[arg(long = "comm", value_name = "COMM", value_parser = comm)]
    pub comms: Vec<String>,
}

impl SelectArgs {
    pub fn filter(&self) -> Result<Filter, FilterError> {
        Filter::new(&self.caches, &self.comms, &self.pids)
    }
}
