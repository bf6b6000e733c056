//! The conclusions of a report: who leaks, who floods, what merely fills caches, with the evidence and the doubts.

use std::time::Duration;

use super::{names::NameGroup, trend::Slope};
use crate::knowledge::{Prose, incidents::Match};

/// What a report comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Accusations first, and of each kind what grows fastest first.
    pub findings: Vec<Finding>,
    /// What may become a finding. Only where nobody is accused.
    pub too_few: Option<TooFew>,
    /// What grew most for a while, and no more. Likewise.
    pub ended: Option<Ended>,
}

/// What the kernel can do with memory that grows, and so what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum Kind {
    /// It is held: the kernel cannot take it back while its holder lives.
    Leak,
    /// The kernel can take it back. It is made faster than it is ever used again: names that do not exist.
    Flood,
    /// Bookkeeping of what is read, written or looked up: the kernel takes it back when it needs it. No accusation.
    Cache,
}

/// One cache of one row grows steadily.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: Kind,
    /// What the row is grouped by.
    pub keys: Vec<Vec<u8>>,
    pub comm: Option<Vec<u8>>,
    /// Who started its processes, most of them; the nearest first.
    pub started_by: Vec<Vec<u8>>,
    pub processes: u64,
    pub cache: String,
    /// Other names of the cache: the kernel merged it with these.
    pub aliases: Vec<String>,
    /// Which part of the row's bytes are in this cache.
    pub share_of_cache: f64,
    /// Other caches of the row that grow with it, those of most bytes first.
    pub with: Vec<String>,
    /// Outstanding objects of the cache, allocated since the start of the session.
    pub objects: u64,
    pub slope: Slope,
    pub bytes_per_s: f64,
    /// Share of what the row allocated in this cache that is outstanding.
    pub kept: f64,
    /// Names and directory of most of the row's objects, if known.
    pub place: Option<NameGroup>,
    /// Share of its inspected dentries that are negative. None of other caches.
    pub negative: Option<f64>,
    /// Which part of the cache's growth by slabinfo it explains. None where that is not known.
    pub explains: Option<f64>,
    /// Which part of all traced bytes that are outstanding.
    pub slab_growth_share: f64,
    /// The kernel can take the memory back when it needs it. None where that is not known.
    pub is_reclaimable: Option<bool>,
    /// Until what is available now would be used up at this rate.
    pub full_in: Option<Duration>,
    pub doubts: Vec<Doubt>,
    /// Incidents like this, the most alike first.
    pub known: Vec<KnownIncident>,
}

/// A row that seems to keep what it allocates in a cache, by too few objects to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct TooFew {
    pub keys: Vec<Vec<u8>>,
    pub comm: Option<Vec<u8>>,
    pub cache: String,
    pub objects: u64,
    /// How long the session had traced them.
    pub elapsed: Duration,
}

/// A row that took objects of a cache for a while, which are still there: a leak or a flood that is over, or a program that has
/// what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub keys: Vec<Vec<u8>>,
    pub comm: Option<Vec<u8>>,
    pub cache: String,
    pub objects: u64,
    pub bytes: u64,
    /// Since the session began.
    pub until: Duration,
}

/// With a smaller share of all growth, what is beside something larger is no headline.
const MIN_SHARE: f64 = 0.01;

impl Verdict {
    /// Leaks and floods.
    pub fn accused(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_accusation())
    }

    /// What merely fills caches.
    pub fn caches(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.is_accusation())
    }

    /// The first accusation.
    pub fn first(&self) -> Option<&Finding> {
        self.accused().next()
    }

    /// Whether the first accusation deserves to be shown as an alarm.
    pub fn is_alarming(&self) -> bool {
        let Some(first) = self.first() else { return false };
        let is_larger = |cache: &Finding| cache.bytes_per_s > first.bytes_per_s;
        first.slab_growth_share >= MIN_SHARE || !self.caches().any(is_larger)
    }
}

impl Finding {
    pub fn is_accusation(&self) -> bool {
        self.kind != Kind::Cache
    }
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

/// What makes a finding less certain.
#[derive(Clone, Copy, Debug, PartialEq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum Doubt {
    /// Events were lost: a free that is lost looks like a leak.
    Lost { share: f64 },
    /// Probe runs that the kernel skipped, at most.
    Missed(u64),
    /// Allocations are refused: there are more than are shown.
    Refused,
    /// So many objects of the cache from before the session were freed in it, by whomever: what seems to be added may take their
    /// place, as in a server whose connections live for minutes.
    Replaced(u64),
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
