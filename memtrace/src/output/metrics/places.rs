//! A series costs whoever stores it, for hours, whether it is ever seen again or not. So rows get a place each, there are only so
//! many, and who has one keeps it: a thousand short-lived names do not become a thousand series.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use crate::view::Keys;

/// Names and values of labels.
pub type Labels = Vec<(&'static str, String)>;

/// A row that wants a place.
#[derive(Clone, Debug)]
pub struct Applicant {
    pub labels: Labels,
    /// Outstanding.
    pub bytes: u64,
    /// It is accused: it must not disappear among the others.
    pub is_accused: bool,
}

/// For so long a place is kept for a row that is not there any more: at least as long as a store keeps a series that ended in memory.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// With less than this share of all outstanding bytes, 1 in so many, a row does not get a new place.
const MIN_SHARE: u64 = 1_000;

/// Who has a place.
#[derive(Clone, Debug)]
pub struct Places {
    /// Of a report.
    pub rows: Table,
    /// Of the latest census.
    pub census: Table,
    /// What tells rows of a report apart.
    by: Option<Keys>,
}

impl Places {
    /// So many of each at most, the last one for all others together.
    pub fn new(max: usize) -> Self {
        Self { rows: Table::new(max), census: Table::new(max), by: None }
    }

    /// So many from now on. If there are fewer, all are given anew.
    pub fn allow(&mut self, max: usize) {
        for table in [&mut self.rows, &mut self.census] {
            table.allow(max);
        }
    }

    /// Rows that other things tell apart are other series: all places are given anew.
    pub fn begin(&mut self, by: &Keys) {
        if self.by.as_ref() != Some(by) {
            self.rows.seen.clear();
            self.by = Some(by.clone());
        }
    }
}

/// Places of one kind of rows.
#[derive(Clone, Debug)]
pub struct Table {
    max: usize,
    /// When each was last there, since the start of the session.
    seen: HashMap<Labels, Duration>,
}

impl Table {
    fn new(max: usize) -> Self {
        Self { max: max.max(1), seen: HashMap::new() }
    }

    fn allow(&mut self, max: usize) {
        if max < self.max {
            self.seen.clear();
        }
        self.max = max.max(1);
    }

    pub fn max(&self) -> usize {
        self.max
    }

    /// Gives places, in the order of the applicants. Says which have one. `kept_free` places are for later applicants.
    pub fn give(&mut self, applicants: &[Applicant], now: Duration, kept_free: usize) -> Vec<bool> {
        let here: HashSet<&Labels> = applicants.iter().map(|applicant| &applicant.labels).collect();
        let all: u64 = applicants.iter().map(|applicant| applicant.bytes).fold(0, u64::saturating_add);
        // The place of all others is always taken.
        let max = (self.max - 1).saturating_sub(kept_free);
        let mut given = vec![false; applicants.len()];
        let (accused, others): (Vec<_>, Vec<_>) =
            applicants.iter().enumerate().partition(|(_, applicant)| applicant.is_accused);
        for (at, applicant) in accused.into_iter().chain(others) {
            let is_large = applicant.bytes.saturating_mul(MIN_SHARE) >= all;
            // A place that nobody has used since then may be taken.
            let free_since = if applicant.is_accused { Some(now) } else { now.checked_sub(KEPT) };
            let takes_new = |places: &mut Self| {
                places.seen.len() < max || free_since.is_some_and(|since| places.evict(&here, since))
            };
            given[at] = self.seen.contains_key(&applicant.labels)
                || (is_large || applicant.is_accused) && takes_new(self);
            if given[at] {
                self.seen.insert(applicant.labels.clone(), now);
            }
        }
        given
    }

    /// Takes away the place that was not used for longest, of those that are not here, if it was not used after `since`.
    fn evict(&mut self, here: &HashSet<&Labels>, since: Duration) -> bool {
        let unused = self.seen.iter().filter(|(labels, seen)| **seen <= since && !here.contains(labels));
        let Some(labels) =
            unused.min_by(|a, b| (a.1, a.0).cmp(&(b.1, b.0))).map(|(labels, _)| labels.clone())
        else {
            return false;
        };
        self.seen.remove(&labels);
        true
    }
}
