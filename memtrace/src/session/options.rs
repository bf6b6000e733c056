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

/// Threads for events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Readers {
    /// Two where the host has at least four CPUs
    #[default]
    Auto,
    /// One reads them and keeps count
    #[value(name = "1")]
    One,
    /// One reads them, and where many wait, another keeps count
    #[value(name = "2")]
    Two,
}

impl Readers {
    /// A second thread follows more events where there is a CPU for it. On a small host it would take one from those who work.
    pub fn has_two(self, cpus: usize) -> bool {
        match self {
            Self::Auto => cpus >= 4,
            Self::One => false,
            Self::Two => true,
        }
    }
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
    pub readers: Readers,
    pub verbose: bool,
    /// What the command does beside the session, for which rights are kept; None: all are.
    pub needs: Option<Needs>,
    /// Ways to leave out, for testing.
    pub avoid: Vec<Avoid>,
    /// Overrides the size that follows from the host's memory.
    pub ring_bytes: Option<u64>,
}
