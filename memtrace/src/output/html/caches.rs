//! The slab caches: what this session saw of them, and what the kernel says.

use maud::{Markup, PreEscaped};

use super::detail;
use super::rows::{Kind, head};
use super::strings::{bar, clean, finite, number, objects, text};
use crate::{
    output::table::partial,
    text::human,
    view::{CacheTotals, Sampling, Snapshot, series},
};

pub(super) fn section(snapshot: &Snapshot, lines: &[series::Line]) -> Markup {
    let title = "<h2 id=\"caches-title\">Slab caches</h2>";
    if snapshot.caches.is_empty() {
        return PreEscaped(format!(
            "<section id=\"caches\" aria-labelledby=\"caches-title\">\n{title}\n<p class=\"empty\">No traced cache saw an event.</p>\n</section>"
        ));
    }
    let heads: String = [
        ("Cache", Kind::Text, "key"),
        ("Outstanding", Kind::Number, "objects"),
        ("Bytes", Kind::Number, "bytes"),
        ("", Kind::Number, "share wider"),
        ("Allocs", Kind::Number, "wider"),
        ("Frees", Kind::Number, "wider"),
        ("Object", Kind::Number, "wider"),
        ("In slabinfo", Kind::Number, "wide"),
        ("Its growth", Kind::Number, "wide"),
        ("Memory", Kind::Text, "broad"),
        ("Seen", Kind::Text, "wide"),
    ]
    .map(|(title, kind, class)| head(title, kind, class))
    .concat();
    let most = snapshot.caches.iter().map(|cache| cache.outstanding_bytes).max().unwrap_or(0);
    let body: String = snapshot
        .caches
        .iter()
        .enumerate()
        .map(|(at, cache)| {
            let series = lines.iter().find(|line| line.name == cache.name.as_bytes());
            let detail = detail::of_cache(cache, series).into_string();
            line(at, cache, snapshot.sampling, most)
                + &format!("<tr class=\"detail\" hidden><td colspan=\"11\">{detail}</td></tr>")
        })
        .collect();
    PreEscaped(format!(
        "<section id=\"caches\" aria-labelledby=\"caches-title\">\n{title}\n<p class=\"lede\">What was traced of each, beside the kernel's own count.</p>\n\
         <div class=\"scroll\"><table class=\"data\" id=\"caches-table\" data-limit=\"20\" data-what=\"caches\" data-sorted=\"bytes\"><thead><tr>{heads}</tr></thead>\n\
         <tbody>{body}</tbody></table></div>\n</section>"
    ))
}

fn line(at: usize, cache: &CacheTotals, sampling: Sampling, most: u64) -> String {
    let merged = match cache.aliases.len() {
        0 => String::new(),
        others => format!(" <small>+{others} merged</small>"),
    };
    let missing = || "–".to_owned();
    let slabinfo = cache.slabinfo_objects.map_or_else(missing, human::grouped);
    let growth = cache.slabinfo_objects_per_s.map_or_else(missing, human::growth);
    let memory = match cache.reclaimable {
        Some(true) => "reclaimable",
        Some(false) => "unreclaimable",
        None => "–",
    };
    let seen = match cache.partial {
        Some(_) => text(&partial::of_cache(cache)),
        None => "all".to_owned(),
    };
    let cells = [
        format!("<th scope=\"row\" class=\"key\">{}{merged}</th>", clean(&cache.name)),
        number(cache.outstanding_objects, &objects(cache.outstanding_objects, sampling), "objects"),
        number(cache.outstanding_bytes, &human::bytes(cache.outstanding_bytes), "bytes"),
        number(
            cache.outstanding_bytes,
            &bar(cache.outstanding_bytes as f64 / most.max(1) as f64, "held"),
            "share wider",
        ),
        number(cache.allocs, &human::grouped(cache.allocs), "wider"),
        number(cache.frees, &human::grouped(cache.frees), "wider"),
        number(cache.object_size, &human::bytes(cache.object_size), "wider"),
        number(cache.slabinfo_objects.unwrap_or(0), &slabinfo, "wide"),
        number(finite(cache.slabinfo_objects_per_s.unwrap_or(0.0)), &text(&growth), "wide"),
        format!("<td class=\"broad\">{memory}</td>"),
        format!("<td class=\"wide\">{seen}</td>"),
    ];
    format!("<tr data-cache=\"{at}\">{}</tr>", cells.concat())
}
