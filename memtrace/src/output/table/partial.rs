//! Marks on what belongs to a cache whose frees are not all seen: its objects look outstanding and may be free.

use crate::{
    text::human,
    view::{By, CacheTotals, Row, Snapshot},
};

const MARK: &str = "partial";
pub(super) const WIDTH: usize = MARK.len();

/// A row is marked from this share of its objects on: a few of such a cache do not change what it says.
const MIN_SHARE: f64 = 0.1;

/// For a cache's line.
pub(in crate::output) fn of_cache(cache: &CacheTotals) -> String {
    match cache.partial {
        Some(partial) => format!("{MARK}: {} of frees unseen", human::about(partial.unseen_frees_share)),
        None => String::new(),
    }
}

pub(in crate::output) fn any(snapshot: &Snapshot) -> bool {
    snapshot.rows.iter().any(|row| !of_row(snapshot, row).is_empty())
}

pub(in crate::output) fn of_row(snapshot: &Snapshot, row: &Row) -> &'static str {
    let is_marked = if snapshot.by.contains(By::Cache) {
        snapshot.caches.iter().any(|cache| {
            cache.partial.is_some() && row.cache.as_ref().is_some_and(|name| *name == cache.name)
        })
    } else {
        row.partial_objects > 0 && row.partial_objects as f64 >= row.objects as f64 * MIN_SHARE
    };
    if is_marked { MARK } else { "" }
}
