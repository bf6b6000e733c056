//! What a row unfolds to: all that is known about it.

use maud::{Markup, Render, html};

use crate::{
    attribution::cgroup::Owner,
    output::{
        model::{Cell, Name},
        phrases::{self, place},
        render::html::{host, sentence},
    },
    text::human,
    view::{CacheTotals, CgroupShare, NameGroup, Row, Sampling, key, series::Line},
};

/// Points of a trend line.
const POINTS: usize = 200;

pub(super) fn of_row(row: &Row, sampling: Sampling, line: Option<&Line>) -> Markup {
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
    let known = |text: &Vec<u8>| if text.is_empty() { Cell::Blank } else { Cell::name(&**text) };
    let count_and_rate = |n, per_s| Cell::words(format!("{}, {}", human::grouped(n), human::rate(per_s)));
    facts([
        ("Objects", Cell::words(human::grouped(row.objects) + &interval.unwrap_or_default())),
        ("Bytes", Cell::words(format!("{} ({})", human::bytes(row.bytes), human::grouped(row.bytes)))),
        ("Allocations", count_and_rate(row.allocs, row.allocs_per_s)),
        ("Frees", count_and_rate(row.frees, row.frees_per_s)),
        ("Growth", Cell::Growth(row.growth_per_s)),
        ("Kept", Cell::Share(row.survival())),
        ("Oldest", Cell::some(row.oldest, Cell::Duration)),
        ("Processes", Cell::Count(row.processes)),
        ("Pid", Cell::some(row.pid, |pid| Cell::Number(pid.into()))),
        ("Program", Cell::some(process, |process| known(&process.program))),
        ("Command line", Cell::some(process, |process| known(&process.command_line))),
        ("Process", Cell::some(process.filter(|process| process.has_ended), |_| Cell::words("has ended"))),
        (
            "Call site",
            Cell::some(row.call_site.as_ref(), |site| {
                Cell::name(site.symbol.clone().unwrap_or_else(|| format!("{:#x}", site.address)))
            }),
        ),
        (
            "May be free",
            Cell::some(Some(row.partial_objects).filter(|n| *n > 0), |n| {
                Cell::words(format!("{}, in partial caches", human::grouped(n)))
            }),
        ),
    ])
}

pub(super) fn of_cache(cache: &CacheTotals, line: Option<&Line>) -> Markup {
    let some = |n: u64| Cell::some(Some(n).filter(|n| *n > 0), Cell::Count);
    let change = |n: i64| Cell::words(human::grouped_change(n));
    let outstanding =
        format!("{}, {}", human::grouped(cache.outstanding_objects), human::bytes(cache.outstanding_bytes));
    let unseen = cache.partial.map(|partial| human::about(partial.unseen_frees_share));
    let figures = facts([
        ("Outstanding", Cell::words(outstanding)),
        ("Allocations", Cell::Count(cache.allocs)),
        ("Frees", Cell::Count(cache.frees)),
        ("Object size", Cell::Bytes(cache.object_size)),
        ("In slabinfo", Cell::some(cache.slabinfo_objects, Cell::Count)),
        ("Growth in slabinfo", Cell::some(cache.slabinfo_objects_per_s, Cell::Growth)),
        ("Change in slabinfo", Cell::some(cache.growth, |growth| change(growth.slabinfo))),
        ("Change traced", Cell::some(cache.growth, |growth| change(growth.traced))),
        ("Lost allocations", some(cache.lost_allocs)),
        ("Lost frees", some(cache.lost_frees)),
        ("Unseen frees", Cell::some(unseen, Cell::words)),
        ("Memory", Cell::some(cache.reclaimable, |is| Cell::words(phrases::reclaimable(Some(is))))),
    ]);
    let aliases = phrases::merged_with(&cache.aliases, usize::MAX);
    html! {
        div.detail-grid {
            (block("Figures", figures))
            (trend(line))
            @if let Some(aliases) = aliases { (block("Aliases", html! { p { (sentence(&aliases)) } })) }
        }
    }
}

fn block(title: &str, content: impl Render) -> Markup {
    html! { div { h3 { (title) } (content) } }
}

fn facts<const N: usize>(facts: [(&str, Cell); N]) -> Markup {
    html! { dl { @for (term, value) in facts { @if value != Cell::Blank { dt { (term) } dd { (value) } } } } }
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
