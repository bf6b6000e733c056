//! Whose the slab is by a census, as groups with the same labels.

use super::{
    group::{Group, OF_CGROUP, of_path},
    places::Labels,
};
use crate::view::{
    Census,
    census::{Content, Payer, Row},
};

/// One for each row; rows of several places may have the same labels.
pub fn groups(census: &Census) -> impl Iterator<Item = Group> {
    census.rows.iter().map(|row| Group {
        labels: labels(census, row),
        objects: row.objects,
        bytes: row.bytes,
        oldest: None,
    })
}

fn labels(census: &Census, row: &Row) -> Labels {
    let cache = census.cache(row).map_or_else(String::new, |cache| cache.name.clone());
    let (holder, path) = match row.traits.content {
        Content::Object => payer(row),
        Content::Free | Content::BeingFreed => ("free", None),
        // Too little was seen to say more than how large the cache is.
        Content::TooFew | Content::Doubted => ("unknown", None),
    };
    let of_cgroup = OF_CGROUP.into_iter().zip(path.map(of_path).unwrap_or_default());
    [("cache", cache), ("holder", holder.to_owned())].into_iter().chain(of_cgroup).collect()
}

fn payer(row: &Row) -> (&'static str, Option<&[u8]>) {
    let path = row.cgroup.as_deref();
    match row.traits.payer {
        Some(Payer::Cgroup(_)) => ("cgroup", path),
        Some(Payer::RemovedOf(_)) => ("removed", path),
        Some(Payer::Nobody) => ("nobody", None),
        Some(Payer::Unknown) | None => ("unknown", None),
    }
}
