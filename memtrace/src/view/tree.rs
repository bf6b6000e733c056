//! The directories that hold most dentries, as a tree with subtotals, like `du`.

use std::collections::HashMap;

use super::{
    names::{Class, Directory, NameGroup, Negatives},
    places::Places,
};
use crate::stream::ledger::{Ledger, Origin};

/// Directories that are picked, by what is in them directly.
const PICKED: usize = 10;

/// Where most dentries of these origins are.
pub fn directories<'a>(ledger: &'a Ledger, origins: impl Iterator<Item = &'a Origin>) -> Vec<Directory> {
    let mut places = Places::default();
    for origin in origins {
        places.add((origin.key.cache, origin.key.task.comm), origin.outstanding(), ledger.names(origin));
    }
    let mut tree = Tree::default();
    tree.add(places.placed(usize::MAX).groups);
    tree.into_directories()
}

/// Sums by directory, in the making.
#[derive(Default)]
struct Tree {
    sums: HashMap<Vec<u8>, Sum>,
    total: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Sum {
    /// An estimate, where only a sample is named.
    objects: u64,
    negatives: Negatives,
    filesystem: Option<Vec<u8>>,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.negatives = self.negatives.plus(other.negatives);
        if self.filesystem.is_none() {
            self.filesystem.clone_from(&other.filesystem);
        }
    }
}

impl Tree {
    /// Of dentries those without a path count in the whole alone.
    fn add(&mut self, groups: Vec<NameGroup>) {
        for group in groups.into_iter().filter(|group| matches!(group.kind, None | Some(Class::Dentry))) {
            self.total += group.objects;
            let (Some(path), Some(negatives)) = (group.path, group.negatives) else { continue };
            let sum = Sum { objects: group.objects, negatives, filesystem: group.filesystem };
            self.sums.entry(path).or_default().add(&sum);
        }
    }

    /// The biggest directories, and those above that several of them share; parents before what is in them.
    fn into_directories(self) -> Vec<Directory> {
        let mut picked: Vec<(&[u8], u64)> =
            self.sums.iter().map(|(path, sum)| (&path[..], sum.objects)).collect();
        picked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        picked.truncate(PICKED);
        let mut shown: Vec<&[u8]> = picked.iter().map(|(path, _)| *path).collect();
        shown.extend(common(&shown));
        shown.sort_unstable();
        shown.dedup();
        let mut tree = Vec::new();
        self.grow(&shown, b"", 0, &mut tree);
        tree
    }

    /// Adds those of `shown` that are in `parent`, and not in another one in between, biggest first, each with what is in it.
    fn grow(&self, shown: &[&[u8]], parent: &[u8], depth: usize, tree: &mut Vec<Directory>) {
        let inside = |path: &&&[u8]| **path != parent && is_within(path, parent);
        let is_top = |path: &&&[u8]| {
            !shown.iter().filter(inside).any(|other| other != *path && is_within(path, other))
        };
        let mut tops: Vec<(&[u8], Sum)> =
            shown.iter().filter(inside).filter(is_top).map(|path| (*path, self.below(path))).collect();
        tops.sort_by(|a, b| b.1.objects.cmp(&a.1.objects).then_with(|| a.0.cmp(b.0)));
        for (path, sum) in tops {
            tree.push(Directory {
                path: path.to_vec(),
                within: parent.len(),
                depth,
                objects: sum.objects,
                share: sum.objects as f64 / self.total.max(1) as f64,
                negatives: sum.negatives,
                filesystem: sum.filesystem,
            });
            self.grow(shown, path, depth + 1, tree);
        }
    }

    fn below(&self, path: &[u8]) -> Sum {
        let mut total =
            Sum { filesystem: self.sums.get(path).and_then(|sum| sum.filesystem.clone()), ..Sum::default() };
        let inside = self.sums.iter().filter(|(other, _)| is_within(other, path));
        inside.for_each(|(_, sum)| total.add(sum));
        total
    }
}

/// The deepest directories that two of the paths share; not the root, which all do.
fn common<'a>(paths: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let pairs = paths
        .iter()
        .enumerate()
        .flat_map(|(at, one)| paths[at + 1..].iter().map(move |other| (*one, *other)));
    pairs.map(|(one, other)| shared(one, other)).filter(|path| !path.is_empty()).collect()
}

/// The deepest directory that holds both, or is one and holds the other; empty where it would be the root.
fn shared<'a>(one: &'a [u8], other: &[u8]) -> &'a [u8] {
    let ends = (0..=one.len()).rev().filter(|&end| end == one.len() || one[end] == b'/');
    ends.map(|end| &one[..end]).find(|path| is_within(other, path)).unwrap_or_default()
}

/// Also a directory itself. All are within "", and all that begin with a slash within `/`.
fn is_within(path: &[u8], directory: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(directory) else { return false };
    rest.is_empty() || directory.is_empty() || directory.ends_with(b"/") || rest.starts_with(b"/")
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn group(path: &str, objects: u64) -> NameGroup {
        NameGroup {
            path: Some(path.as_bytes().to_vec()),
            objects,
            kind: Some(Class::Dentry),
            negatives: Some(Negatives { looked_at: objects, dentries: objects, negative: objects / 2 }),
            ..NameGroup::default()
        }
    }

    fn tree(directories: &[(&str, u64)]) -> Vec<Directory> {
        let mut sums = Tree::default();
        sums.add(directories.iter().map(|(path, objects)| group(path, *objects)).collect());
        sums.into_directories()
    }

    #[track_caller]
    fn check(directories: &[(&str, u64)], expect: &[&str]) {
        let show = |directory: &Directory| {
            let path = String::from_utf8_lossy(&directory.path).into_owned();
            format!("{}{path} {}", "  ".repeat(directory.depth), directory.objects)
        };
        assert_eq!(tree(directories).iter().map(show).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn parents_of_several_have_subtotals() {
        check(&[], &[]);
        check(&[("/etc/pki/nssdb", 70)], &["/etc/pki/nssdb 70"]);
        check(
            &[("/var/lib/a", 20), ("/var/lib/b", 30), ("/etc", 40)],
            &["/var/lib 50", "  /var/lib/b 30", "  /var/lib/a 20", "/etc 40"],
        );
        check(&[("/a", 1), ("/a/b", 2), ("/a/b/c", 4)], &["/a 7", "  /a/b 6", "    /a/b/c 4"]);
        // A name that begins like another is no directory of it.
        check(&[("/ab", 1), ("/a", 2)], &["/a 2", "/ab 1"]);
        check(&[("/", 5), ("/a", 2), ("pipefs:", 9)], &["pipefs: 9", "/ 7", "  /a 2"]);
    }

    #[test]
    fn what_is_not_picked_counts_above() {
        let many: Vec<String> = (0..15).map(|number| format!("/x/{number:02}")).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|path| (path.as_str(), 10)).collect();
        let tree = tree(&many);
        assert_eq!((tree.len(), tree[0].objects, &tree[0].path[..]), (11, 150, &b"/x"[..]));
        assert_eq!(tree[0].share, 1.0);
    }

    proptest! {
        #[test]
        fn a_tree_has_all_that_was_picked_once(paths in vec("(/[ab]{1,2}){1,5}|/|p:", 0..30)) {
            let directories: Vec<(&str, u64)> = paths.iter().zip(1..).map(|(path, n)| (path.as_str(), n)).collect();
            let tree = tree(&directories);
            let mut distinct: Vec<&String> = paths.iter().collect();
            distinct.sort();
            distinct.dedup();
            prop_assert!(tree.len() >= distinct.len().min(PICKED) && tree.len() < 2 * PICKED);
            let total: u64 = directories.iter().map(|(_, objects)| objects).sum();
            for directory in &tree {
                prop_assert!(directory.objects <= total && directory.share <= 1.0 + 1e-9);
                prop_assert!(directory.within <= directory.path.len());
                prop_assert!(tree.iter().filter(|other| other.path == directory.path).count() == 1);
            }
        }
    }
}
