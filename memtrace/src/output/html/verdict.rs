//! The verdict: who leaks, the evidence, the doubts, and what helped elsewhere.

use maud::{Markup, html};

use crate::{
    output::{
        model::Sentence,
        phrases::{place, verdict as words},
        render::html::{advice, host},
    },
    text::human,
    view::{KnownIncident, Row, Snapshot, Suspect, Verdict},
};

pub(super) fn section(snapshot: &Snapshot) -> Markup {
    match &snapshot.verdict {
        None => calm(
            "unknown",
            "No verdict",
            "It is too early to tell.",
            "A verdict needs at least five reports of the session. Until then a leak looks like memory in use.",
        ),
        Some(Verdict::Nothing) => calm(
            "clear",
            "Nothing found",
            "Nothing traced grows steadily.",
            "What is outstanding is in use, or was allocated all at once and stays. A slow leak shows only in a longer window.",
        ),
        Some(Verdict::Leak(suspect)) => leak(suspect, snapshot),
    }
}

fn calm(kind: &str, status: &str, claim: &str, meaning: &str) -> Markup {
    html! {
        section #verdict.card.verdict.(kind) aria-labelledby="claim" {
            div.case { p.status { (status) } h2 #claim { (claim) } p { (meaning) } }
        }
    }
}

fn leak(suspect: &Suspect, snapshot: &Snapshot) -> Markup {
    let row = snapshot.rows.iter().find(|row| row.keys == suspect.keys);
    html! {
        section #verdict.card.verdict.leak.alone[suspect.known.is_empty()] aria-labelledby="claim" {
            div.case {
                p.status { "Leak" }
                h2 #claim { (words::headline(suspect)) }
                (figures(suspect, row))
                (evidence(suspect, row))
                (doubts(suspect))
            }
            @if let Some((first, others)) = suspect.known.split_first() { (known(first, others)) }
        }
    }
}

fn figures(suspect: &Suspect, row: Option<&Row>) -> Markup {
    let full_in = suspect.full_in.filter(|time| *time < words::FAR);
    let figures = [
        (Some(format!("+{}/s", human::bytes(suspect.bytes_per_s.max(0.0) as u64))), "steady growth"),
        (Some(human::growth(suspect.slope.per_s)), "objects"),
        (row.map(|row| human::bytes(row.bytes)), "held at the end"),
        (full_in.map(human::duration), "until available memory is used up"),
    ];
    html! {
        dl.figures { @for (value, term) in figures { @if let Some(value) = value { div { dd { (value) } dt { (term) } } } } }
    }
}

fn evidence(suspect: &Suspect, row: Option<&Row>) -> Markup {
    let slope = suspect.slope;
    let [rate, low, high] = [slope.per_s, slope.low, slope.high].map(per_second);
    let negative = suspect.negative.filter(|share| *share > 0.0).map(human::percent);
    html! {
        dl.evidence {
            dt { "Grows" }
            dd { "by " (rate) " objects per second (95% confidence: " (low) " to " (high) ")" }
            @if let Some(row) = row {
                dt { "Keeps" }
                dd { (human::percent(row.survival())) " of what it allocated in the window is still outstanding" }
            }
            @if let Some(share) = suspect.explains {
                dt { "Explains" }
                dd { (human::percent(share)) " of the growth of " (host(suspect.cache.as_bytes())) " by the kernel's own count (slabinfo)" }
            }
            @if let Some(group) = &suspect.place { dt { "Where" } dd { "mostly " (place::of_group(group)) } }
            @if let Some(share) = negative { dt { "What" } dd { (share) " of its dentries are negative: names that do not exist" } }
            dt { "Memory" }
            dd { (words::reclaim(suspect.is_reclaimable)) }
        }
    }
}

/// Exact enough to distinguish the ends of an interval.
fn per_second(rate: f64) -> String {
    let sign = if rate < 0.0 { "-" } else { "" };
    match rate.abs() {
        size if size < 10.0 => format!("{sign}{size:.1}"),
        size => format!("{sign}{}", human::grouped(size.round() as u64)),
    }
}

fn doubts(suspect: &Suspect) -> Markup {
    html! {
        @if suspect.doubts.is_empty() {
            p.doubts.none { "No measurement contradicts this." }
        } @else {
            div.doubts { h3 { "Doubts" } ul { @for doubt in &suspect.doubts { li { (words::doubt(*doubt)) } } } }
        }
    }
}

/// The most similar incident in full, and the others by title.
fn known(known: &KnownIncident, others: &[KnownIncident]) -> Markup {
    let signs = |known: &KnownIncident| Sentence::outside(known.signs.join(", "));
    let steps = [("Now", &known.now), ("For good", &known.for_good), ("Check that it helped", &known.verify)];
    html! {
        aside.known aria-labelledby="known" {
            p.status { "Known incident" }
            h2 #known { (advice(&known.title)) }
            p.signs { "Similar in: " (signs(known)) }
            @for (title, sentences) in steps { @if !sentences.is_empty() { h3 { (title) } ul { @for sentence in sentences { li { (advice(sentence)) } } } } }
            details {
                summary { "Cause and references" }
                p { (advice(&known.cause)) }
                @if !known.references.is_empty() { ul.references { @for url in &known.references { li { (link(url)) } } } }
            }
            @if !others.is_empty() {
                details {
                    summary { "Other similar incidents" }
                    ul { @for other in others { li { (advice(&other.title)) " " small { "similar in: " (signs(other)) } } } }
                }
            }
        }
    }
}

/// Incidents may be the user's own: only a web address becomes a link.
fn link(url: &str) -> Markup {
    let shown = host(url.as_bytes());
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    html! { @if is_web { a href=(shown) rel="noreferrer" { (shown) } } @else { (shown) } }
}
