//! What a report says of itself, in no more series than there are places.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use super::{
    Process,
    places::{Applicant, Labels, Places},
};
use crate::{
    attribution::cgroup::Owner,
    output::OTHER,
    text::escape,
    view::{By, Keys, Row, Snapshot},
};

/// A snapshot, and what its rows come to within the places that there are.
#[derive(Clone, Debug)]
pub struct Exposed {
    pub snapshot: Snapshot,
    pub groups: Vec<Group>,
    /// Rows that have no series of their own.
    pub folded: u64,
    pub process: Process,
}

/// Rows with the same labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub labels: Labels,
    pub objects: u64,
    pub bytes: u64,
    pub oldest: Option<Duration>,
}

/// Of the places, this part is for what is left of each cache.
const FOR_CACHES: usize = 4;

impl Exposed {
    /// Of a snapshot that has all its rows.
    pub fn new(snapshot: Snapshot, places: &mut Places, process: Process) -> Self {
        let now = snapshot.elapsed;
        places.begin(&snapshot.by);
        let groups = grouped(snapshot.rows.iter().map(|row| group(row, labels(&snapshot, row))));
        let accused = snapshot.rows.iter().filter(|row| is_accused(&snapshot, row));
        let accused: HashSet<Labels> = accused.map(|row| labels(&snapshot, row)).collect();
        let (mut own, rest) = settle(groups, places, now, places.max() / FOR_CACHES, &accused);
        let beyond = snapshot.rest.map(|rest| Group {
            labels: of_nobody(&snapshot.by),
            objects: rest.objects,
            bytes: rest.bytes,
            oldest: None,
        });
        let folded = rest.len() as u64 + snapshot.rest.map_or(0, |rest| rest.rows);
        let by_cache =
            grouped(rest.into_iter().map(|group| Group { labels: of_cache(&group.labels), ..group }));
        let (caches, rest) = settle(by_cache, places, now, 0, &HashSet::new());
        own.extend(caches);
        let rest = rest.into_iter().map(|group| Group { labels: of_nobody(&snapshot.by), ..group });
        own.extend(grouped(rest.chain(beyond)));
        Self { snapshot, groups: own, folded, process }
    }
}

fn is_accused(snapshot: &Snapshot, row: &Row) -> bool {
    snapshot.finding_of(row).is_some_and(|finding| finding.is_accusation())
}

/// Those that have a place, and the rest.
fn settle(
    groups: Vec<Group>,
    places: &mut Places,
    now: Duration,
    kept_free: usize,
    accused: &HashSet<Labels>,
) -> (Vec<Group>, Vec<Group>) {
    let applicant = |group: &Group| Applicant {
        labels: group.labels.clone(),
        bytes: group.bytes,
        is_accused: accused.contains(&group.labels),
    };
    let applicants: Vec<_> = groups.iter().map(applicant).collect();
    let given = places.give(&applicants, now, kept_free);
    let mut given = given.into_iter();
    groups.into_iter().partition(|_| given.next().unwrap_or(false))
}

/// Those with the same labels together, the biggest first.
fn grouped(groups: impl Iterator<Item = Group>) -> Vec<Group> {
    let mut sums: BTreeMap<Labels, Group> = BTreeMap::new();
    for group in groups {
        let sum = sums
            .entry(group.labels.clone())
            .or_insert_with(|| Group { labels: group.labels, ..Group::default() });
        sum.objects = sum.objects.saturating_add(group.objects);
        sum.bytes = sum.bytes.saturating_add(group.bytes);
        sum.oldest = sum.oldest.max(group.oldest);
    }
    let mut groups: Vec<_> = sums.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.bytes));
    groups
}

fn group(row: &Row, labels: Labels) -> Group {
    Group { labels, objects: row.objects, bytes: row.bytes, oldest: row.oldest }
}

/// What tells a row from others. A name that is not there is empty, which for Prometheus is as if the label were not there.
fn labels(snapshot: &Snapshot, row: &Row) -> Labels {
    let keys = snapshot.by.iter().zip(&row.keys);
    keys.flat_map(|(by, key)| match by {
        By::Cgroup => of_cgroup(row, key),
        by => vec![(by.into_str(), escape::terminal(key).into_owned())],
    })
    .collect()
}

const OF_CGROUP: [&str; 3] = ["cgroup", "container_id", "pod_uid"];

/// Container and pod as Kubernetes' own metrics have them, so that they can be joined.
fn of_cgroup(row: &Row, key: &[u8]) -> Labels {
    let path = row.cgroups.first().and_then(|cgroup| cgroup.path.as_deref());
    let owner = path.map(Owner::from_path).unwrap_or_default();
    let container = owner.container.as_ref().map_or("", |container| container.id).to_owned();
    let values =
        [escape::terminal(path.unwrap_or(key)).into_owned(), container, owner.pod.unwrap_or_default()];
    OF_CGROUP.into_iter().zip(values).collect()
}

/// All others of its cache.
fn of_cache(labels: &Labels) -> Labels {
    labels
        .iter()
        .map(|(name, value)| (*name, if *name == "cache" { value.clone() } else { OTHER.to_owned() }))
        .collect()
}

fn of_nobody(by: &Keys) -> Labels {
    let names = by.iter().flat_map(|by| match by {
        By::Cgroup => OF_CGROUP.to_vec(),
        by => vec![by.into_str()],
    });
    names.map(|name| (name, OTHER.to_owned())).collect()
}
