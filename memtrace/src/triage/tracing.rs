//! Which caches are worth a tracing session, and what the session found.

use super::{
    suspect::{is_much_slab, usual_slab_growth},
    window::CacheRow,
};
use crate::view::Snapshot;

/// Caches that are traced, at most: each has a cost for the host.
const MAX_CACHES: usize = 6;

/// In the first seconds of a long window everything seems to grow fast.
const MIN_SHARE: f64 = 1.0 / 16.0;

/// The outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Tracing {
    /// No slab cache grew, and slab memory is not unusual.
    NotNeeded,
    /// Why there was none.
    Failed {
        caches: Vec<String>,
        why: String,
    },
    Done {
        caches: Vec<String>,
        last: Box<Snapshot>,
    },
}

/// The caches worth tracing after a first look at how they grow: `grown` since its start, which was the `share` of the whole
/// window, on a host of so much memory.
pub fn candidates(grown: &[CacheRow], share: f64, slab: u64, total: u64) -> Vec<String> {
    let usual = usual_slab_growth(total) as f64 * share.max(MIN_SHARE);
    let grows = |cache: &&CacheRow| cache.growth as f64 >= usual;
    let mut growing: Vec<_> = grown.iter().filter(grows).collect();
    growing.sort_by_key(|cache| std::cmp::Reverse(cache.growth));
    let mut big: Vec<_> = if is_much_slab(slab, total) { grown.iter().collect() } else { Vec::new() };
    // At least a quarter of it each: the ones that matter.
    big.retain(|cache| cache.bytes >= slab / 4);
    big.sort_by_key(|cache| std::cmp::Reverse(cache.bytes));
    let mut names: Vec<String> = Vec::new();
    for cache in growing.into_iter().chain(big) {
        if names.len() < MAX_CACHES && !names.contains(&cache.name) {
            names.push(cache.name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str, bytes: u64, growth: i64) -> CacheRow {
        CacheRow { name: name.to_owned(), bytes, growth, ..CacheRow::default() }
    }

    #[test]
    fn caches_that_grow_first_then_those_that_are_big() {
        let total = 1 << 30;
        let grown = [
            cache("a", 1 << 20, 400_000),
            cache("b", 200 << 20, -5),
            cache("c", 9 << 20, 900_000),
            cache("d", 1, 0),
        ];
        // A sixth of a window: 2 MiB are usual in a whole one.
        assert_eq!(candidates(&grown, 1.0 / 6.0, 200 << 20, total), ["c", "a"]);
        assert_eq!(candidates(&grown, 1.0, 100 << 20, total), [""; 0]);
        assert_eq!(candidates(&grown, 1.0 / 6.0, 300 << 20, total), ["c", "a", "b"]);
        let many: Vec<_> = (0..20).map(|n| cache(&n.to_string(), 1, (9 << 20) + n)).collect();
        assert_eq!(candidates(&many, 1.0, 20, total).len(), MAX_CACHES);
    }
}
