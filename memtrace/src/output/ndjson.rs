//! Reports as NDJSON with one fact a line, each with its `type`: for `jq`, `grep` and log pipelines. docs/formats.md describes
//! it. The objects are those of `-o json`.

use std::io;

use serde::Serialize;

use super::json::{self, line_of};
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
    let mut out = line_of(&header)?;
    out += &lines("verdict", verdict.as_slice())?;
    out += &lines("finding", &findings)?;
    out += &lines("cache", &caches)?;
    out += &lines("row", &rows)?;
    out += &lines("rest", rest.as_slice())?;
    out += &lines("age", &ages)?;
    out += &lines("generation", &generations)?;
    out += &lines("directory", &directories)?;
    // It says itself what it is.
    out += &census.iter().map(line_of).collect::<io::Result<String>>()?;
    out += &notes_of(notes)?;
    out += &lines("trust", std::slice::from_ref(&trust))?;
    Ok(out)
}

/// Its last line is always `total`.
pub fn difference(difference: &Difference) -> io::Result<String> {
    let json::Difference { header, total, caches, rows, rest, census, notes } =
        json::Difference::of(difference);
    let mut out = line_of(&header)?;
    out += &lines("cache", &caches)?;
    out += &lines("row", &rows)?;
    out += &lines("rest", rest.as_slice())?;
    out += &lines("census", census.as_slice())?;
    out += &notes_of(notes)?;
    out += &lines("total", std::slice::from_ref(&total))?;
    Ok(out)
}

fn notes_of(notes: &[String]) -> io::Result<String> {
    lines("note", &notes.iter().map(|text| Note { text }).collect::<Vec<_>>())
}

fn lines(r#type: &'static str, all: &[impl Serialize]) -> io::Result<String> {
    all.iter().map(|facts| line_of(&Tagged { r#type, facts })).collect()
}

#[cfg(test)]
mod tests;
