//! Where a row's objects are, and what they are called.
//!
//! Of some objects only the name and the directory's name are known, sent by a probe when they were made. Others were inspected:
//! their whole path is known. These are a sample of the former, so objects with the same name are counted at the paths of the
//! inspected ones.

use std::{cmp::Reverse, collections::HashMap};

use super::names::{Class, NameGroup, Negatives};
use crate::stream::{
    event::{FileType, ObjectKind},
    ledger::NamedObjects,
};

/// What a root directory is called.
const ROOT: &[u8] = b"/";

/// A row's places in the making.
#[derive(Default)]
pub struct Places<'a> {
    seen: HashMap<Place<'a>, Sum<'a>>,
    /// Objects that were not looked at.
    named: HashMap<Name<'a>, Sum<'a>>,
}

/// A pattern in a directory by its name alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name<'a> {
    directory: &'a [u8],
    pattern: &'a [u8],
}

/// One that was looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place<'a> {
    directory: &'a [u8],
    pattern: &'a [u8],
    filesystem: &'a [u8],
    class: Class,
    file_type: Option<FileType>,
    /// Its directory is a filesystem's root, whose name is `/` whatever it is mounted on.
    in_root: bool,
}

#[derive(Default)]
struct Sum<'a> {
    objects: u64,
    negative: u64,
    name_bytes: u64,
    example: &'a [u8],
}

impl Sum<'_> {
    /// What places are ordered by first. It has no names in it, so that redacted names give the same result.
    fn weight(&self) -> [u64; 3] {
        [self.objects, self.negative, self.name_bytes]
    }
}

impl<'a> Places<'a> {
    pub fn add(&mut self, named: NamedObjects<'a>) {
        let NamedObjects { kind, filesystem, directory, pattern, example, objects } = named;
        let sum = match kind {
            None => self.named.entry(Name { directory, pattern }).or_default(),
            Some(kind) => self.seen.entry(Place::new(kind, filesystem, directory, pattern)).or_default(),
        };
        if sum.objects == 0 {
            sum.example = example;
        }
        sum.objects += objects;
        if let Some(ObjectKind::Dentry { negative, name_bytes, .. }) = kind {
            sum.negative += if negative { objects } else { 0 };
            sum.name_bytes += objects * u64::from(name_bytes);
        }
    }

    /// How many objects have a name.
    pub fn objects(&self) -> u64 {
        let sums = self.seen.values().chain(self.named.values());
        sums.map(|sum| sum.objects).sum()
    }

    /// Of all dentries that were looked at.
    pub fn negatives(&self) -> Option<Negatives> {
        let dentries = self.seen.iter().filter(|(place, _)| place.class == Class::Dentry);
        let add = |sum: Negatives, (_, more): (_, &Sum<'_>)| Negatives {
            looked_at: sum.looked_at + more.objects,
            negative: sum.negative + more.negative,
        };
        Some(dentries.fold(Negatives::default(), add)).filter(|sum| sum.looked_at > 0)
    }

    /// The biggest groups.
    pub fn into_groups(self, most: usize) -> Vec<NameGroup> {
        let mut seen: Vec<(&Place<'_>, &Sum<'_>)> = self.seen.iter().collect();
        seen.sort_by(|(place, sum), (other, others)| {
            others.weight().cmp(&sum.weight()).then(place.cmp(other))
        });
        let mut groups: Vec<NameGroup> = seen.iter().map(|(place, sum)| place.group(sum)).collect();
        let mut by_name: HashMap<Name<'_>, Vec<usize>> = HashMap::new();
        for (index, (place, _)) in
            seen.iter().enumerate().filter(|(_, (place, _))| place.class == Class::Dentry)
        {
            by_name.entry(place.name()).or_default().push(index);
        }
        for (name, sum) in &self.named {
            match by_name.get(name) {
                Some(places) => spread(sum.objects, places, &mut groups),
                None => groups.push(name.group(sum)),
            }
        }
        groups.sort_by(|a, b| {
            let name = |group: &NameGroup| (group.path.clone(), group.parent.clone(), group.pattern.clone());
            b.objects.cmp(&a.objects).then_with(|| name(a).cmp(&name(b))).then_with(|| a.kind.cmp(&b.kind))
        });
        groups.truncate(most);
        groups
    }
}

/// Distributes objects over the places of the inspected ones with their name, in proportion. Largest remainders get what
/// rounding down leaves; of equal ones, the first.
fn spread(objects: u64, places: &[usize], groups: &mut [NameGroup]) {
    // A place without objects had one when it was inspected.
    let weight = |groups: &[NameGroup], place: usize| u128::from(groups[place].objects.max(1));
    let seen: u128 = places.iter().map(|&place| weight(groups, place)).sum();
    let mut lost: Vec<(u128, usize)> = Vec::with_capacity(places.len());
    let mut left = objects;
    for &place in places {
        let part = u128::from(objects) * weight(groups, place);
        lost.push((part % seen, place));
        left -= (part / seen) as u64;
        groups[place].objects += (part / seen) as u64;
    }
    lost.sort_by_key(|&(lost, _)| Reverse(lost));
    for &(_, place) in lost.iter().take(left as usize) {
        groups[place].objects += 1;
    }
}

impl<'a> Place<'a> {
    fn new(kind: ObjectKind, filesystem: &'a [u8], directory: &'a [u8], pattern: &'a [u8]) -> Self {
        let (class, file_type, in_root) = match kind {
            ObjectKind::Dentry { in_root, .. } => (Class::Dentry, None, in_root),
            ObjectKind::Inode(file_type) => (Class::Inode, Some(file_type), false),
            ObjectKind::File(file_type) => (Class::File, Some(file_type), false),
            ObjectKind::Socket => (Class::Socket, None, false),
        };
        Self { directory, pattern, filesystem, class, file_type, in_root }
    }

    /// Its name as a probe sends it.
    fn name(&self) -> Name<'a> {
        let directory = if self.in_root { ROOT } else { last_component(self.directory) };
        Name { directory, pattern: self.pattern }
    }

    fn group(&self, sum: &Sum<'_>) -> NameGroup {
        let dentries = Negatives { looked_at: sum.objects, negative: sum.negative };
        NameGroup {
            parent: last_component(self.directory).to_vec(),
            path: (self.class != Class::Socket).then(|| self.directory.to_vec()),
            pattern: self.pattern.to_vec(),
            objects: sum.objects,
            example: sum.example.to_vec(),
            filesystem: Some(self.filesystem.to_vec()).filter(|filesystem| !filesystem.is_empty()),
            kind: Some(self.class),
            file_type: self.file_type,
            negatives: (self.class == Class::Dentry).then_some(dentries),
            name_bytes: sum.name_bytes / sum.objects.max(1),
        }
    }
}

impl Name<'_> {
    fn group(&self, sum: &Sum<'_>) -> NameGroup {
        NameGroup {
            parent: self.directory.to_vec(),
            pattern: self.pattern.to_vec(),
            objects: sum.objects,
            example: sum.example.to_vec(),
            ..NameGroup::default()
        }
    }
}

fn last_component(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) if slash + 1 < path.len() => &path[slash + 1..],
        Some(_) => ROOT,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const NEGATIVE: ObjectKind = ObjectKind::Dentry { negative: true, in_root: false, name_bytes: 64 };
    const POSITIVE: ObjectKind = ObjectKind::Dentry { negative: false, in_root: false, name_bytes: 0 };
    const IN_ROOT: ObjectKind = ObjectKind::Dentry { negative: false, in_root: true, name_bytes: 0 };

    fn named(
        kind: Option<ObjectKind>,
        directory: &'static str,
        pattern: &'static str,
        objects: u64,
    ) -> NamedObjects<'static> {
        let (directory, pattern) = (directory.as_bytes(), pattern.as_bytes());
        NamedObjects { kind, filesystem: b"ext4", directory, pattern, example: b"x", objects }
    }

    fn groups(all: &[NamedObjects<'static>]) -> Vec<(String, u64, Option<u64>)> {
        let mut places = Places::default();
        all.iter().for_each(|&named| places.add(named));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let of = |group: NameGroup| {
            let directory = text(group.path.as_deref().unwrap_or(&group.parent));
            let place = format!("{directory} {}", text(&group.pattern));
            (place, group.objects, group.negatives.map(|dentries| dentries.negative))
        };
        places.into_groups(20).into_iter().map(of).collect()
    }

    fn place(name: &str, objects: u64, negative: Option<u64>) -> (String, u64, Option<u64>) {
        (name.to_owned(), objects, negative)
    }

    #[test]
    fn names_are_where_those_are_that_were_looked_at() {
        let found = groups(&[
            named(None, "db", "<n>", 1000),
            named(Some(NEGATIVE), "/a/db", "<n>", 10),
            named(Some(POSITIVE), "/a/db", "<n>", 5),
            named(None, "lib", "<n>", 3),
        ]);
        assert_eq!(found, [place("/a/db <n>", 1015, Some(10)), place("lib <n>", 3, None)]);
    }

    #[test]
    fn directories_of_one_name_share_its_objects() {
        let found = groups(&[
            named(None, "db", "<n>", 1000),
            named(Some(NEGATIVE), "/a/db", "<n>", 30),
            named(Some(POSITIVE), "/b/db", "<n>", 10),
            named(Some(POSITIVE), "/b/db", "x", 1),
        ]);
        let expected = [
            place("/a/db <n>", 780, Some(30)),
            place("/b/db <n>", 260, Some(0)),
            place("/b/db x", 1, Some(0)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_root_is_called_slash_wherever_it_is_mounted() {
        let found = groups(&[
            named(None, "/", "x", 7),
            named(Some(IN_ROOT), "/mnt/disk", "x", 2),
            named(Some(POSITIVE), "/etc", "x", 1),
        ]);
        assert_eq!(found, [place("/mnt/disk x", 9, Some(0)), place("/etc x", 1, Some(0))]);
    }

    #[test]
    fn what_is_no_dentry_has_no_part_in_it() {
        let found = groups(&[
            named(None, "db", "x", 7),
            named(Some(ObjectKind::File(FileType::Regular)), "/db", "x", 2),
        ]);
        assert_eq!(found, [place("db x", 7, None), place("/db x", 2, None)]);
    }

    fn any_named() -> impl Strategy<Value = NamedObjects<'static>> {
        let kind = prop_oneof![
            Just(None),
            Just(Some(NEGATIVE)),
            Just(Some(POSITIVE)),
            Just(Some(ObjectKind::Socket))
        ];
        let directory = prop_oneof![Just("db"), Just("/a/db"), Just("/b/db"), Just("/"), Just("")];
        (kind, directory, prop_oneof![Just("x"), Just("<n>")], prop_oneof![0..4_u64, 0..1_000_000_u64])
            .prop_map(|(kind, directory, pattern, objects)| named(kind, directory, pattern, objects))
    }

    proptest! {
        #[test]
        fn every_object_is_in_one_group(all in vec(any_named(), 0..12)) {
            let mut places = Places::default();
            all.iter().for_each(|&named| places.add(named));
            let objects: u64 = all.iter().map(|named| named.objects).sum();
            prop_assert_eq!(places.objects(), objects);
            let groups = places.into_groups(usize::MAX);
            prop_assert_eq!(groups.iter().map(|group| group.objects).sum::<u64>(), objects);
            prop_assert!(groups.is_sorted_by(|a, b| a.objects >= b.objects));
            for dentries in groups.iter().filter_map(|group| group.negatives) {
                prop_assert!(dentries.negative <= dentries.looked_at);
            }
        }

        /// As tokens do in a redacted recording: what they are does not decide who gets what is left by rounding.
        #[test]
        fn other_names_leave_all_counts_as_they_are(all in vec(any_named(), 0..12)) {
            let counts = |all: &[NamedObjects<'static>]| {
                let mut counts: Vec<_> = groups(all).into_iter().map(|(_, objects, negative)| (objects, negative)).collect();
                counts.sort_unstable();
                counts
            };
            let renamed: Vec<NamedObjects<'static>> = all
                .iter()
                .map(|&named| {
                    let directory: &[u8] = match named.directory {
                        b"/a/db" => b"/b/db",
                        b"/b/db" => b"/a/db",
                        other => other,
                    };
                    let pattern: &[u8] = if named.pattern == b"x" { b"<n>" } else { b"x" };
                    NamedObjects { directory, pattern, ..named }
                })
                .collect();
            prop_assert_eq!(counts(&all), counts(&renamed));
        }
    }
}
