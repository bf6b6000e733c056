//! What a tracing session of the window says: who holds what grew.

use crate::view::{
    Census, Finding, KnownIncident, NameGroup, Row, Snapshot,
    finding::{Doubt, Kind},
};

/// The outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// As they are written on the command line.
    pub caches: Vec<String>,
    /// Or why there is none.
    pub traced: Result<Traced, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// Whether it was all that happened on the host: all caches, of all processes.
    pub is_whole: bool,
    pub last: Box<Snapshot>,
}

/// Whose objects of a cache leak or flood it, by the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// A leak or a flood.
    pub kind: Kind,
    pub cache: String,
    /// Others that grow with it.
    pub with: Vec<String>,
    /// A command's name, and who started it, the nearest first.
    pub comm: Vec<u8>,
    pub started_by: Vec<Vec<u8>>,
    pub processes: u64,
    pub objects_per_s: f64,
    pub bytes_per_s: f64,
    /// Share of what it allocated in the window that is still there.
    pub kept: f64,
    /// Which part of its cache's growth.
    pub explains: Option<f64>,
    pub place: Option<NameGroup>,
    /// Share of its dentries that are of names that do not exist.
    pub negative: Option<f64>,
    pub doubts: Vec<Doubt>,
    /// An incident like this one.
    pub known: Option<KnownIncident>,
}

impl Tracing {
    pub fn done(caches: Vec<String>, is_whole: bool, last: Snapshot) -> Self {
        Self { caches, traced: Ok(Traced { is_whole, last: Box::new(last) }) }
    }

    pub fn failed(caches: Vec<String>, why: impl Into<String>) -> Self {
        Self { caches, traced: Err(why.into()) }
    }

    /// The session's last report.
    pub fn last(&self) -> Option<&Snapshot> {
        self.traced.as_ref().ok().map(|traced| &*traced.last)
    }

    /// What the slab held when the session began, if it found out.
    pub fn census(&self) -> Option<&Census> {
        self.last()?.census.as_deref()
    }

    /// None where there is no telling: nothing was traced, or for too short a time.
    pub fn claims(&self) -> Option<Vec<Claim>> {
        self.last()?.verdict.as_ref().map(|verdict| verdict.accused().map(Claim::of).collect())
    }

    /// Whether all of this cache is seen, so that what is not claimed does not leak.
    pub fn sees(&self, cache: &str) -> bool {
        let Ok(Traced { is_whole: true, last }) = &self.traced else { return false };
        let is_partial = last.caches.iter().any(|traced| traced.name == cache && traced.partial.is_some());
        last.verdict.is_some() && !is_partial
    }

    /// Who holds most of what was allocated of this cache meanwhile, leak or not.
    pub fn holder(&self, cache: &str) -> Option<&[u8]> {
        let last = self.last()?;
        let all = last.caches.iter().find(|traced| traced.name == cache)?.outstanding_objects;
        let of =
            |row: &Row| row.caches.iter().find(|share| share.name == cache).map_or(0, |share| share.objects);
        let most = last.rows.iter().max_by_key(|row| of(row)).filter(|row| of(row) * 2 > all)?;
        most.comm.as_deref()
    }
}

impl Claim {
    fn of(finding: &Finding) -> Self {
        Self {
            kind: finding.kind,
            cache: finding.cache.clone(),
            with: finding.with.clone(),
            comm: finding.comm.clone().unwrap_or_else(|| finding.keys.join(&b", "[..])),
            started_by: finding.started_by.clone(),
            processes: finding.processes,
            objects_per_s: finding.slope.per_s,
            bytes_per_s: finding.bytes_per_s,
            kept: finding.kept,
            explains: finding.explains,
            place: finding.place.clone(),
            negative: finding.negative,
            doubts: finding.doubts.clone(),
            known: finding.known.first().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::sample, view::By};

    #[test]
    fn a_claim_is_an_accusation_of_the_verdict() {
        let done = |last| Tracing::done(vec!["all".to_owned()], true, last);
        let claims = done(sample::verdict()).claims().expect("there is a verdict");
        assert_eq!((claims[0].cache.as_str(), &*claims[0].comm, claims.len()), ("dentry", &b"curl"[..], 1));
        assert_eq!(done(sample::verdict()).holder("dentry"), Some(&b"curl"[..]));
        assert_eq!(done(sample::verdict()).holder("filp"), None);
        let early = done(Snapshot { verdict: None, ..sample::verdict() });
        assert_eq!((early.claims(), early.sees("dentry")), (None, false));
        assert!(done(sample::verdict()).sees("dentry"));
        let mut partial = sample::verdict();
        partial.caches[0].partial = sample::partial(By::Comm).caches.iter().find_map(|cache| cache.partial);
        assert!(!done(partial).sees("dentry"));
        // What a filter left out may leak.
        let of_some = Tracing::done(Vec::new(), false, sample::verdict());
        assert!(!of_some.sees("dentry"));
    }
}
