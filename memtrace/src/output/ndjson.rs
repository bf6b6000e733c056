//! Reports as NDJSON with one fact a line, each with its `type`: for `jq`, `grep` and log pipelines. docs/formats.md describes
//! it. The objects are those of `-o json`.

use std::io;

use serde::Serialize;

use super::json::{self, all, line_of};
use crate::view::{self, Difference};

/// One object of a report by itself.
#[derive(Serialize)]
struct Tagged<'a, T> {
    r#type: &'static str,
    #[serde(flatten)]
    facts: &'a T,
}

#[derive(Serialize)]
struct Note<'a> {
    text: &'a str,
}

/// The final report. Its last line is always `trust`: where that is missing, the text was cut.
pub fn report(snapshot: &view::Snapshot) -> io::Result<String> {
    let json::Snapshot {
        mut header,
        caches,
        rows,
        rest,
        verdict,
        findings,
        ages,
        generations,
        directories,
        census,
        trust,
        notes,
    } = json::Snapshot::of(snapshot);
    header.r#type = "report";
    Ok([
        line_of(&header)?,
        lines("verdict", &verdict)?,
        lines("finding", &findings)?,
        lines("cache", &caches)?,
        lines("row", &rows)?,
        lines("rest", &rest)?,
        lines("age", &ages)?,
        lines("generation", &generations)?,
        lines("directory", &directories)?,
        // It says itself what it is.
        census.iter().map(line_of).collect::<io::Result<String>>()?,
        lines("note", &all(notes, |text| Note { text }))?,
        lines("trust", [&trust])?,
    ]
    .concat())
}

/// Its last line is always `total`.
pub fn difference(difference: &Difference) -> io::Result<String> {
    let json::Difference { header, total, caches, rows, rest, census, notes } =
        json::Difference::of(difference);
    Ok([
        line_of(&header)?,
        lines("cache", &caches)?,
        lines("row", &rows)?,
        lines("rest", &rest)?,
        lines("census", &census)?,
        lines("note", &all(notes, |text| Note { text }))?,
        lines("total", [&total])?,
    ]
    .concat())
}

fn lines<'a, T: Serialize + 'a>(
    r#type: &'static str,
    all: impl IntoIterator<Item = &'a T>,
) -> io::Result<String> {
    all.into_iter().map(|facts| line_of(&Tagged { r#type, facts })).collect()
}

#[cfg(test)]
mod tests;
