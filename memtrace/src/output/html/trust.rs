//! How far the figures can be trusted: the line of the terminal, and what it means in plain words.

use super::markup::{clean, text};
use crate::{
    output::table::{agreement, trust},
    text::human,
    view::{Snapshot, reconcile},
};

/// From there on, slabinfo bears out what was traced.
const GOOD_AGREEMENT: f64 = 0.95;

pub(super) fn section(snapshot: &Snapshot) -> String {
    let problems = trust::problems(&snapshot.trust, snapshot.is_final);
    let line = trust::summary(&snapshot.trust, snapshot.sampling);
    let line = line.strip_prefix("trust: ").unwrap_or(&line);
    let agreement = agreement::words(snapshot).map(|words| format!(" · {words}")).unwrap_or_default();
    let (kind, status) = match () {
        () if !problems.is_empty() => ("limited", "Limited"),
        () if snapshot.trust.emitted == 0 => ("none", "Nothing seen"),
        () => ("good", "Complete"),
    };
    let problems: String =
        problems.iter().map(|problem| format!("<li class=\"problem\">{}</li>", text(problem))).collect();
    let meaning: String = meaning(snapshot).iter().map(|said| format!("<li>{}</li>", text(said))).collect();
    format!(
        "<section id=\"trust\" class=\"trust {kind}\" aria-labelledby=\"trust-title\">\n\
         <h2 id=\"trust-title\">Trust</h2><div><p class=\"line\"><strong>{status}</strong> {}</p>\n\
         <ul class=\"meaning\">{problems}{meaning}</ul></div>\n</section>",
        text(&format!("{line}{agreement}")),
    )
}

/// What is no problem and still worth a sentence.
fn meaning(snapshot: &Snapshot) -> Vec<String> {
    let trust = &snapshot.trust;
    let mut said = Vec::new();
    if trust.emitted > 0 && trust::lost(trust) == 0 {
        said.push("Every event that the probes sent arrived and is counted.".to_owned());
    }
    if trust.unknown_frees > 0 {
        said.push(format!(
            "{} were of objects from before the start: they change nothing here.",
            trust::number(trust.unknown_frees, "free")
        ));
    }
    if reconcile::unexplained(&snapshot.caches).is_none() && trust.slabinfo_agreement >= Some(GOOD_AGREEMENT)
    {
        said.push("By the kernel's own count these caches grew by as much as was traced.".to_owned());
    }
    if snapshot.sampling.is_on() {
        said.push(format!(
            "One object in {} was followed. Counts are scaled, and off by no more than their ± in 95 of 100 cases.",
            snapshot.sampling.period
        ));
    }
    if let Some(settled) = snapshot.settled {
        said.push(format!(
            "At the end, frees were followed for {} more: {} freed late and not counted as outstanding.",
            human::duration(settled.time),
            match settled.freed {
                1 => "1 object was".to_owned(),
                freed => format!("{} objects were", human::grouped(freed)),
            }
        ));
    }
    if trust.emitted == 0 {
        said.push("No event was seen: there is nothing to tell of.".to_owned());
    }
    said
}

/// What is limited, and why; nothing where nothing is.
pub(super) fn notes(title: &str, notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let notes: String = notes.iter().map(|note| format!("<li>{}</li>", clean(note))).collect();
    format!(
        "<section id=\"notes\" aria-labelledby=\"notes-title\">\n<h2 id=\"notes-title\">{title}</h2>\n<ul>{notes}</ul>\n</section>"
    )
}
