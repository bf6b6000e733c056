//! The conclusion of a report: which row leaks, if any, with the evidence and the doubts.

use std::time::Duration;

use super::{names::NameGroup, trend::Slope};
use crate::knowledge::{Prose, incidents::Match};

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// No row grows steadily.
    Nothing,
    /// The row that grows most.
    Leak(Box<Suspect>),
}

/// Who leaks, with the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// What the row is grouped by.
    pub keys: Vec<Vec<u8>>,
    pub comm: Option<Vec<u8>>,
    /// Who started its processes, most of them; the nearest first.
    pub started_by: Vec<Vec<u8>>,
    pub processes: u64,
    /// Which cache most of it is in.
    pub cache: String,
    /// Which part of the row's bytes.
    pub share_of_cache: f64,
    /// Names and directory of most of its objects, if known.
    pub place: Option<NameGroup>,
    /// Share of its inspected dentries that are negative.
    pub negative: Option<f64>,
    pub slope: Slope,
    pub bytes_per_s: f64,
    /// Which part of its cache's growth by slabinfo the row explains. None where that is not known.
    pub explains: Option<f64>,
    /// The kernel can take the memory back when it needs it. None where that is not known.
    pub is_reclaimable: Option<bool>,
    /// Until what is available now would be used up at this rate.
    pub full_in: Option<Duration>,
    pub doubts: Vec<Doubt>,
    /// Incidents like this, the most alike first.
    pub known: Vec<KnownIncident>,
}

/// A known incident like this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownIncident {
    pub id: String,
    pub title: String,
    pub cause: String,
    /// What to do at once, for good, and how to see that it helped.
    pub now: Vec<String>,
    pub for_good: Vec<String>,
    pub verify: Vec<String>,
    pub references: Vec<String>,
    /// The signs that match: `caches`, `names`, ...
    pub signs: Vec<String>,
}

/// What makes a claim less certain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// Events were lost: a free that is lost looks like a leak.
    Lost { share: f64 },
    /// Probe runs that the kernel skipped, at most.
    Missed(u64),
    /// Allocations are refused: there are more than are shown.
    Refused,
}

impl From<&Match<'_>> for KnownIncident {
    fn from(like: &Match<'_>) -> Self {
        let incident = like.incident;
        let sentences = |prose: &[Prose]| prose.iter().map(|prose| prose.as_str().to_owned()).collect();
        Self {
            id: incident.id.as_str().to_owned(),
            title: incident.title.as_str().to_owned(),
            cause: incident.cause.as_str().to_owned(),
            now: sentences(&incident.now),
            for_good: sentences(&incident.for_good),
            verify: sentences(&incident.verify),
            references: incident.references.iter().map(|line| line.as_str().to_owned()).collect(),
            signs: like.matched.iter().map(ToString::to_string).collect(),
        }
    }
}
