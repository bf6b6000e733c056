//! The verdict: who leaks, the evidence, the doubts, and what helped elsewhere.

use maud::{Markup, html};

use crate::{
    output::{
        model::Sentence,
        phrases::{place, verdict as words},
        render::html::{advice, host},
    },
    text::human,
    view::{Finding, KnownIncident, Snapshot, Verdict, finding::Kind},
};

pub(super) fn section(snapshot: &Snapshot) -> Markup {
    let Some(verdict) = &snapshot.verdict else {
        let meaning =
            "A verdict needs six seconds of the session. Until then a leak looks like memory in use.";
        return calm("unknown", "No verdict", "It is too early to tell.".into(), meaning);
    };
    if let Some(first) = verdict.first() {
        return accusation(first, verdict);
    }
    let (kind, status, meaning) = match (&verdict.too_few, &verdict.ended) {
        (Some(_), _) => (
            "unknown",
            "Too few to tell",
            "It may be a slow leak, or the beginning of what stays in use. A longer window shows which.",
        ),
        (None, Some(_)) => (
            "unknown",
            "Grew, and stopped",
            "It may be a leak that is over, or a program that now has what it needs. Nobody adds to it.",
        ),
        (None, None) => (
            "clear",
            "Nothing found",
            "What is outstanding is in use, or was allocated all at once and stays. A slow leak shows only in a longer window.",
        ),
    };
    let is_empty = kind == "clear" && verdict.findings.is_empty();
    let claim = if is_empty { "Nothing traced grows steadily.".into() } else { words::claim(verdict) };
    calm(kind, status, claim, meaning)
}

fn calm(kind: &str, status: &str, claim: Sentence, meaning: &str) -> Markup {
    html! {
        section #verdict.card.verdict.(kind) aria-labelledby="claim" {
            div.case { p.status { (status) } h2 #claim { (claim) } p { (meaning) } }
        }
    }
}

fn accusation(finding: &Finding, verdict: &Verdict) -> Markup {
    let status = if finding.kind == Kind::Flood { "Flood" } else { "Leak" };
    html! {
        section #verdict.card.verdict.leak.alone[finding.known.is_empty()] aria-labelledby="claim" {
            div.case {
                p.status { (status) }
                h2 #claim { (words::headline(finding)) }
                (figures(finding))
                (evidence(finding))
                (others("Also", verdict.accused().skip(1)))
                (others("No accusation", verdict.caches()))
                (doubts(finding))
            }
            @if let Some((first, others)) = finding.known.split_first() { (known(first, others)) }
        }
    }
}

fn others<'a>(title: &str, findings: impl Iterator<Item = &'a Finding>) -> Markup {
    let findings: Vec<Sentence> = findings.map(words::accusation).collect();
    html! { @if !findings.is_empty() { div.doubts { h3 { (title) } ul { @for finding in findings { li { (finding) } } } } } }
}

fn figures(finding: &Finding) -> Markup {
    let full_in = finding.full_in.filter(|time| *time < words::FAR);
    let figures = [
        (Some(format!("+{}/s", human::bytes(finding.bytes_per_s.max(0.0) as u64))), "steady growth"),
        (Some(human::growth(finding.slope.per_s)), "objects"),
        (Some(human::grouped(finding.objects)), "held at the end"),
        (full_in.map(human::duration), "until available memory is used up"),
    ];
    html! {
        dl.figures { @for (value, term) in figures { @if let Some(value) = value { div { dd { (value) } dt { (term) } } } } }
    }
}

fn evidence(finding: &Finding) -> Markup {
    let slope = finding.slope;
    let [rate, low, high] = [slope.per_s, slope.low, slope.high].map(per_second);
    let negative = finding.negative.filter(|share| *share > 0.0).map(human::percent);
    html! {
        dl.evidence {
            dt { "Grows" }
            dd { "by " (rate) " objects per second (95% confidence: " (low) " to " (high) ")" }
            dt { "Keeps" }
            dd { (human::percent(finding.kept)) " of what it allocated in this cache is still outstanding" }
            @if let Some(share) = finding.explains {
                dt { "Explains" }
                dd { (human::percent(share)) " of the growth of " (host(finding.cache.as_bytes())) " by the kernel's own count (slabinfo)" }
            }
            @if let Some(group) = &finding.place { dt { "Where" } dd { "mostly " (place::of_group(group)) } }
            @if let Some(kinds) = words::of_many_kinds(finding) { dt { "Which" } dd { (kinds) } }
            @if let Some(share) = negative { dt { "What" } dd { (share) " of its dentries are negative: names that do not exist" } }
            dt { "Memory" }
            dd { (words::reclaim(finding.is_reclaimable)) }
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

fn doubts(finding: &Finding) -> Markup {
    html! {
        @if finding.doubts.is_empty() {
            p.doubts.none { "No measurement contradicts this." }
        } @else {
            div.doubts { h3 { "Doubts" } ul { @for doubt in &finding.doubts { li { (words::doubt(*doubt)) } } } }
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
