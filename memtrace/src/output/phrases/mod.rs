//! One wording for all formats.

pub mod partial;
pub mod place;
pub mod provenance;
pub mod triage;
pub mod trust;
pub mod verdict;

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use crate::{
    text::{escape, human},
    view::{
        AgeBucket, By, Difference, Keys, Snapshot, Sort, Trend,
        diff::{Change, Seen},
    },
};

pub const NO_VERDICT: &str = "too early to tell";
pub const NO_CACHES: &str = "no events from any traced cache yet";

pub fn trend(trend: Trend) -> &'static str {
    match trend {
        Trend::TooEarly => "",
        Trend::Growing(_) => "grows",
        Trend::Plateaued => "flat",
        Trend::Burst => "burst",
        Trend::Churning => "churns",
        Trend::Steady => "steady",
    }
}

/// Text from outside, for a terminal.
pub fn clean(bytes: &[u8]) -> Cow<'_, str> {
    escape::terminal(bytes)
}

/// Stands beside the name of a cache that the kernel merged with others; nothing where it did not.
pub fn merged(aliases: usize) -> String {
    if aliases == 0 { String::new() } else { format!("(+{aliases} merged)") }
}

/// A name and what stands behind it.
pub fn with_tail(name: &[u8], tail: &str) -> String {
    let gap = if tail.is_empty() { "" } else { " " };
    format!("{}{gap}{tail}", clean(name))
}

/// `merged with a, b and 2 more: their objects cannot be told apart`.
pub fn merged_with(aliases: &[String], max: usize) -> Option<String> {
    let named: Vec<_> = aliases.iter().take(max).map(|name| clean(name.as_bytes())).collect();
    let more = match aliases.len().saturating_sub(max) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty())
        .then(|| format!("merged with {}{more}: their objects cannot be told apart", named.join(", ")))
}

/// Names the line of the rows that are not shown.
pub fn more(rows: u64) -> String {
    format!("… {} more", human::grouped(rows))
}

/// Who started whom, or who called whom.
pub fn chain(names: &[Vec<u8>]) -> Vec<u8> {
    names.join(&b" < "[..])
}

/// `1 event`, `2 events`.
pub fn number(n: u64, what: &str) -> String {
    format!("{} {what}{}", human::grouped(n), if n == 1 { "" } else { "s" })
}

pub fn processes(n: u64) -> String {
    format!("{} process{}", human::grouped(n), if n == 1 { "" } else { "es" })
}

pub fn reclaimable(is_reclaimable: Option<bool>) -> &'static str {
    match is_reclaimable {
        Some(true) => "reclaimable",
        Some(false) => "unreclaimable",
        None => "",
    }
}

/// To the second, in UTC.
pub fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

/// What rows stand for, in a sentence.
pub fn keys(by: &Keys) -> String {
    let words = by.iter().map(|by| match by {
        By::Comm => "command",
        By::Pid => "process",
        By::Ancestors => "command and who started it",
        By::Cgroup => "cgroup",
        By::Cache => "slab cache",
        By::CallSite => "call site",
        By::Node => "NUMA node",
        By::Gfp => "allocation flags",
        By::Context => "context",
    });
    words.collect::<Vec<_>>().join(", ")
}

pub fn order(sort: Sort) -> &'static str {
    match sort {
        Sort::Bytes => "most bytes first",
        Sort::Objects => "most objects first",
        Sort::Growth => "fastest growth first",
        Sort::Age => "oldest first",
    }
}

pub fn order_of_changes(sort: Sort) -> &'static str {
    match sort {
        Sort::Bytes | Sort::Age => "largest change in bytes first",
        Sort::Objects => "largest change in objects first",
        Sort::Growth => "largest change in growth first",
    }
}

/// Instead of a table without rows.
pub fn no_rows(snapshot: &Snapshot) -> String {
    match (snapshot.older, snapshot.is_final) {
        (Some(age), _) => format!("no outstanding objects older than {}", human::duration(age)),
        (None, true) => "no outstanding objects: everything allocated since attach was freed".to_owned(),
        (None, false) => "no outstanding objects yet".to_owned(),
    }
}

pub fn no_changes(difference: &Difference) -> String {
    match difference.unchanged {
        0 => "nothing is outstanding in either report".to_owned(),
        rows => format!("nothing changed in {}", number(rows, "row")),
    }
}

/// `+1,234 objects (+12%), +1.9 MiB (+12%)`.
pub fn change(change: &Change) -> String {
    if change.objects() == 0 && change.bytes() == 0 {
        return "none in total".to_owned();
    }
    format!(
        "{} objects ({}), {} ({})",
        human::count_change(change.objects()),
        human::relative_change(change.objects_share()),
        human::bytes_change(change.bytes()),
        human::relative_change(change.bytes_share())
    )
}

/// `new` where nothing was before, `gone` where nothing is left.
pub fn relative_change(share: Option<f64>, seen: Seen) -> String {
    match (share, seen) {
        (_, Seen::Before) => "gone".to_owned(),
        (None, _) | (_, Seen::After) => "new".to_owned(),
        (share, Seen::Both) => human::relative_change(share),
    }
}

/// `under 1 s`, `3 to 10 s`, `30 s to 1 m`, `over 30 d`.
pub fn ages(bucket: &AgeBucket) -> String {
    let start = since(bucket.at_least);
    let Some(end) = bucket.less_than.map(since) else { return format!("over {start}") };
    match (start.split_once(' '), end.split_once(' ')) {
        _ if bucket.at_least.is_zero() => format!("under {end}"),
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} to {end}"),
        _ => format!("{start} to {end}"),
    }
}

/// In the largest unit of which there is one, with a tenth where it is not whole.
pub fn since(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let (unit, name) = units.into_iter().find(|&(unit, _)| seconds >= unit).unwrap_or((1.0, "s"));
    let tenths = (seconds / unit * 10.0).round() / 10.0;
    format!("{tenths} {name}")
}
