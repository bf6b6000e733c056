//! How far the figures can be trusted: the terminal's line, and what it means.

use maud::{Markup, html};

use super::section as section_of;
use crate::{
    output::{model::Sentence, phrases::trust, render::html::host},
    text::human,
    view::{Snapshot, reconcile},
};

/// From there on, slabinfo confirms what was traced.
const GOOD_AGREEMENT: f64 = 0.95;

pub(super) fn section(snapshot: &Snapshot) -> Markup {
    let problems = trust::problems(&snapshot.trust, snapshot.is_final);
    let (kind, status) = match () {
        () if !problems.is_empty() => ("limited", "Limited"),
        () if snapshot.trust.emitted == 0 => ("none", "Nothing seen"),
        () => ("good", "Complete"),
    };
    html! {
        section #trust.trust.(kind) aria-labelledby="trust-title" {
            h2 #trust-title { "Trust" }
            div {
                p.line { strong { (status) } " " (Sentence::from(trust::summary(snapshot))) }
                ul.meaning {
                    @for problem in problems { li.problem { (problem) } }
                    @for sentence in meaning(snapshot) { li { (sentence) } }
                }
            }
        }
    }
}

/// What is no problem, but worth a sentence.
fn meaning(snapshot: &Snapshot) -> Vec<String> {
    let trust = &snapshot.trust;
    let agrees = reconcile::unexplained(&snapshot.caches).is_none()
        && trust.slabinfo_agreement >= Some(GOOD_AGREEMENT);
    [
        (trust.emitted == 0).then(|| "No event was seen, so there is nothing to report.".to_owned()),
        (trust.emitted > 0 && trust.lost() == 0)
            .then(|| "Every event that the probes sent has arrived and is counted.".to_owned()),
        (trust.unknown_frees > 0).then(|| {
            let frees = human::number(trust.unknown_frees, "free");
            format!("{frees} concerned objects from before the start, which are not counted here.")
        }),
        agrees.then(|| "By the kernel's own count these caches grew by as much as was traced.".to_owned()),
        snapshot.sampling.is_on().then(|| {
            let period = snapshot.sampling.period;
            format!("One object in {period} was followed. Counts are scaled up; ± is the 95% confidence interval.")
        }),
        snapshot.settled.map(|settled| {
            let (time, freed) = (human::duration(settled.time), human::number(settled.freed, "object"));
            format!("Frees were followed for {time} after the end: {freed} freed late, not counted as outstanding.")
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is limited, and why; nothing where nothing is.
pub(super) fn notes(title: &str, notes: &[String]) -> Markup {
    if notes.is_empty() {
        return html! {};
    }
    section_of("notes", title, &html! { ul { @for note in notes { li { (host(note.as_bytes())) } } } })
}
