//! A report as one HTML page that stands alone: for the ticket, and for whoever has neither memtrace nor the host.
//!
//! What matters is there as plain HTML: verdict, trust, tables, directories, ages. The page's own script draws the growth and
//! the call stacks from JSON in the page, and makes tables sortable. It fetches nothing, and the page's policy forbids it to:
//! only the style and the script whose digests it names may run. Text from the host is escaped here, and the script only ever
//! sets it as text.

/// One program in several files, in a scope of its own.
macro_rules! script {
    ($($file:literal),+) => {
        concat!(
            "(() => {\n'use strict';\ndocument.documentElement.classList.add('js');\n",
            $(include_str!($file),)+
            "})();\n"
        )
    };
}

mod ages;
mod caches;
mod data;
mod difference;
mod digest;
mod directories;
mod guide;
mod markup;
mod masthead;
mod rows;
mod trust;
mod verdict;

#[cfg(test)]
mod tests;

use std::io;
use std::time::SystemTime;

pub use self::difference::difference;
use self::markup::host;
use crate::{
    evidence::replay::Report,
    view::{Snapshot, ages::AgeBucket, profile::Profile, series::Series},
};

/// What all pages have.
const FRAME: &str = include_str!("frame.html");
const REPORT: &str = include_str!("page.html");
/// Call stacks: a part of several pages, drawn by `flame.js`.
const STACKS: &str = include_str!("stacks.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = script!("figures.js", "table.js", "detail.js", "chart.js", "flame.js", "page.js");

/// All that the page tells.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    pub about: About<'a>,
    pub snapshot: &'a Snapshot,
    pub series: &'a Series,
    pub profile: &'a Profile,
    /// Youngest first; empty where ages are not known.
    pub ages: &'a [AgeBucket],
}

/// Where the figures come from.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The recorded file's name; None for a live session.
    pub file: Option<&'a [u8]>,
    /// The window that is told of.
    pub from: SystemTime,
    pub to: SystemTime,
    /// memtrace's own.
    pub version: &'a str,
}

/// The page of a report that was made of a recording of this name.
pub fn of_report(report: &Report, profile: &Profile, file: &[u8]) -> io::Result<String> {
    page(&Document {
        about: About {
            file: Some(file),
            from: report.from,
            to: report.to,
            version: env!("CARGO_PKG_VERSION"),
        },
        snapshot: &report.snapshot,
        series: &report.series,
        profile,
        ages: &report.snapshot.ages,
    })
}

/// The whole page.
pub fn page(document: &Document<'_>) -> io::Result<String> {
    let snapshot = document.snapshot;
    let data = data::Data::of(document)?;
    let part = |name: &str| match name {
        "masthead" => masthead::section(document),
        "verdict" => verdict::section(snapshot),
        "trust" => trust::section(snapshot),
        "rows" => rows::section(snapshot),
        "caches" => caches::section(snapshot),
        "directories" => directories::section(snapshot),
        "ages" => ages::section(document.ages),
        "stacks" => {
            stacks("Call stacks", "Which calls led to what is outstanding: who called stands above whom.")
        }
        "notes" => trust::notes("Notes", &snapshot.notes),
        "guide" => guide::section(document.about.version),
        "snapshot_json" => data.snapshot.clone(),
        "series_json" => data.series.clone(),
        "profile_json" => data.profile.clone(),
        _ => String::new(),
    };
    let title = format!("{} – memtrace report", host(snapshot.host.as_bytes()));
    Ok(framed(&title, &fill(REPORT, part), SCRIPT))
}

/// Where call stacks are drawn.
fn stacks(title: &str, lede: &str) -> String {
    fill(STACKS, |name| if name == "title" { title.to_owned() } else { lede.to_owned() })
}

/// A whole page of its body. Only its own style and script may run.
fn framed(title: &str, body: &str, script: &str) -> String {
    fill(FRAME, |name| match name {
        "title" => title.to_owned(),
        "style" => STYLE.to_owned(),
        "style_digest" => digest::source(STYLE),
        "script" => script.to_owned(),
        "script_digest" => digest::source(script),
        "body" => body.to_owned(),
        _ => String::new(),
    })
}

/// The template with its `{{name}}` filled in. What is filled in is not looked at again: it may have braces of its own.
fn fill(template: &str, part: impl Fn(&str) -> String) -> String {
    let mut page = String::with_capacity(1 << 17);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(&part(name));
        rest = after;
    }
    page + rest
}
