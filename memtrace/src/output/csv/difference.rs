//! What changed between two reports, as CSV.

use std::borrow::Cow;

use super::{Column, Field, Text, directory, joined, maybe, name, text};
use crate::output::json;
use crate::view::{
    Difference,
    diff::{Change, RowChange},
};

/// Those that are known of the rest, too.
const OF_CHANGE: [Column<Change>; 8] = [
    ("objects_before", |change| Field::Count(change.before.objects)),
    ("objects_after", |change| Field::Count(change.after.objects)),
    ("objects_change", |change| Field::Change(change.objects())),
    ("objects_change_share", |change| maybe(change.objects_share(), Field::Float)),
    ("bytes_before", |change| Field::Count(change.before.bytes)),
    ("bytes_after", |change| Field::Count(change.after.bytes)),
    ("bytes_change", |change| Field::Change(change.bytes())),
    ("bytes_change_share", |change| maybe(change.bytes_share(), Field::Float)),
];

const OF_ROW: [Column<RowChange>; 10] = [
    ("seen", |row| text(json::seen(row.seen))),
    ("allocs_per_s_before", |row| maybe(row.rates_before, |rates| Field::Float(rates.allocs))),
    ("allocs_per_s_after", |row| maybe(row.rates_after, |rates| Field::Float(rates.allocs))),
    ("growth_per_s_before", |row| maybe(row.rates_before, |rates| Field::Float(rates.growth))),
    ("growth_per_s_after", |row| maybe(row.rates_after, |rates| Field::Float(rates.growth))),
    ("comm", |row| maybe(row.comm.as_deref(), name)),
    ("started_by", |row| maybe(row.started_by.as_ref(), |most| joined(&most.comms))),
    ("directory", |row| maybe(row.place.as_ref(), |place| name(directory(place)))),
    ("pattern", |row| maybe(row.place.as_ref(), |place| name(&place.pattern))),
    ("rows", |_| Field::Count(1)),
];

/// The rows that changed; the last line has those that were cut, added up.
pub fn difference(difference: &Difference) -> String {
    let keys = difference.by.iter().count();
    let mut out = Text::with_header(
        difference
            .by
            .iter()
            .map(|by| Cow::Owned(format!("by_{}", by.name())))
            .chain(OF_CHANGE.iter().map(|(name, _)| Cow::Borrowed(*name)))
            .chain(OF_ROW.iter().map(|(name, _)| Cow::Borrowed(*name))),
    );
    for row in &difference.rows {
        let names = (0..keys).map(|at| maybe(row.keys.get(at), |key| name(key)));
        let change = OF_CHANGE.iter().map(|(_, field)| field(&row.change));
        out.line(names.chain(change).chain(OF_ROW.iter().map(|(_, field)| field(row))));
    }
    if let Some(rest) = &difference.rest {
        let names = (0..keys).map(|_| Field::Absent);
        let change = OF_CHANGE.iter().map(|(_, field)| field(&rest.change));
        let known = |name: &str| if name == "rows" { Field::Count(rest.rows) } else { Field::Absent };
        out.line(names.chain(change).chain(OF_ROW.iter().map(|(name, _)| known(name))));
    }
    out.out
}
