//! A report as metrics: OpenMetrics, or Prometheus' older text.
//!
//! [`places`] decides which rows have series of their own, [`exposed`] folds the rest, [`census`] makes rows of a census, [`families`] declares each metric once, and
//! [`format`] writes them.

mod census;
mod exposed;
mod group;
mod families;
pub mod format;
mod places;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

pub use self::{exposed::Exposed, format::Format, places::Places};
use crate::view::By;

/// What each row of a served report stands for: its labels.
pub const KEYS: [By; 2] = [By::Cache, By::Comm];

/// What is not in a report.
#[derive(Clone, Debug)]
pub struct Process {
    pub started: SystemTime,
    /// Of this process, all its threads.
    pub cpu: Duration,
    /// None where there is no file.
    pub config: Option<Config>,
    /// None where nobody is armed.
    pub recordings: Option<Recordings>,
}

/// What was recorded because a condition held, or because somebody asked.
#[derive(Clone, Debug, Default)]
pub struct Recordings {
    /// By what for; one that had two reasons counts for both.
    pub made: BTreeMap<String, u64>,
    /// Without a bundle.
    pub failed: u64,
    /// Of the bundles that are kept.
    pub bytes: u64,
    pub last: Option<SystemTime>,
}

/// How reading the configuration went.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The last time.
    pub is_good: bool,
    /// When what holds was read.
    pub taken: SystemTime,
}

#[cfg(test)]
mod tests;
