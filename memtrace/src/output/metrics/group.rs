//! What has the same labels is one.

use std::{collections::BTreeMap, time::Duration};

use super::places::Labels;
use crate::{attribution::cgroup::Owner, text::escape};

/// Rows with the same labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub labels: Labels,
    pub objects: u64,
    pub bytes: u64,
    pub oldest: Option<Duration>,
}

/// Those with the same labels together, the biggest first.
pub fn grouped(groups: impl Iterator<Item = Group>) -> Vec<Group> {
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

/// Container and pod as Kubernetes' own metrics have them, so that they can be joined.
pub const OF_CGROUP: [&str; 3] = ["cgroup", "container_id", "pod_uid"];

/// The values of [`OF_CGROUP`].
pub fn of_path(path: &[u8]) -> [String; 3] {
    let owner = Owner::from_path(path);
    let container = owner.container.as_ref().map_or("", |container| container.id).to_owned();
    [escape::terminal(path).into_owned(), container, owner.pod.unwrap_or_default()]
}
