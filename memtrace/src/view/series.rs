//! How what is outstanding moved: a point for each report of a session.

use std::time::{Duration, SystemTime};

/// Moments and, for each of the biggest caches and rows, its bytes and objects at each of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub points: Vec<Point>,
    /// Those that were biggest at the end or at their peak come first.
    pub caches: Vec<Line>,
    /// The rows by the report's `--by`. Names are raw text: escape them.
    pub rows: Vec<Line>,
    /// In order.
    pub marks: Vec<Mark>,
}

/// A report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub time: SystemTime,
    /// Since the start.
    pub elapsed: Duration,
    /// The host's slab memory by /proc/meminfo, in bytes.
    pub slab: Option<u64>,
    pub available: Option<u64>,
}

/// What one cache or row held at each point; as long as `points`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub name: Vec<u8>,
    pub objects: Vec<u64>,
    pub bytes: Vec<u64>,
}

/// A time that a user marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub elapsed: Duration,
    pub label: Vec<u8>,
}
