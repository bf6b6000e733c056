//! What a report says of itself, in no more series than there are places.

use std::{collections::HashSet, time::Duration};

use super::{
    Process, census,
    group::{Group, OF_CGROUP, grouped, of_path},
    places::{Applicant, Labels, Places, Table},
};
use crate::{
    output::OTHER,
    text::escape,
    view::{By, Keys, Row, Snapshot},
};

/// A snapshot, and what its rows come to within the places that there are.
#[derive(Clone, Debug)]
pub struct Exposed {
    pub snapshot: Snapshot,
    pub groups: Vec<Group>,
    /// Of the latest census.
    pub census: Vec<Group>,
    /// Rows that have no series of their own.
    pub folded: u64,
    pub process: Process,
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
        let beyond = snapshot.rest.map(|rest| Group {
            labels: names(&snapshot.by),
            objects: rest.objects,
            bytes: rest.bytes,
            oldest: None,
        });
        let (groups, folded) = fold(groups, beyond, &mut places.rows, now, &accused);
        let folded = folded + snapshot.rest.map_or(0, |rest| rest.rows);
        let census = grouped(snapshot.latest_census.iter().flat_map(|census| census::groups(census)));
        let (census, _) = fold(census, None, &mut places.census, now, &HashSet::new());
        Self { snapshot, groups, census, folded, process }
    }
}

/// Within the places that there are: those that have one, what is left of each cache, and the rest. Says how many have none.
fn fold(
    groups: Vec<Group>,
    beyond: Option<Group>,
    places: &mut Table,
    now: Duration,
    accused: &HashSet<Labels>,
) -> (Vec<Group>, u64) {
    let (mut own, rest) = settle(groups, places, now, places.max() / FOR_CACHES, accused);
    let folded = rest.len() as u64;
    let by_cache = grouped(rest.into_iter().map(|group| Group { labels: of_cache(&group.labels), ..group }));
    let (caches, rest) = settle(by_cache, places, now, 0, &HashSet::new());
    own.extend(caches);
    let rest = rest.into_iter().map(|group| Group { labels: of_others(&group.labels), ..group });
    own.extend(grouped(rest.chain(beyond)));
    (own, folded)
}

fn is_accused(snapshot: &Snapshot, row: &Row) -> bool {
    snapshot.finding_of(row).is_some_and(|finding| finding.is_accusation())
}

/// Those that have a place, and the rest.
fn settle(
    groups: Vec<Group>,
    places: &mut Table,
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

fn of_cgroup(row: &Row, key: &[u8]) -> Labels {
    let path = row.cgroups.first().and_then(|cgroup| cgroup.path.as_deref());
    let no_path = || [escape::terminal(key).into_owned(), String::new(), String::new()];
    OF_CGROUP.into_iter().zip(path.map_or_else(no_path, of_path)).collect()
}

/// All others of its cache.
fn of_cache(labels: &Labels) -> Labels {
    labels
        .iter()
        .map(|(name, value)| (*name, if *name == "cache" { value.clone() } else { OTHER.to_owned() }))
        .collect()
}

/// All others.
fn of_others(labels: &Labels) -> Labels {
    labels.iter().map(|(name, _)| (*name, OTHER.to_owned())).collect()
}

/// The labels of all others of a report's rows.
fn names(by: &Keys) -> Labels {
    let names = by.iter().flat_map(|by| match by {
        By::Cgroup => OF_CGROUP.to_vec(),
        by => vec![by.into_str()],
    });
    names.map(|name| (name, OTHER.to_owned())).collect()
}
