//! One wording for all formats.

pub mod census;
pub mod place;
pub mod provenance;
pub mod triage;
pub mod trust;
pub mod verdict;

use crate::{
    text::{escape, human},
    view::{
        AgeBucket, By, CacheTotals, Difference, Keys, OwnCost, Snapshot, Sort, Trend,
        diff::{Change, Seen},
        reconcile::Partial,
    },
};

pub const NO_VERDICT: &str = "too early to tell";
pub const NO_CACHES: &str = "no events from any traced cache yet";

pub fn trend(trend: Trend) -> &'static str {
    if trend == Trend::TooEarly { "" } else { trend.into_str() }
}

/// Stands beside the name of a cache that the kernel merged with others; nothing where it did not.
pub fn merged(aliases: usize) -> String {
    if aliases == 0 { String::new() } else { format!("(+{aliases} merged)") }
}

/// Stands beside what belongs to a cache whose frees are not all seen: its objects look outstanding and may be free.
pub const PARTIAL: &str = "partial";

/// Beside such a cache.
pub fn partial(cache: &CacheTotals) -> String {
    let unseen =
        |partial: Partial| format!("{PARTIAL}: {} of frees unseen", human::about(partial.unseen_frees_share));
    cache.partial.map(unseen).unwrap_or_default()
}

/// A name and what stands behind it.
pub fn with_tail(name: &[u8], tail: &str) -> String {
    let gap = if tail.is_empty() { "" } else { " " };
    format!("{}{gap}{tail}", escape::terminal(name))
}

/// `merged with a, b and 2 more: their objects cannot be told apart`.
pub fn merged_with(aliases: &[String], max: usize) -> Option<String> {
    let named: Vec<_> = aliases.iter().take(max).map(|name| escape::terminal(name.as_bytes())).collect();
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

pub fn reclaimable(is_reclaimable: Option<bool>) -> &'static str {
    match is_reclaimable {
        Some(true) => "reclaimable",
        Some(false) => "unreclaimable",
        None => "",
    }
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

/// What memtrace itself costs, as far as that is known, each figure with its rank.
pub fn own_cost(cost: &OwnCost) -> Vec<(u8, String)> {
    let cpu = match (cost.probes_cpu, cost.userspace_cpu) {
        (Some(probes), Some(userspace)) => Some(format!("CPU {}", human::cpu(probes + userspace))),
        (None, Some(userspace)) => Some(format!("CPU {} without probes", human::cpu(userspace))),
        _ => None,
    };
    let figures = [
        (2, cost.probe_ns_per_event.map(|ns| format!("{ns:.0} ns/event"))),
        (1, cpu),
        (3, cost.resident_bytes.map(|bytes| format!("RSS {}", human::bytes(bytes)))),
        (4, cost.kernel_bytes.map(|bytes| format!("kernel {}", human::bytes(bytes)))),
        (5, budget(cost)),
    ];
    figures.into_iter().filter_map(|(rank, text)| Some((rank, text?))).collect()
}

fn budget(cost: &OwnCost) -> Option<String> {
    let limits =
        [cost.max_memory.map(human::bytes), cost.max_cpu.map(|share| format!("{} CPU", human::cpu(share)))];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    (!limits.is_empty()).then(|| format!("budget {}", limits.join(", ")))
}

/// Instead of a table without rows.
pub fn no_rows(snapshot: &Snapshot) -> String {
    let allocs = snapshot.totals().allocs;
    match (snapshot.older, snapshot.is_final) {
        _ if allocs == 0 && snapshot.is_final => "no allocations seen since attach".to_owned(),
        _ if allocs == 0 => "no allocations seen yet".to_owned(),
        (Some(age), _) => format!("no outstanding objects older than {}", human::duration(age)),
        (None, true) => "no outstanding objects: everything allocated since attach was freed".to_owned(),
        (None, false) => "no outstanding objects yet".to_owned(),
    }
}

pub fn no_changes(difference: &Difference) -> String {
    match difference.unchanged {
        0 => "nothing is outstanding in either report".to_owned(),
        rows => format!("nothing changed in {}", human::number(rows, "row")),
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
    let start = human::in_largest_unit(bucket.at_least);
    let Some(end) = bucket.less_than.map(human::in_largest_unit) else { return format!("over {start}") };
    match (start.split_once(' '), end.split_once(' ')) {
        _ if bucket.at_least.is_zero() => format!("under {end}"),
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} to {end}"),
        _ => format!("{start} to {end}"),
    }
}
