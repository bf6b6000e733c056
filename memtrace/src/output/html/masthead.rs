//! What the page is about: the host and its kernel, the window, the source of the figures.

use maud::{Markup, Render, html};

use crate::{
    output::{phrases, render::html::host},
    procfs::meminfo::SlabMemory,
    text::{human, time::rfc3339},
    view::{OwnCost, Snapshot},
};

pub(super) fn of_report(snapshot: &Snapshot, file: &[u8]) -> Markup {
    html! {
        p.eyebrow {
            "memtrace report"
            @if !snapshot.is_final { span.tag { "the session was still running" } }
        }
        h1 { (host(snapshot.host.as_bytes())) }
        dl.facts {
            (fact("Kernel", host(snapshot.kernel.as_bytes())))
            (fact("Window", window(snapshot)))
            (fact("Source", host(file)))
            (fact("Traced", traced(snapshot)))
            @if !snapshot.filter.is_empty() {
                (fact("Filter", html! { (host(snapshot.filter.as_bytes())) " " small { "all else is left out" } }))
            }
            @if let Some(age) = snapshot.older { (fact("Only objects older than", human::duration(age))) }
            (fact("Cost of memtrace", own_cost(&snapshot.own_cost)))
        }
        @if let Some(meminfo) = snapshot.meminfo { (memory(meminfo)) }
    }
}

pub(super) fn fact(term: &str, value: impl Render) -> Markup {
    html! { div { dt { (term) } dd { (value) } } }
}

/// `2026-11-25 03:12:04 to 03:22:04 UTC, 10 m 0 s`; the date once where it is the same.
fn window(snapshot: &Snapshot) -> Markup {
    // `2026-11-25T03:12:04` and the rest.
    let utc = |time| rfc3339(time)[..19].replace('T', " ");
    let [from, to] = [snapshot.start(), snapshot.end()].map(utc);
    let (date, _) = from.split_once(' ').unwrap_or_default();
    let to = to.strip_prefix(date).map_or(to.as_str(), str::trim_start);
    html! { (from) " to " (to) " UTC " small { (human::duration(snapshot.elapsed)) } }
}

fn traced(snapshot: &Snapshot) -> Markup {
    html! {
        @match snapshot.caches.as_slice() {
            [] => "no cache saw an event",
            [cache] => (host(cache.name.as_bytes())),
            caches => { (caches.len()) " slab caches" },
        }
        @if snapshot.sampling.is_on() { ", one object in " (snapshot.sampling.period) }
        " " small { "rows by " (phrases::keys(&snapshot.by)) }
    }
}

fn own_cost(cost: &OwnCost) -> String {
    let figures: Vec<String> = phrases::own_cost(cost).into_iter().map(|(_, text)| text).collect();
    if figures.is_empty() { "unknown".to_owned() } else { figures.join(", ") }
}

/// The host's slab memory: what the kernel can reclaim, and what it cannot.
fn memory(meminfo: SlabMemory) -> Markup {
    let figures = [
        ("Slab", Some(meminfo.slab)),
        ("of which reclaimable", Some(meminfo.sreclaimable)),
        ("unreclaimable", Some(meminfo.sunreclaim)),
        ("Available", meminfo.available),
    ];
    let figures = figures.into_iter().filter_map(|(term, bytes)| Some(fact(term, human::bytes(bytes?))));
    html! { dl.memory aria-label="The host's slab memory at the end" { @for figure in figures { (figure) } } }
}
