//! What changed between two reports, as a page: what was added first, then what led to it.

use std::io;

use maud::{Markup, html};

use super::{
    contents, data, explained, masthead::fact, page, section, stacks, tables::CACHES, tip, trust,
    without_script,
};
use crate::{
    output::{
        phrases::{self, verdict},
        render::html::{Layout, host, sentence, table},
        tables,
    },
    text::{human, time::rfc3339_seconds},
    view::{Difference, Sort, diff::Side, profile::Profile},
};

/// The whole page. `added` is of what is outstanding after and was not before.
pub fn difference(difference: &Difference, added: &Profile) -> io::Result<String> {
    let body = html! {
        a.skip href="#rows" { "Skip to what changed" }
        header.masthead {
            (masthead(difference))
            (contents())
        }
        main {
            (trust::notes("Limits of this comparison", &difference.notes))
            (rows(difference))
            (caches(difference))
            (stacks("Calls that led to what was added", "What is outstanding after and was not before. Callers are above what they call. What went away is not shown."))
            (without_script("The call stacks need"))
        }
        (tip())
        (data::script("profile-json", &data::of_profile(added))?)
    };
    Ok(page(&format!("{} – memtrace diff", host(difference.after.host.as_bytes())), &body))
}

fn masthead(difference: &Difference) -> Markup {
    let Difference { before, after, total, .. } = difference;
    html! {
        p.eyebrow { "memtrace diff" }
        h1 {
            @if before.host != after.host { (host(before.host.as_bytes())) " → " }
            (host(after.host.as_bytes()))
        }
        dl.facts.sides {
            (fact("Change", phrases::change(total)))
            (side("Before", before, total.before.bytes))
            (side("After", after, total.after.bytes))
        }
    }
}

/// One of the reports, with its verdict.
fn side(name: &str, side: &Side, bytes: u64) -> Markup {
    let about = html! {
        (host(&side.label)) " "
        small {
            (human::bytes(bytes)) " outstanding after " (human::duration(side.elapsed)) ", " (rfc3339_seconds(side.time)) ", "
            (host(side.kernel.as_bytes()))
        }
        p { @match &side.verdict { Some(known) => (verdict::claim(known)), None => (phrases::NO_VERDICT) } }
    };
    fact(name, about)
}

fn rows(difference: &Difference) -> Markup {
    const TITLE: &str = "Who holds more, and who less";
    let rows = tables::difference::rows(difference);
    if rows.is_empty() {
        return section("rows", TITLE, &html! { p.empty { (sentence(&phrases::no_changes(difference))) } });
    }
    let sorted = match difference.sort {
        Sort::Objects => "objects",
        Sort::Growth => "growth_per_s_after",
        Sort::Bytes | Sort::Age => "bytes",
    };
    let order = phrases::order_of_changes(difference.sort);
    let body = html! {
        p.lede {
            "Outstanding objects by " (phrases::keys(&difference.by)) ", " (order) "."
            @if difference.unchanged > 0 { " Unchanged: " (human::number(difference.unchanged, "row")) "." }
        }
        (table(&rows, &Layout { class: "data", sorted, ..Layout::default() }))
    };
    section("rows", TITLE, &body)
}

fn caches(difference: &Difference) -> Markup {
    if difference.caches.is_empty() {
        return html! {};
    }
    let caches = tables::difference::caches(difference, usize::MAX);
    let table = table(&caches, &Layout { class: "data", sorted: "bytes", ..Layout::default() });
    explained("caches", "Slab caches", CACHES, &table)
}
