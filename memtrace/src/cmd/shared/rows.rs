//! The rows of a report, live or from a recording.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::Args;

use super::number;
use crate::{
    knowledge::incidents::{Incidents, IncidentsError},
    text::duration,
    view::{By, Keys, Sort, build::ReportOptions},
};

#[derive(Args, Clone, Debug)]
pub struct RowArgs {
    /// What each row stands for; keys can be combined with commas: cgroup,comm
    #[arg(long, value_enum, value_name = "KEY", value_delimiter = ',', default_value = "comm")]
    pub by: Vec<By>,

    /// Show the first N rows; the rest are summed up
    #[arg(short, long, value_name = "N", default_value = "20", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub top: NonZeroUsize,

    /// Sort key, largest or oldest first
    #[arg(long, value_enum, value_name = "KEY", default_value_t = Sort::Bytes)]
    pub sort: Sort,

    /// Count only objects at least this old (10s, 5m)
    #[arg(long, value_name = "AGE", value_parser = duration::parse, allow_hyphen_values = true)]
    pub older: Option<Duration>,

    /// File with additional known incidents for the verdict (docs/incidents.md); may be repeated
    #[arg(long, value_name = "FILE")]
    pub incidents: Vec<PathBuf>,
}

impl RowArgs {
    pub fn report_options(&self) -> ReportOptions {
        ReportOptions {
            by: Keys::new(self.by.iter().copied()).unwrap_or(By::Comm.into()),
            sort: self.sort,
            older: self.older,
            top: self.top.get(),
        }
    }

    pub fn incidents(&self) -> Result<Incidents, IncidentsError> {
        Incidents::with_files(&self.incidents)
    }
}
