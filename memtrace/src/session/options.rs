//! What the user asked for.

use std::time::Duration;

use super::budget::CpuLimit;
use crate::{
    kernel::trials::Avoid, knowledge::incidents::Incidents, rights::needs::Needs, select::Select,
    view::build::ReportOptions,
};

/// Whose calls stacks contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StacksOption {
    /// In the kernel
    Kernel,
    /// In the process
    User,
    /// In the process, and from there on in the kernel
    Both,
}

/// Whether to take a census that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeCensus {
    Never,
    /// If there is so much of it that somebody may wonder.
    IfMuch,
    Always,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// What to trace.
    pub select: Select,
    pub report_options: ReportOptions,
    /// Each report says where dentries are, and not the final one alone.
    pub has_directories: bool,
    pub interval: Duration,
    pub duration: Option<Duration>,
    /// End after this many reports, of which the last is the final one.
    pub count: Option<u64>,
    /// A long interval has a report at its beginning, beside those that are counted.
    pub has_early_report: bool,
    /// None: allocations are recorded without their stacks.
    pub stacks: Option<StacksOption>,
    /// Incidents to compare a leak with.
    pub incidents: Incidents,
    /// Find out what the slab holds at the start.
    pub census: TakeCensus,
    /// Find it out again and again.
    pub census_every: Option<Duration>,
    /// How long to follow frees after the session stops tracing allocations.
    pub settle: Duration,
    /// Follow one object in this many, chosen by address.
    pub sample: u32,
    /// Bytes, in the kernel and in this process; None for a share of the host's memory.
    pub max_memory: Option<u64>,
    pub max_cpu: Option<CpuLimit>,
    pub verbose: bool,
    /// What the command does beside the session, for which rights are kept; None: all are.
    pub needs: Option<Needs>,
    /// Ways to leave out, for testing.
    pub avoid: Vec<Avoid>,
    /// Overrides the size that follows from the host's memory.
    pub ring_bytes: Option<u64>,
}
