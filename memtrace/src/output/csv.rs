//! Rows as CSV (RFC 4180): one header line, then a line for each row, for spreadsheets and for whatever reads columns.
//! docs/formats.md describes the columns.
//!
//! Lines end with LF, which every reader of CSV takes, and which cut, sort and awk need. No field has a line break, so a line is
//! a row. See [`escape::csv`] for how names are made harmless.

mod difference;

use std::borrow::Cow;

pub use self::difference::difference;
use super::json;
use crate::{
    text::escape,
    view::{NameGroup, Row, Snapshot},
};

/// What stands in one column of a line. Figures are never escaped: a negative one is no formula.
enum Field<'a> {
    /// Nothing is known, or there is nothing.
    Absent,
    Name(Cow<'a, [u8]>),
    Count(u64),
    Change(i64),
    Float(f64),
}

/// A column: its name, and what it has of a line's source.
type Column<T> = (&'static str, for<'a> fn(&'a T) -> Field<'a>);

/// Lines in the making.
struct Text {
    out: String,
}

impl Text {
    fn with_header<'a>(names: impl Iterator<Item = Cow<'a, str>>) -> Self {
        let mut text = Text { out: String::new() };
        text.line(names.map(|name| Field::Name(Cow::Owned(name.into_owned().into_bytes()))));
        text
    }

    fn line<'a>(&mut self, fields: impl Iterator<Item = Field<'a>>) {
        for (at, field) in fields.enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            match field {
                Field::Absent => {}
                Field::Name(bytes) => self.out.push_str(&quoted(escape::csv(&bytes))),
                Field::Count(n) => self.out.push_str(&n.to_string()),
                Field::Change(n) => self.out.push_str(&n.to_string()),
                Field::Float(n) => self.out.push_str(&json::finite(n).to_string()),
            }
        }
        self.out.push('\n');
    }
}

fn quoted(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains([',', '"']) || text.starts_with(' ') || text.ends_with(' ') {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        text
    }
}

fn name(bytes: &[u8]) -> Field<'_> {
    Field::Name(Cow::Borrowed(bytes))
}

fn text(text: impl Into<String>) -> Field<'static> {
    Field::Name(Cow::Owned(text.into().into_bytes()))
}

fn joined(parts: &[Vec<u8>]) -> Field<'_> {
    Field::Name(Cow::Owned(parts.join(&b" < "[..])))
}

fn maybe<'a, T>(value: Option<T>, field: impl FnOnce(T) -> Field<'a>) -> Field<'a> {
    value.map_or(Field::Absent, field)
}

/// The columns after the keys, always all of them and in this order.
const COLUMNS: [Column<Row>; 35] = [
    ("objects", |row| Field::Count(row.objects)),
    ("bytes", |row| Field::Count(row.bytes)),
    ("partial_objects", |row| Field::Count(row.partial_objects)),
    ("allocs", |row| Field::Count(row.allocs)),
    ("frees", |row| Field::Count(row.frees)),
    ("allocs_per_s", |row| Field::Float(row.allocs_per_s)),
    ("frees_per_s", |row| Field::Float(row.frees_per_s)),
    ("growth_per_s", |row| Field::Float(row.growth_per_s)),
    ("trend", |row| text(json::trend(row.trend))),
    ("survival", |row| Field::Float(row.survival())),
    ("oldest_ns", |row| maybe(row.oldest, |age| Field::Count(json::nanos(age)))),
    ("comm", |row| maybe(row.comm.as_deref(), name)),
    ("pid", |row| maybe(row.pid, |pid| Field::Count(pid.into()))),
    ("program", |row| maybe(row.process.as_ref().map(|process| &*process.program), name)),
    ("command_line", |row| maybe(row.process.as_ref().map(|process| &*process.command_line), name)),
    ("processes", |row| Field::Count(row.processes)),
    ("started_by", |row| maybe(row.started_by.first(), |most| joined(&most.comms))),
    ("started_by_objects", |row| maybe(row.started_by.first(), |most| Field::Count(most.objects))),
    ("cgroup", |row| maybe(row.cgroups.first().and_then(|most| most.path.as_deref()), name)),
    ("cgroup_objects", |row| maybe(row.cgroups.first(), |most| Field::Count(most.objects))),
    ("cache", |row| maybe(row.caches.first(), |most| text(&*most.name))),
    ("cache_objects", |row| maybe(row.caches.first(), |most| Field::Count(most.objects))),
    ("cache_bytes", |row| maybe(row.caches.first(), |most| Field::Count(most.bytes))),
    ("call_site", |row| {
        maybe(row.call_site.as_ref(), |site| {
            text(site.symbol.clone().unwrap_or_else(|| format!("{:#x}", site.address)))
        })
    }),
    ("directory", |row| maybe(row.names.first(), |most| name(directory(most)))),
    ("pattern", |row| maybe(row.names.first(), |most| name(&most.pattern))),
    ("pattern_objects", |row| maybe(row.names.first(), |most| Field::Count(most.objects))),
    ("example", |row| maybe(row.names.first(), |most| name(&most.example))),
    ("filesystem", |row| maybe(row.names.first().and_then(|most| most.filesystem.as_deref()), name)),
    ("named_objects", |row| Field::Count(row.named_objects)),
    ("negative_share", |row| maybe(row.negatives, |dentries| Field::Float(dentries.share()))),
    ("stack", |row| maybe(row.stacks.first(), |most| text(most.frames.join(" < ")))),
    ("stack_objects", |row| maybe(row.stacks.first(), |most| Field::Count(most.objects))),
    ("stacked_objects", |row| Field::Count(row.stacked_objects)),
    ("rows", |_| Field::Count(1)),
];

/// The rows of a report; the last line has those that `--top` cut, added up.
pub fn report(snapshot: &Snapshot) -> String {
    let time = json::rfc3339(snapshot.time);
    let keys = snapshot.by.iter().count();
    let source = || {
        let (elapsed, period) = (json::nanos(snapshot.elapsed), snapshot.sampling.period.into());
        [text(&*snapshot.host), text(&*time), Field::Count(elapsed), Field::Count(period)].into_iter()
    };
    let mut out = Text::with_header(
        ["host", "time", "elapsed_ns", "sampling_period"]
            .into_iter()
            .map(Cow::Borrowed)
            .chain(snapshot.by.iter().map(|by| Cow::Owned(format!("by_{}", by.name()))))
            .chain(COLUMNS.iter().map(|(name, _)| Cow::Borrowed(*name))),
    );
    for row in &snapshot.rows {
        let names = (0..keys).map(|at| maybe(row.keys.get(at), |key| name(key)));
        out.line(source().chain(names).chain(COLUMNS.iter().map(|(_, field)| field(row))));
    }
    if let Some(rest) = snapshot.rest {
        let known = |name: &str| match name {
            "objects" => Field::Count(rest.objects),
            "bytes" => Field::Count(rest.bytes),
            "rows" => Field::Count(rest.rows),
            _ => Field::Absent,
        };
        let names = (0..keys).map(|_| Field::Absent);
        out.line(source().chain(names).chain(COLUMNS.iter().map(|(name, _)| known(name))));
    }
    out.out
}

/// The whole path, or the name where only that is known.
fn directory(group: &NameGroup) -> &[u8] {
    group.path.as_deref().unwrap_or(&group.parent)
}

#[cfg(test)]
mod tests;
