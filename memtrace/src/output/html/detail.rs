//! What a row unfolds to: all that is known about it.

use maud::{Markup, Render, html};

use crate::{
    attribution::cgroup::Owner,
    output::{
        model::{Cell, Head, Name},
        phrases::{self, place},
        render::html::{host, sentence},
    },
    text::human,
    view::{CacheTotals, CgroupShare, NameGroup, Row, key, series::Line},
};

/// Points of a trend line.
const POINTS: usize = 200;

pub(super) fn of_row(row: &Row, facts: Markup, line: Option<&Line>) -> Markup {
    let started_by = row.started_by.iter().map(|ancestors| {
        let chain = phrases::chain(&ancestors.comms);
        (ancestors.objects, if chain.is_empty() { "(unknown)".into() } else { host(&chain) }.render())
    });
    let cgroups = row.cgroups.iter().map(|share| (share.objects, cgroup(share)));
    let caches = row.caches.iter().map(|cache| {
        (cache.objects, html! { (host(cache.name.as_bytes())) " " (human::bytes(cache.bytes)) })
    });
    let names = row.names.iter().map(|group| (group.objects, name(group, row)));
    let stacks =
        row.stacks.iter().map(|stack| (stack.objects, host(stack.frames.join(" < ").as_bytes()).render()));
    let stacks_title = format!("Call stacks of {} objects", human::grouped(row.stacked_objects));
    html! {
        div.detail-grid {
            (block("Figures", facts))
            (trend(line))
            (shares("Started by", row.objects, started_by))
            (shares("Cgroups", row.objects, cgroups))
            @if row.caches.len() > 1 { (shares("Caches", row.objects, caches)) }
            div.span { (shares("Names", row.placed_objects, names)) }
            div.span { (shares(&stacks_title, row.stacked_objects, stacks)) }
        }
    }
}

pub(super) fn of_cache(cache: &CacheTotals, facts: Markup, line: Option<&Line>) -> Markup {
    let aliases = phrases::merged_with(&cache.aliases, usize::MAX);
    html! {
        div.detail-grid {
            (block("Figures", facts))
            (trend(line))
            @if let Some(aliases) = aliases { (block("Aliases", html! { p { (sentence(&aliases)) } })) }
        }
    }
}

fn block(title: &str, content: impl Render) -> Markup {
    html! { div { h3 { (title) } (content) } }
}

/// All that the row's columns know of it, exactly.
pub(super) fn facts(heads: &[Head], cells: &[Cell]) -> Markup {
    let is_known = |(head, cell): &(&Head, &Cell)| {
        !head.in_detail.is_empty() && **cell != Cell::Unknown && !cell.text().is_empty()
    };
    html! {
        dl {
            @for (head, cell) in heads.iter().zip(cells).filter(is_known) {
                dt { (head.in_detail) }
                dd {
                    @match cell {
                        Cell::Bytes(bytes) if *bytes >= 1024 => { (cell) " (" (human::grouped(*bytes)) ")" },
                        Cell::CountChange(change) => (human::grouped_change(*change)),
                        _ => (cell),
                    }
                }
            }
        }
    }
}

/// Things, each with its share of the whole.
fn shares(title: &str, whole: u64, items: impl ExactSizeIterator<Item = (u64, Markup)>) -> Markup {
    if items.len() == 0 {
        return html! {};
    }
    let share = |objects| human::percent(objects as f64 / whole.max(1) as f64);
    let list = html! {
        ul { @for (objects, item) in items { li.shared { span.num { (share(objects)) } span { (item) } } } }
    };
    block(title, list)
}

fn cgroup(share: &CgroupShare) -> Markup {
    let Some(path) = &share.path else { return host(&key::cgroup(share.id, None)).render() };
    let owner = Owner::from_path(path);
    let container = owner.container.and_then(|_| owner.name());
    html! { (host(path)) @if let Some(container) = container { small { " " (container) } } }
}

fn name(group: &NameGroup, row: &Row) -> Markup {
    let asides = [
        group.filesystem.as_deref().map(|name| host(name).into_owned()),
        Some(&group.example)
            .filter(|example| !example.is_empty() && **example != group.pattern)
            .map(|example| format!("such as {}", host(example))),
    ];
    let asides = asides.into_iter().flatten().collect::<Vec<_>>().join(", ");
    html! { (Name { tail: String::new(), ..place::name(group, row) }) @if !asides.is_empty() { small { "  " (asides) } } }
}

/// How its bytes moved over the window.
fn trend(line: Option<&Line>) -> Markup {
    let Some(Line { bytes, .. }) = line.filter(|line| line.bytes.len() > 1) else { return html! {} };
    let [least, most] = [bytes.iter().min(), bytes.iter().max()].map(|n| n.copied().unwrap_or(0));
    let last = bytes.len() - 1;
    let point = |at: usize| {
        let (x, y) = (at as f64 / last as f64, bytes[at] as f64 / most.max(1) as f64);
        format!("{:.1},{:.1}", x * 400.0, 54.0 - y * 52.0)
    };
    let points = (0..last).step_by(bytes.len().div_ceil(POINTS)).chain([last]).map(point);
    let path = format!("M{}", points.collect::<Vec<_>>().join("L"));
    let drawing = html! {
        svg.trendline viewBox="0 0 400 56" preserveAspectRatio="none" aria-hidden="true" { path d=(path) {} }
        small { "between " (human::bytes(least)) " and " (human::bytes(most)) }
    };
    block("Bytes over the window", drawing)
}
