//! What stands above the table: the session, the caches, the host's slab memory, what memtrace itself takes.

use super::parts::{Part, fit, part, wrapped};
use super::{Keep, Line, Tone, clean, partial};
use crate::{
    text::{human, width},
    view::{By, CacheTotals, Keys, OwnCost, Snapshot, Sort},
};

/// Of many caches, how many have a line.
const CACHES_SHOWN: usize = 3;
/// Of a cache's aliases, how many are named.
const ALIASES_SHOWN: usize = 6;

pub(super) fn lines(snapshot: &Snapshot, width: Option<usize>) -> Vec<Line> {
    let mut lines = vec![title(snapshot, width)];
    match snapshot.caches.as_slice() {
        [] => lines.push(Line::new("no traced cache saw an event yet", Tone::Quiet, Keep::Cache)),
        [cache] => one_cache(cache, width, &mut lines),
        caches => many_caches(&snapshot.by, caches, width, &mut lines),
    }
    lines.extend(host(snapshot, width));
    lines.extend(own_cost(&snapshot.own_cost, width));
    lines.push(Line::blank());
    lines
}

fn title(snapshot: &Snapshot, width: Option<usize>) -> Line {
    let elapsed = human::duration(snapshot.elapsed);
    // The last block says so at once, where the eye is.
    let (mark, up) = match snapshot.is_final {
        true => (format!("FINAL after {elapsed}"), String::new()),
        false => (String::new(), format!("up {elapsed}")),
    };
    let by = format!("by {}", snapshot.by.names());
    let sort = match snapshot.sort {
        Sort::Bytes => "most bytes first",
        Sort::Objects => "most objects first",
        Sort::Growth => "fastest growth first",
        Sort::Age => "oldest first",
    };
    let older = snapshot.older.map(|age| format!("older than {}", human::duration(age)));
    let parts = [
        part(0, "memtrace"),
        part(1, mark),
        part(4, clean(&snapshot.host)),
        part(5, clean(&snapshot.kernel)),
        part(1, up),
        part(3, by),
        part(2, older.unwrap_or_default()),
        part(6, sort),
    ];
    Line::new(fit(&parts, width), Tone::Title, Keep::Always)
}

fn one_cache(cache: &CacheTotals, width: Option<usize>, lines: &mut Vec<Line>) {
    lines.push(Line::new(fit(&cache_parts(cache), width), Tone::Normal, Keep::Cache));
    if !cache.aliases.is_empty() {
        let named =
            cache.aliases.iter().take(ALIASES_SHOWN).map(|name| clean(name)).collect::<Vec<_>>().join(", ");
        let more = match cache.aliases.len().saturating_sub(ALIASES_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!("  merged by the kernel with {named}{more}: their objects cannot be told apart");
        lines.extend(wrapped(&text, width).map(|line| Line::new(line, Tone::Quiet, Keep::Aliases)));
    }
}

fn many_caches(by: &Keys, caches: &[CacheTotals], width: Option<usize>, lines: &mut Vec<Line>) {
    let sum = |of: fn(&CacheTotals) -> u64| caches.iter().map(of).fold(0, u64::saturating_add);
    let parts = [
        part(0, format!("{} caches", human::grouped(caches.len() as u64))),
        part(1, format!("{} objects outstanding", human::grouped(sum(|cache| cache.outstanding_objects)))),
        part(2, human::bytes(sum(|cache| cache.outstanding_bytes))),
    ];
    lines.push(Line::new(fit(&parts, width), Tone::Normal, Keep::Cache));
    // Grouped by cache, the table itself tells the rest.
    if !by.contains(By::Cache) {
        lines.extend(top_caches(&caches[..caches.len().min(CACHES_SHOWN)], width));
    }
}

fn top_caches(caches: &[CacheTotals], width: Option<usize>) -> Vec<Line> {
    let mut table: Vec<Vec<Part>> = caches.iter().map(cache_parts).collect();
    for column in 0..table.first().map_or(0, Vec::len) {
        let cells = table.iter().map(|parts| width::cells(&parts[column].text)).max().unwrap_or(0);
        for parts in &mut table {
            let text = &parts[column].text;
            // Names and words to the left, numbers to the right.
            parts[column].text = if matches!(column, 0 | 2 | 5) {
                width::pad_right(text, cells)
            } else {
                width::pad_left(text, cells)
            };
        }
    }
    let inner = width.map(|width| width.saturating_sub(2));
    table
        .iter()
        .map(|parts| Line::new(format!("  {}", fit(parts, inner)), Tone::Normal, Keep::MoreCaches))
        .collect()
}

/// Always the same number of parts, so that caches line up.
fn cache_parts(cache: &CacheTotals) -> Vec<Part> {
    let reclaimable = match cache.reclaimable {
        Some(true) => "reclaimable",
        Some(false) => "unreclaimable",
        None => "",
    };
    let (total, moves) = match cache.slabinfo_objects {
        Some(objects) => (
            format!(
                "{} in slabinfo ({})",
                human::grouped(objects),
                human::bytes(objects.saturating_mul(cache.object_size))
            ),
            cache.slabinfo_objects_per_s.map(human::growth).unwrap_or_default(),
        ),
        None => (String::new(), String::new()),
    };
    vec![
        part(0, cache_name(cache)),
        part(5, format!("{} each", human::bytes(cache.object_size))),
        part(4, reclaimable),
        part(2, total),
        part(3, moves),
        part(1, partial::of_cache(cache)),
    ]
}

fn cache_name(cache: &CacheTotals) -> String {
    clean(&cache.name) + &merged(cache)
}

/// The caveat that belongs to a merged cache's name wherever it stands.
pub(super) fn merged(cache: &CacheTotals) -> String {
    match cache.aliases.len() {
        0 => String::new(),
        others => format!(" (+{others} merged)"),
    }
}

fn host(snapshot: &Snapshot, width: Option<usize>) -> Option<Line> {
    let meminfo = snapshot.meminfo?;
    let parts = [
        part(0, "host"),
        part(1, format!("Slab {}", human::bytes(meminfo.slab))),
        part(2, format!("SReclaimable {}", human::bytes(meminfo.sreclaimable))),
        part(2, format!("SUnreclaim {}", human::bytes(meminfo.sunreclaim))),
    ];
    Some(Line::new(fit(&parts, width), Tone::Quiet, Keep::Host))
}

fn budget(cost: &OwnCost) -> Option<String> {
    let limits =
        [cost.max_memory.map(human::bytes), cost.max_cpu.map(|share| format!("{} CPU", human::cpu(share)))];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    (!limits.is_empty()).then(|| format!("budget {}", limits.join(", ")))
}

/// Nothing is shown before anything is known.
fn own_cost(cost: &OwnCost, width: Option<usize>) -> Option<Line> {
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
    let figures: Vec<Part> = figures.into_iter().filter_map(|(rank, text)| Some(part(rank, text?))).collect();
    if figures.is_empty() {
        return None;
    }
    let parts: Vec<Part> = std::iter::once(part(0, "self")).chain(figures).collect();
    Some(Line::new(fit(&parts, width), Tone::Quiet, Keep::OwnCost))
}
