//! Where a row's objects are, and what they are called.
//!
//! Of some objects only the name and the directory's name are known, sent by a probe when they were made. Others were inspected:
//! their whole path is known. These are a sample of the former, so objects with the same name are counted at the paths of the
//! inspected ones.

use std::{cmp::Reverse, collections::HashMap};

use super::names::{Class, NameGroup, Negatives};
use crate::stream::{
    event::{Address, Comm, FileType, ObjectKind},
    ledger::NamedObjects,
};

/// What a root directory is called.
const ROOT: &[u8] = b"/";

/// A row's places in the making. Objects are picked for inspection by cache and command name, as many of each whatever it holds: so
/// the names of each stand for what it holds.
#[derive(Default)]
pub struct Places<'a> {
    strata: HashMap<Stratum, (u64, Names<'a>)>,
}

/// Those of which objects are picked by chance.
pub type Stratum = (Address, Comm);

/// The names of some objects.
#[derive(Default)]
struct Names<'a> {
    seen: HashMap<Place<'a>, Sum<'a>>,
    /// Objects that were not looked at.
    named: HashMap<Name<'a>, Sum<'a>>,
}

/// What a row's names come to.
#[derive(Default)]
pub struct Placed {
    /// The biggest first.
    pub groups: Vec<NameGroup>,
    /// How many objects have a name, and for how many these stand.
    pub named: u64,
    pub stand_for: u64,
    /// Of all dentries that were looked at.
    pub negatives: Option<Negatives>,
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

#[derive(Clone, Default)]
struct Sum<'a> {
    objects: u64,
    /// Of those that were looked at.
    dentries: Negatives,
    name_bytes: u64,
    /// Of those that were looked at: for how many objects they stand.
    stands_for: u64,
    example: &'a [u8],
}

impl<'a> Sum<'a> {
    fn merge(&mut self, other: Self) {
        let example = if self.objects == 0 { other.example } else { self.example };
        *self = Sum {
            objects: self.objects + other.objects,
            dentries: self.dentries.plus(other.dentries),
            name_bytes: self.name_bytes + other.name_bytes,
            stands_for: self.stands_for + other.stands_for,
            example,
        };
    }

    /// What places are ordered by first. It has no names in it, so that redacted names give the same result.
    fn weight(&self) -> [u64; 3] {
        [self.objects, self.dentries.negative, self.name_bytes]
    }
}

impl<'a> Places<'a> {
    /// Adds so many objects of a stratum, of which some or all have a name.
    pub fn add(&mut self, stratum: Stratum, objects: u64, names: impl IntoIterator<Item = NamedObjects<'a>>) {
        let (all, of_stratum) = self.strata.entry(stratum).or_default();
        *all += objects;
        names.into_iter().for_each(|named| of_stratum.add(named));
    }

    /// All strata together, with the biggest groups.
    pub fn placed(self, most: usize) -> Placed {
        let mut all = Names::default();
        let (mut named, mut stand_for) = (0, 0);
        for (_, (objects, names)) in in_order(self.strata) {
            let known = names.objects();
            if known > 0 {
                // Names that come with each new object are no sample: what has none of them is somewhere else.
                let objects = if names.named.is_empty() { objects.max(known) } else { known };
                named += known;
                stand_for += objects;
                all.merge(names.standing_for(objects));
            }
        }
        let negatives = all.negatives();
        Placed { groups: all.into_groups(most), named, stand_for, negatives }
    }
}

impl<'a> Names<'a> {
    fn add(&mut self, named: NamedObjects<'a>) {
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
            let negative = if negative { objects } else { 0 };
            sum.dentries = sum.dentries.plus(Negatives { looked_at: objects, dentries: objects, negative });
            sum.name_bytes += objects * u64::from(name_bytes);
        }
    }

    /// How many objects have a name.
    fn objects(&self) -> u64 {
        self.seen.values().chain(self.named.values()).map(|sum| sum.objects).sum()
    }

    /// The same names of so many objects: each name's in proportion.
    fn standing_for(self, objects: u64) -> Self {
        // What is left over goes to the first of equals: in the order of their names, so that a recording tells the same.
        let (seen, named) = (in_order(self.seen), in_order(self.named));
        let of_seen = seen.iter().map(|(place, sum)| (sum.objects, (sum.weight(), Some(place.kind()))));
        let of_named = named.iter().map(|(_, sum)| (sum.objects, (sum.weight(), None)));
        let mut scaled = apportioned(objects, of_seen.chain(of_named).collect()).into_iter();
        let mut next = |sum: Sum<'a>| Sum { objects: scaled.next().unwrap_or(sum.objects), ..sum };
        let looked_at: u64 = seen.iter().map(|(_, sum)| sum.objects).sum();
        // Each rounded by itself: no name decides about it.
        let estimate = |n: u64| rounded(u128::from(n) * u128::from(objects), u128::from(looked_at.max(1)));
        let seen = seen.into_iter().map(|(place, sum)| {
            let dentries = Negatives {
                looked_at: sum.dentries.looked_at,
                dentries: estimate(sum.dentries.looked_at),
                negative: estimate(sum.dentries.negative),
            };
            let (stands_for, name_bytes) = (estimate(sum.objects), estimate(sum.name_bytes));
            (place, Sum { dentries, name_bytes, stands_for, ..next(sum) })
        });
        let seen = seen.collect();
        let named = named.into_iter().map(|(name, sum)| (name, next(sum))).collect();
        Self { seen, named }
    }

    fn merge(&mut self, other: Self) {
        for (place, sum) in other.seen {
            self.seen.entry(place).or_default().merge(sum);
        }
        for (name, sum) in other.named {
            self.named.entry(name).or_default().merge(sum);
        }
    }

    fn negatives(&self) -> Option<Negatives> {
        let dentries = self.seen.iter().filter(|(place, _)| place.class == Class::Dentry);
        let all = dentries.fold(Negatives::default(), |all, (_, sum)| all.plus(sum.dentries));
        Some(all).filter(|all| all.looked_at > 0)
    }

    /// The biggest groups.
    fn into_groups(self, most: usize) -> Vec<NameGroup> {
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
        let stand_for: Vec<u64> = seen.iter().map(|(_, sum)| sum.stands_for).collect();
        for (name, sum) in &self.named {
            match by_name.get(name) {
                Some(places) => spread(sum.objects, places, &stand_for, &mut groups),
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

fn in_order<K: Copy + Ord, V>(map: HashMap<K, V>) -> Vec<(K, V)> {
    let mut all: Vec<(K, V)> = map.into_iter().collect();
    all.sort_unstable_by_key(|(key, _)| *key);
    all
}

/// Distributes objects over the places of the inspected ones with their name, in proportion to what those stand for.
fn spread(objects: u64, places: &[usize], stand_for: &[u64], groups: &mut [NameGroup]) {
    // A place without objects had one when it was inspected.
    let weights = places.iter().map(|&place| (stand_for[place].max(1), ())).collect();
    for (&place, part) in places.iter().zip(apportioned(objects, weights)) {
        groups[place].objects += part;
    }
}

/// Objects in proportion to weights. Largest remainders get what rounding down leaves; of equal ones, those with the larger key, then
/// the first.
fn apportioned<K: Ord>(objects: u64, weights: Vec<(u64, K)>) -> Vec<u64> {
    let whole: u128 = weights.iter().map(|&(weight, _)| u128::from(weight)).sum();
    if whole == 0 {
        return vec![0; weights.len()];
    }
    let product = |weight: u64| u128::from(objects) * u128::from(weight);
    let mut parts: Vec<u64> = weights.iter().map(|&(weight, _)| (product(weight) / whole) as u64).collect();
    let left = objects - parts.iter().sum::<u64>();
    if left == 0 {
        return parts;
    }
    let mut lost: Vec<_> = weights.iter().enumerate().collect();
    lost.sort_by_key(|&(_, (weight, key))| Reverse((product(*weight) % whole, key)));
    lost.into_iter().take(left as usize).for_each(|(at, _)| parts[at] += 1);
    parts
}

fn rounded(part: u128, whole: u128) -> u64 {
    u64::try_from((part + whole / 2) / whole).unwrap_or(u64::MAX)
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

    /// What it is, without any name.
    fn kind(&self) -> (Class, Option<FileType>, bool) {
        (self.class, self.file_type, self.in_root)
    }

    /// Its name as a probe sends it.
    fn name(&self) -> Name<'a> {
        let directory = if self.in_root { ROOT } else { last_component(self.directory) };
        Name { directory, pattern: self.pattern }
    }

    fn group(&self, sum: &Sum<'_>) -> NameGroup {
        NameGroup {
            parent: last_component(self.directory).to_vec(),
            path: (self.class != Class::Socket).then(|| self.directory.to_vec()),
            pattern: self.pattern.to_vec(),
            objects: sum.objects,
            example: sum.example.to_vec(),
            filesystem: Some(self.filesystem.to_vec()).filter(|filesystem| !filesystem.is_empty()),
            kind: Some(self.class),
            file_type: self.file_type,
            negatives: (self.class == Class::Dentry).then_some(sum.dentries),
            name_bytes: sum.name_bytes / sum.stands_for.max(1),
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

    fn stratum(comm: [u8; 16]) -> Stratum {
        (1, Comm::new(comm))
    }

    /// All in one stratum of so many objects, or as many as have names.
    fn placed(all: &[NamedObjects<'static>], objects: u64) -> Placed {
        let mut places = Places::default();
        places.add(stratum(*b"curl\0\0\0\0\0\0\0\0\0\0\0\0"), objects, all.iter().copied());
        places.placed(20)
    }

    fn groups(all: &[NamedObjects<'static>]) -> Vec<(String, u64, Option<u64>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let of = |group: NameGroup| {
            let directory = text(group.path.as_deref().unwrap_or(&group.parent));
            let place = format!("{directory} {}", text(&group.pattern));
            (place, group.objects, group.negatives.map(|dentries| dentries.negative))
        };
        placed(all, 0).groups.into_iter().map(of).collect()
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
        assert_eq!(found, [place("/a/db <n>", 1015, Some(679)), place("lib <n>", 3, None)]);
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
            place("/a/db <n>", 780, Some(762)),
            place("/b/db <n>", 260, Some(0)),
            place("/b/db x", 1, Some(0)),
        ];
        assert_eq!(found, expected);
    }

    /// As many of each are picked, whoever holds more.
    #[test]
    fn names_stand_for_what_their_holder_has() {
        let mut places = Places::default();
        places.add(
            stratum(*b"curl\0\0\0\0\0\0\0\0\0\0\0\0"),
            72_000,
            [named(Some(NEGATIVE), "/d/a", "<n>", 1000)],
        );
        places.add(
            stratum(*b"wget\0\0\0\0\0\0\0\0\0\0\0\0"),
            8000,
            [named(Some(POSITIVE), "/d/b", "<n>", 1000)],
        );
        let Placed { groups, named, stand_for, negatives } = places.placed(20);
        let objects: Vec<_> =
            groups.iter().map(|group| (group.path.as_deref().unwrap(), group.objects)).collect();
        assert_eq!(objects, [(&b"/d/a"[..], 72_000), (&b"/d/b"[..], 8000)]);
        assert_eq!((named, stand_for), (2000, 80_000));
        assert_eq!(negatives, Some(Negatives { looked_at: 2000, dentries: 80_000, negative: 72_000 }));
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
        fn every_object_is_in_one_group(all in vec(any_named(), 0..12), nameless in 0..1_000_000_u64) {
            let named: u64 = all.iter().map(|named| named.objects).sum();
            let mut places = Places::default();
            places.add(stratum(*b"curl\0\0\0\0\0\0\0\0\0\0\0\0"), named + nameless, all.iter().copied());
            let Placed { groups, named: told, stand_for, .. } = places.placed(usize::MAX);
            let is_sample = all.iter().all(|named| named.kind.is_some()) && named > 0;
            prop_assert_eq!((told, stand_for), (named, named + if is_sample { nameless } else { 0 }));
            prop_assert_eq!(groups.iter().map(|group| group.objects).sum::<u64>(), stand_for);
            prop_assert!(groups.is_sorted_by(|a, b| a.objects >= b.objects));
            for dentries in groups.iter().filter_map(|group| group.negatives) {
                prop_assert!(dentries.negative <= dentries.dentries && dentries.looked_at <= dentries.dentries);
            }
        }

        /// A recording tells what its session told.
        #[test]
        fn whoever_comes_first_gets_no_more(all in vec(any_named(), 0..12)) {
            let reversed: Vec<NamedObjects<'static>> = all.iter().rev().copied().collect();
            prop_assert_eq!(groups(&all), groups(&reversed));
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
