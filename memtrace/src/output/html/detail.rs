//! What a row unfolds to: all that is known about it.

use maud::{Markup, Render, html};

use super::markup::{host, hosts, place};
use crate::{
    attribution::cgroup::Owner,
    text::human,
    view::{CacheTotals, CgroupShare, NameGroup, Row, Sampling, key, series::Line},
};

/// Points of a trend line.
const POINTS: usize = 400;

pub(super) fn of_row(row: &Row, sampling: Sampling, line: Option<&Line>) -> Markup {
    let started_by = row.started_by.iter().map(|ancestors| {
        let comms = hosts(ancestors.comms.iter().map(Vec::as_slice), " < ");
        (ancestors.objects, if comms.is_empty() { "(unknown)".to_owned() } else { comms }.render())
    });
    let cgroups = row.cgroups.iter().map(|share| (share.objects, cgroup(share)));
    let caches = row.caches.iter().map(|cache| {
        (cache.objects, html! { (host(cache.name.as_bytes())) " " (human::bytes(cache.bytes)) })
    });
    let names = row.names.iter().map(|group| (group.objects, name(group)));
    let stacks = row
        .stacks
        .iter()
        .map(|stack| (stack.objects, hosts(stack.frames.iter().map(String::as_bytes), " < ").render()));
    let stacks_title = format!("Call stacks of {} objects", human::grouped(row.stacked_objects));
    html! {
        div.detail-grid {
            (block("Figures", figures(row, sampling)))
            (trend(line))
            (shares("Started by", row.objects, started_by))
            (shares("Cgroups", row.objects, cgroups))
            @if row.caches.len() > 1 { (shares("Caches", row.objects, caches)) }
            div.span { (shares("Names", row.named_objects, names)) }
            div.span { (shares(&stacks_title, row.stacked_objects, stacks)) }
        }
    }
}

fn figures(row: &Row, sampling: Sampling) -> Markup {
    let interval = sampling.interval(row.objects);
    let interval =
        interval.map(|n| format!(" ({} to {})", human::grouped(*n.start()), human::grouped(*n.end())));
    let process = row.process.as_ref();
    let known = |text: &Vec<u8>| (!text.is_empty()).then(|| host(text).into_owned());
    let call_site = row.call_site.as_ref();
    facts([
        ("Objects", Some(human::grouped(row.objects) + &interval.unwrap_or_default())),
        ("Bytes", Some(format!("{} ({})", human::bytes(row.bytes), human::grouped(row.bytes)))),
        ("Allocations", Some(format!("{}, {}", human::grouped(row.allocs), human::rate(row.allocs_per_s)))),
        ("Frees", Some(format!("{}, {}", human::grouped(row.frees), human::rate(row.frees_per_s)))),
        ("Growth", Some(human::growth(row.growth_per_s))),
        ("Kept", Some(human::percent(row.survival()))),
        ("Oldest", row.oldest.map(human::duration)),
        ("Processes", Some(human::grouped(row.processes))),
        ("Pid", row.pid.map(|pid| pid.to_string())),
        ("Program", process.and_then(|process| known(&process.program))),
        ("Command line", process.and_then(|process| known(&process.command_line))),
        ("Process", process.filter(|process| process.has_ended).map(|_| "has ended".to_owned())),
        (
            "Call site",
            call_site.map(|site| match &site.symbol {
                Some(symbol) => host(symbol.as_bytes()).into_owned(),
                None => format!("{:#x}", site.address),
            }),
        ),
        (
            "May be free",
            (row.partial_objects > 0)
                .then(|| format!("{}, in partial caches", human::grouped(row.partial_objects))),
        ),
    ])
}

pub(super) fn of_cache(cache: &CacheTotals, line: Option<&Line>) -> Markup {
    let some = |n: u64| (n > 0).then(|| human::grouped(n));
    let change = |n: i64| format!("{}{}", if n < 0 { '-' } else { '+' }, human::grouped(n.unsigned_abs()));
    let figures = facts([
        (
            "Outstanding",
            Some(format!(
                "{}, {}",
                human::grouped(cache.outstanding_objects),
                human::bytes(cache.outstanding_bytes)
            )),
        ),
        ("Allocations", Some(human::grouped(cache.allocs))),
        ("Frees", Some(human::grouped(cache.frees))),
        ("Object size", Some(human::bytes(cache.object_size))),
        ("In slabinfo", cache.slabinfo_objects.map(human::grouped)),
        ("Growth in slabinfo", cache.slabinfo_objects_per_s.map(human::growth)),
        ("Change in slabinfo", cache.growth.map(|growth| change(growth.slabinfo))),
        ("Change traced", cache.growth.map(|growth| change(growth.traced))),
        ("Lost allocations", some(cache.lost_allocs)),
        ("Lost frees", some(cache.lost_frees)),
        ("Unseen frees", cache.partial.map(|partial| human::about(partial.unseen_frees_share))),
        ("Memory", cache.reclaimable.map(|is| if is { "reclaimable" } else { "unreclaimable" }.to_owned())),
    ]);
    let aliases = hosts(cache.aliases.iter().map(String::as_bytes), ", ");
    html! {
        div.detail-grid {
            (block("Figures", figures))
            (trend(line))
            @if !aliases.is_empty() {
                (block("Merged by the kernel with", html! { p { (aliases) ": their objects cannot be told apart." } }))
            }
        }
    }
}

fn block(title: &str, content: impl Render) -> Markup {
    html! { div { h3 { (title) } (content) } }
}

fn facts<const N: usize>(facts: [(&str, Option<String>); N]) -> Markup {
    html! { dl { @for (term, value) in facts { @if let Some(value) = value { dt { (term) } dd { (value) } } } } }
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
    let owner = Owner::of(path);
    let container = owner.container.and_then(|_| owner.name());
    html! { (host(path)) @if let Some(container) = container { small { " " (container) } } }
}

fn name(group: &NameGroup) -> Markup {
    let negative = group.negatives.filter(|dentries| dentries.negative > 0);
    let asides = [
        negative.map(|dentries| format!("negative {}", human::percent(dentries.share()))),
        group.filesystem.as_deref().map(|name| host(name).into_owned()),
        Some(&group.example)
            .filter(|example| !example.is_empty() && **example != group.pattern)
            .map(|example| format!("such as {}", host(example))),
    ];
    let asides = asides.into_iter().flatten().collect::<Vec<_>>().join(", ");
    html! { (place(group)) @if !asides.is_empty() { small { "  " (asides) } } }
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
