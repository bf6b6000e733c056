//! What the page is about: the host, its kernel, the window, where the figures come from.

use super::Document;
use super::markup::{checkpoint, clean, host, text};
use super::rows::by_words;
use crate::{
    procfs::slab::Meminfo,
    text::human,
    view::{OwnCost, Snapshot},
};

pub(super) fn section(document: &Document<'_>) -> String {
    let snapshot = document.snapshot;
    let about = &document.about;
    let file = about.file.map_or_else(|| "live session".to_owned(), host);
    let older = snapshot
        .older
        .map(|age| fact("Only objects older than", &format!("<span>{}</span>", text(&human::duration(age)))));
    let facts: String = [
        Some(fact("Kernel", &clean(&snapshot.kernel))),
        Some(fact("Window", &window(document))),
        Some(fact("Source", &file)),
        Some(fact("Traced", &traced(snapshot))),
        older,
        Some(fact("memtrace itself took", &own_cost(&snapshot.own_cost))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let meminfo = snapshot.meminfo.map(memory).unwrap_or_default();
    let running =
        if snapshot.is_final { "" } else { "<span class=\"tag\">taken before the session’s end</span>" };
    format!(
        "<p class=\"eyebrow\">memtrace report{running}</p>\n<h1>{}</h1>\n<dl class=\"facts\">{facts}</dl>\n{meminfo}",
        clean(&snapshot.host)
    )
}

pub(super) fn fact(term: &str, value: &str) -> String {
    format!("<div><dt>{term}</dt><dd>{value}</dd></div>\n")
}

/// `2026-11-25 03:12:04 to 03:22:04 UTC, 10 m 0 s`; the day once where it is the same.
fn window(document: &Document<'_>) -> String {
    let (from, to) = (checkpoint(document.about.from), checkpoint(document.about.to));
    let (day, _) = from.split_once(' ').unwrap_or_default();
    let to = to.strip_prefix(day).map_or(to.as_str(), str::trim_start);
    let length = human::duration(document.snapshot.elapsed);
    format!("{from} to {to} UTC <small>{length}</small>")
}

fn traced(snapshot: &Snapshot) -> String {
    let caches = match snapshot.caches.as_slice() {
        [] => "no cache saw an event".to_owned(),
        [cache] => clean(&cache.name),
        caches => format!("{} slab caches", caches.len()),
    };
    let sampled = if snapshot.sampling.is_on() {
        format!(", one object in {}", snapshot.sampling.period)
    } else {
        String::new()
    };
    format!("{caches}{sampled} <small>rows by {}</small>", by_words(&snapshot.by))
}

fn own_cost(cost: &OwnCost) -> String {
    let cpu = match (cost.probes_cpu, cost.userspace_cpu) {
        (Some(probes), Some(userspace)) => Some(format!("{} of a CPU", human::cpu(probes + userspace))),
        (None, Some(userspace)) => Some(format!("{} of a CPU without probes", human::cpu(userspace))),
        _ => None,
    };
    let memory = match (cost.resident_bytes, cost.kernel_bytes) {
        (Some(resident), kernel) => Some(human::bytes(resident.saturating_add(kernel.unwrap_or(0)))),
        (None, kernel) => kernel.map(human::bytes),
    };
    let each = cost.probe_ns_per_event.map(|ns| format!("{ns:.0} ns an event"));
    let parts: Vec<String> = [cpu, memory, each].into_iter().flatten().collect();
    if parts.is_empty() { "not known".to_owned() } else { text(&parts.join(", ")) }
}

/// The host's slab memory in proportion: what the kernel can take back, what it cannot.
fn memory(meminfo: Meminfo) -> String {
    let figure = |term: &str, bytes: u64, class: &str| {
        format!("<div class=\"{class}\"><dt>{term}</dt><dd>{}</dd></div>", human::bytes(bytes))
    };
    let available = meminfo.available.map(|bytes| figure("Available", bytes, "")).unwrap_or_default();
    format!(
        "<dl class=\"memory\" aria-label=\"The host's slab memory at the end\">{}{}{}{available}</dl>",
        figure("Slab", meminfo.slab, "whole"),
        figure("of which reclaimable", meminfo.sreclaimable, ""),
        figure("unreclaimable", meminfo.sunreclaim, ""),
    )
}
