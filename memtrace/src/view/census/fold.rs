//! Places that were seen too seldom count for the directory that they are in, and so on upwards: of files that are scattered, the
//! directories above them tell where they are.

use std::collections::HashMap;

use super::traits::{Place, Traits};

/// A place that was seen less often is one by chance.
const LEAST_LOOKS: u64 = 4;
/// What has a row of its own, of all that was looked at in its cache: a name's pattern in a directory, and a directory with all that
/// is below it.
const LEAST_SHARE: f64 = 0.01;
const LEAST_SHARE_BELOW: f64 = 0.04;

/// Which row each place counts for.
#[derive(Default)]
pub struct Folding {
    /// By what rows are grouped by besides.
    seen: HashMap<Traits, HashMap<Place, u64>>,
    folded: HashMap<Traits, HashMap<Place, Place>>,
}

impl Folding {
    /// Takes in one object at a place.
    pub fn add(&mut self, others: Traits, place: Place) {
        *self.seen.entry(others).or_default().entry(place).or_default() += 1;
    }

    /// Folds what was seen, of so many objects that were looked at of a cache; or of all.
    pub fn fold(&mut self, looks: impl Fn(Option<usize>) -> u64) {
        let fold = |(others, seen): (Traits, HashMap<Place, u64>)| {
            let least = |share: f64| ((looks(others.cache) as f64 * share).ceil() as u64).max(LEAST_LOOKS);
            let folded = fold(seen, least(LEAST_SHARE), least(LEAST_SHARE_BELOW));
            (others, folded)
        };
        self.folded = std::mem::take(&mut self.seen).into_iter().map(fold).collect();
    }

    pub fn place(&self, others: &Traits, place: &Place) -> Option<Place> {
        self.folded.get(others)?.get(place).cloned()
    }
}

fn fold(seen: HashMap<Place, u64>, least: u64, least_below: u64) -> HashMap<Place, Place> {
    let above = |place: &Place| Place { pattern: Vec::new(), is_below: true, ..place.clone() };
    let mut targets: HashMap<Place, Place> = seen
        .iter()
        .map(|(place, &looks)| (place.clone(), if looks < least { above(place) } else { place.clone() }))
        .collect();
    let deepest = targets.values().filter(|place| place.is_below).map(depth).max().unwrap_or(0);
    for level in (1..=deepest).rev() {
        let mut sums: HashMap<Place, u64> = HashMap::new();
        let at_level = |place: &&Place| place.is_below && depth(place) == level;
        for (place, target) in targets.iter().filter(|(_, target)| at_level(target)) {
            *sums.entry(target.clone()).or_default() += seen[place];
        }
        for target in targets.values_mut().filter(|target| at_level(&&**target)) {
            if sums[target] < least_below {
                target.directory = parent(&target.directory);
            }
        }
    }
    targets
}

/// How many directories are above it. What is no path has none: `pipefs:`, `tcp`.
fn depth(place: &Place) -> usize {
    if place.is_flat || place.directory == b"/" {
        return 0;
    }
    place.directory.iter().filter(|&&byte| byte == b'/').count()
}

fn parent(directory: &[u8]) -> Vec<u8> {
    match directory.iter().rposition(|&byte| byte == b'/') {
        Some(0) | None => b"/".to_vec(),
        Some(at) => directory[..at].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(path: &str) -> Place {
        let (directory, pattern) = path.rsplit_once('/').unwrap();
        let directory = if directory.is_empty() { "/" } else { directory };
        Place { directory: directory.into(), pattern: pattern.into(), ..Place::default() }
    }

    fn text(place: &Place) -> String {
        let end = if place.is_below { "…".into() } else { String::from_utf8_lossy(&place.pattern) };
        format!("{} {end}", String::from_utf8_lossy(&place.directory))
    }

    fn check(seen: &[(&str, u64)], least: u64, expect: &[(&str, &str)]) {
        let folded = fold(seen.iter().map(|(path, looks)| (place(path), *looks)).collect(), least, least);
        for (path, target) in expect {
            assert_eq!(text(&folded[&place(path)]), *target, "{path}");
        }
    }

    #[test]
    fn what_is_seen_often_stays() {
        check(&[("/tmp/a<n>", 10), ("/tmp/b", 9)], 10, &[("/tmp/a<n>", "/tmp a<n>"), ("/tmp/b", "/ …")]);
    }

    #[test]
    fn what_is_scattered_counts_for_the_directory_above() {
        let seen = [
            ("/usr/lib/a/x", 2),
            ("/usr/lib/b/y", 2),
            ("/usr/share/c", 1),
            ("/var/z", 1),
            ("/usr/lib/big", 5),
        ];
        check(
            &seen,
            4,
            &[
                ("/usr/lib/a/x", "/usr/lib …"),
                ("/usr/lib/b/y", "/usr/lib …"),
                ("/usr/lib/big", "/usr/lib big"),
                ("/usr/share/c", "/ …"),
                ("/var/z", "/ …"),
            ],
        );
    }

    #[test]
    fn what_has_nothing_above_it_stays_there() {
        let pipe = Place { directory: b"pipefs:".to_vec(), pattern: b"[<n>]".to_vec(), ..Place::default() };
        let socket = Place {
            directory: b"tcp".to_vec(),
            pattern: b":443 ->10/8".to_vec(),
            is_flat: true,
            ..Place::default()
        };
        let folded = fold([(pipe.clone(), 1), (socket.clone(), 1)].into(), 4, 4);
        assert_eq!(text(&folded[&pipe]), "pipefs: …");
        assert_eq!(text(&folded[&socket]), "tcp …");
    }

    proptest! {
        /// Nothing is lost, and each row is either seen often or has nothing above it.
        #[test]
        fn rows_are_large(paths in prop::collection::hash_map("(/[ab]{1,2}){1,5}", 1_u64..6, 0..40), least in 1_u64..12) {
            let seen: HashMap<Place, u64> = paths.iter().map(|(path, looks)| (place(path), *looks)).collect();
            let folded = fold(seen.clone(), least, least + 2);
            prop_assert_eq!(folded.len(), seen.len());
            let mut sums: HashMap<&Place, u64> = HashMap::new();
            for (place, target) in &folded {
                *sums.entry(target).or_default() += seen[place];
                prop_assert!(place.directory.starts_with(&target.directory));
            }
            for (target, looks) in sums {
                prop_assert!(looks >= if target.is_below { least + 2 } else { least } || target.directory == b"/", "{:?} {}", target, looks);
            }
        }
    }
}
