//! Why two reports may not be comparable.

use std::time::Duration;

use super::change::{RowChange, Seen, Taken};
use crate::view::{key::By, snapshot::Snapshot};

/// Windows whose lengths differ by a smaller share count as equally long.
const SAME_LENGTH: f64 = 0.1;

/// Reports whose sessions started within this time of each other are of one session: the start is known only up to the
/// time that the session took to settle.
const SAME_START: Duration = Duration::from_secs(2);

/// Caches named in a note at most.
const MAX_NAMED: usize = 5;

pub(super) fn all(before: &Taken<'_>, after: &Taken<'_>, rows: &[RowChange]) -> Vec<String> {
    let both = [before, after];
    let notes = [
        origins(both),
        identities(both),
        order(both),
        filters(both),
        lengths(both),
        ends(both),
        sampling(both),
        partial(both),
        cut(both, rows),
    ];
    notes.into_iter().flatten().chain(both.into_iter().filter_map(losses)).collect()
}

fn name(taken: &Taken<'_>) -> String {
    String::from_utf8_lossy(taken.label).into_owned()
}

fn origins([before, after]: [&Taken<'_>; 2]) -> Option<String> {
    let (before, after) = (before.snapshot, after.snapshot);
    if before.host != after.host {
        return Some(format!(
            "the reports are of two hosts, {} ({}) and {} ({}): a difference between hosts is not a change over time",
            before.host, before.kernel, after.host, after.kernel
        ));
    }
    (before.kernel != after.kernel).then(|| {
        format!(
            "the kernels differ, {} and {}: merged caches, object sizes and traced frees may differ too",
            before.kernel, after.kernel
        )
    })
}

/// Process ids and cgroup ids mean something else after a boot.
fn identities(both: [&Taken<'_>; 2]) -> Option<String> {
    let [before, after] = both;
    let is_one_host = before.snapshot.host == after.snapshot.host;
    let is_one_boot = match (before.boot, after.boot) {
        (Some(before), Some(after)) => before == after,
        // It is not known that there was a boot.
        _ => true,
    };
    if is_one_host && is_one_boot {
        return None;
    }
    let by = &after.snapshot.by;
    let changed: Vec<&str> =
        [By::Pid, By::Cgroup].into_iter().filter(|key| by.contains(*key)).map(|by| by.into_str()).collect();
    let why = if is_one_host { "the host was rebooted in between" } else { "the hosts differ" };
    match changed[..] {
        // The first note says so.
        [] if !is_one_host => None,
        [] => Some(format!("{why}: nothing that was outstanding before is left")),
        _ => Some(format!(
            "{why}: rows of the same {} are different things before and after; compare by comm or cache",
            changed.join(" and ")
        )),
    }
}

fn order([before, after]: [&Taken<'_>; 2]) -> Option<String> {
    (before.snapshot.time > after.snapshot.time).then(|| {
        format!("{} was taken after {}: changes are shown backwards in time", name(before), name(after))
    })
}

fn filters([before, after]: [&Taken<'_>; 2]) -> Option<String> {
    let text = |taken: &Taken<'_>| {
        let older = taken.snapshot.older.map(|age| format!("--older {}", humantime::format_duration(age)));
        let all: Vec<String> = [Some(taken.filters.to_owned()), older]
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect();
        if all.is_empty() { "everything".to_owned() } else { all.join(" ") }
    };
    let (one, other) = (text(before), text(after));
    (one != other).then(|| format!("the filters differ: {one} before, {other} after"))
}

/// In two windows of one session, the longer time is not a doubt: what happened in it is the question.
fn are_of_one_session([before, after]: [&Taken<'_>; 2]) -> bool {
    let start = |snapshot: &Snapshot| {
        let settled = snapshot.settled.map_or(Duration::ZERO, |settled| settled.time);
        snapshot.time.checked_sub(snapshot.elapsed.saturating_add(settled))
    };
    let (Some(one), Some(other)) = (start(before.snapshot), start(after.snapshot)) else { return false };
    let apart = one.duration_since(other).unwrap_or_else(|error| error.duration());
    before.snapshot.host == after.snapshot.host && before.boot == after.boot && apart < SAME_START
}

fn lengths(both: [&Taken<'_>; 2]) -> Option<String> {
    let [before, after] = both;
    if are_of_one_session(both) {
        return None;
    }
    let [one, other] = [before, after].map(|taken| taken.snapshot.elapsed);
    let (shorter, longer) = (one.min(other), one.max(other));
    let is_same = longer.saturating_sub(shorter).as_secs_f64() <= longer.as_secs_f64() * SAME_LENGTH;
    let text = |time: Duration| humantime::format_duration(Duration::from_millis(time.as_millis() as u64));
    (!is_same).then(|| {
        format!(
            "allocations were traced for {} before and for {} after: the longer session has more outstanding objects; compare rates",
            text(one),
            text(other)
        )
    })
}

fn ends([before, after]: [&Taken<'_>; 2]) -> Option<String> {
    let is_settled = |taken: &Taken<'_>| taken.snapshot.settled.is_some();
    (is_settled(before) != is_settled(after)).then(|| {
        let settled = if is_settled(before) { before } else { after };
        format!(
            "only {} followed frees beyond the end: the other counts objects that were about to be freed",
            name(settled)
        )
    })
}

fn sampling([before, after]: [&Taken<'_>; 2]) -> Option<String> {
    let periods = [before, after].map(|taken| taken.snapshot.sampling.period);
    let text = |period: u32| if period > 1 { format!("1 in {period}") } else { "all".to_owned() };
    let [one, other] = periods.map(text);
    match periods {
        [one, other] if one <= 1 && other <= 1 => None,
        [one, other] if one == other => {
            Some(format!("1 in {one} objects was followed: small changes may be noise"))
        }
        _ => {
            Some(format!("{one} objects were followed before and {other} after: small changes may be noise"))
        }
    }
}

fn partial(both: [&Taken<'_>; 2]) -> Option<String> {
    let caches = both.into_iter().flat_map(|taken| &taken.snapshot.caches);
    let mut names: Vec<&str> =
        caches.filter(|cache| cache.partial.is_some()).map(|cache| cache.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let more = match names.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.truncate(MAX_NAMED);
    Some(format!(
        "some frees of {}{more} were not traced: objects that look outstanding may be free",
        names.join(", ")
    ))
}

/// A row that was cut from one report looks new or gone.
fn cut([before, after]: [&Taken<'_>; 2], rows: &[RowChange]) -> Option<String> {
    let hides = |snapshot: &Snapshot, seen: Seen| {
        snapshot.rest.is_some_and(|rest| rest.rows > 0) && rows.iter().any(|row| row.seen == seen)
    };
    let cut: Vec<String> = [(before, Seen::After), (after, Seen::Before)]
        .into_iter()
        .filter(|(taken, seen)| hides(taken.snapshot, *seen))
        .map(|(taken, _)| name(taken))
        .collect();
    (!cut.is_empty()).then(|| {
        format!(
            "--top cut rows from {}: rows shown only in the other report may have been in both",
            cut.join(" and ")
        )
    })
}

fn losses(taken: &Taken<'_>) -> Option<String> {
    let trust = &taken.snapshot.trust;
    let counts = [
        (trust.lost_frees, "frees were lost: that many objects may be free"),
        (trust.lost_allocs, "allocations were lost: that many objects may be missing"),
        (trust.refused, "allocations were refused by the full ledger: that many objects are missing"),
        (trust.recursion_misses, "probe runs at most were skipped by the kernel's recursion guard"),
    ];
    let texts: Vec<String> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    (!texts.is_empty()).then(|| format!("in {}, {}", name(taken), texts.join("; ")))
}
