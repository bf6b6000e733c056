//! What was traced, compared with slabinfo at each reading of it.

use std::collections::HashMap;

use crate::view::{
    checkpoint::Slabinfo,
    lookups::Caches,
    reconcile::{Growth, Reading, Traced},
};

/// What was traced of the caches, by their names.
pub type TracedByName = HashMap<String, Traced>;

/// How caches grew since the first reading, which is soon after attach.
#[derive(Default)]
pub struct Comparison {
    start: HashMap<String, Reading>,
    growth: HashMap<String, Growth>,
}

impl Comparison {
    /// After a reading of slabinfo: what was traced until just before and until just after it.
    pub fn update(
        &mut self,
        caches: &Caches,
        slabinfo: &HashMap<String, Slabinfo>,
        before: &TracedByName,
        after: &TracedByName,
    ) {
        let readings = slacks(caches).into_iter().filter_map(|(name, slack)| {
            let slabinfo = slabinfo.get(name)?;
            let traced = |at: &TracedByName| at.get(name).copied().unwrap_or_default();
            let slack = slack?.saturating_add(slabinfo.inexact);
            let reading =
                Reading { objects: slabinfo.objects, slack, before: traced(before), after: traced(after) };
            Some((name.to_owned(), reading))
        });
        if self.start.is_empty() {
            self.start = readings.collect();
            return;
        }
        let start = &self.start;
        // A cache that is new since has no start: its objects from before are not known.
        let growth = readings.filter_map(|(name, now)| {
            let growth = Growth::between(start.get(&name)?, &now);
            Some((name, growth))
        });
        self.growth = growth.collect();
    }

    /// By the cache's name; empty before the second reading.
    pub fn growth(&self) -> &HashMap<String, Growth> {
        &self.growth
    }
}

/// By name, which several caches may share. None where one of them is not known.
fn slacks(caches: &Caches) -> HashMap<&str, Option<u64>> {
    let mut slacks = HashMap::with_capacity(caches.len());
    for cache in caches.values() {
        let sum = slacks.entry(cache.name.as_str()).or_insert(Some(0_u64));
        *sum = sum.zip(cache.slack).map(|(sum, slack)| sum.saturating_add(slack));
    }
    slacks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::lookups::CacheInfo;

    fn cache(name: &str, slack: Option<u64>) -> CacheInfo {
        CacheInfo { name: name.to_owned(), slack, ..CacheInfo::default() }
    }

    fn objects(counts: &[(&str, u64)]) -> HashMap<String, Slabinfo> {
        let of =
            |&(name, objects): &(&str, u64)| (name.to_owned(), Slabinfo { objects, ..Slabinfo::default() });
        counts.iter().map(of).collect()
    }

    fn traced(counts: &[(&str, u64)]) -> TracedByName {
        let of = |&(name, allocs): &(&str, u64)| (name.to_owned(), Traced { allocs, ..Traced::default() });
        counts.iter().map(of).collect()
    }

    /// Slabinfo's and the traced growth of each cache, in order.
    fn show(comparison: &Comparison) -> Vec<(&str, i64, i64)> {
        let mut growth: Vec<_> = comparison
            .growth()
            .iter()
            .map(|(name, growth)| (name.as_str(), growth.slabinfo, growth.traced))
            .collect();
        growth.sort_unstable();
        growth
    }

    #[test]
    fn growth_is_since_the_first_reading() {
        let caches = Caches::from([(1, cache("dentry", Some(5))), (2, cache("filp", Some(5)))]);
        let mut comparison = Comparison::default();
        let nothing = TracedByName::new();
        comparison.update(&caches, &objects(&[("dentry", 100), ("filp", 50)]), &nothing, &nothing);
        assert_eq!(show(&comparison), []);
        for _ in 0..2 {
            let traced = traced(&[("dentry", 30)]);
            comparison.update(&caches, &objects(&[("dentry", 130), ("filp", 40)]), &traced, &traced);
            assert_eq!(show(&comparison), [("dentry", 30, 30), ("filp", -10, 0)]);
        }
    }

    #[test]
    fn what_was_traced_during_the_reading_may_be_in_it() {
        let caches = Caches::from([(1, cache("dentry", Some(5)))]);
        let mut comparison = Comparison::default();
        let nothing = TracedByName::new();
        comparison.update(&caches, &objects(&[("dentry", 100)]), &nothing, &traced(&[("dentry", 10)]));
        for (slabinfo, expected) in [(150, 50), (120, 30), (190, 60)] {
            let (before, after) = (traced(&[("dentry", 40)]), traced(&[("dentry", 60)]));
            comparison.update(&caches, &objects(&[("dentry", slabinfo)]), &before, &after);
            assert_eq!(show(&comparison), [("dentry", slabinfo as i64 - 100, expected)]);
        }
    }

    #[test]
    fn what_lacks_a_part_is_not_compared() {
        let caches = Caches::from([
            (1, cache("no-slack", None)),
            (2, cache("twice", Some(5))),
            (3, cache("twice", None)),
            (4, cache("new", Some(5))),
            (5, cache("gone", Some(5))),
        ]);
        let mut comparison = Comparison::default();
        let nothing = TracedByName::new();
        let then = objects(&[("no-slack", 1), ("twice", 1), ("gone", 1)]);
        comparison.update(&caches, &then, &nothing, &nothing);
        let now = objects(&[("no-slack", 1), ("twice", 1), ("new", 1)]);
        comparison.update(&caches, &now, &nothing, &nothing);
        assert_eq!(show(&comparison), []);
    }
}
