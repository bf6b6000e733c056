//! The verdict: who leaks, what that rests on, what speaks against it, and what helped elsewhere.

use std::time::Duration;

use super::markup::{clean, host, list, place, prose, text};
use crate::{
    output::table::verdict as words,
    text::human,
    view::{Known, Row, Snapshot, Suspect, Verdict},
};

pub(super) fn section(snapshot: &Snapshot) -> String {
    match &snapshot.verdict {
        None => calm(
            "unknown",
            "No verdict",
            "It is too early to tell.",
            "A verdict needs at least five reports of the session: only then a leak can be told from memory that is just being used.",
        ),
        Some(Verdict::Nothing) => calm(
            "clear",
            "Nothing found",
            "Nothing that is traced grows steadily.",
            "What is outstanding is in use, or came at once and stays. A slow leak needs a longer window to show.",
        ),
        Some(Verdict::Leak(suspect)) => leak(suspect, snapshot),
    }
}

fn calm(kind: &str, status: &str, claim: &str, sentence: &str) -> String {
    format!(
        "<section id=\"verdict\" class=\"card verdict {kind}\" aria-labelledby=\"claim\">\n\
         <div class=\"case\"><p class=\"status\">{status}</p><h2 id=\"claim\">{claim}</h2><p>{sentence}</p></div>\n</section>"
    )
}

fn leak(suspect: &Suspect, snapshot: &Snapshot) -> String {
    let row = snapshot.rows.iter().find(|row| row.keys == suspect.keys);
    let mostly = if suspect.share_of_cache > 0.9 { "" } else { "mostly " };
    let remedy = suspect.known.split_first().map(|(first, others)| known(first, others)).unwrap_or_default();
    let alone = if remedy.is_empty() { " alone" } else { "" };
    format!(
        "<section id=\"verdict\" class=\"card verdict leak{alone}\" aria-labelledby=\"claim\">\n<div class=\"case\">\
         <p class=\"status\">Leak</p><h2 id=\"claim\"><code>{}</code> leaks {mostly}<code>{}</code></h2>\n{}{}{}{}</div>\n{remedy}</section>",
        who(suspect),
        clean(&suspect.cache),
        chain(suspect),
        figures(suspect, row),
        evidence(suspect, row),
        doubts(suspect),
    )
}

fn who(suspect: &Suspect) -> String {
    match &suspect.comm {
        Some(comm) => host(comm),
        None => suspect.keys.iter().map(|key| host(key)).collect::<Vec<_>>().join(", "),
    }
}

/// Who started it, nearest first, and how many processes it were.
fn chain(suspect: &Suspect) -> String {
    let started: Vec<String> =
        suspect.started_by.iter().map(|comm| format!("<code>{}</code>", host(comm))).collect();
    let started = if started.is_empty() {
        String::new()
    } else {
        format!("started by {}", started.join(", started by "))
    };
    let processes = match suspect.processes {
        0 | 1 => String::new(),
        processes => format!("{} processes", human::grouped(processes)),
    };
    let parts: Vec<String> = [processes, started].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return String::new();
    }
    format!("<p class=\"chain\">{}</p>\n", parts.join(", "))
}

fn figures(suspect: &Suspect, row: Option<&Row>) -> String {
    let figure = |value: String, term: &str| format!("<div><dd>{}</dd><dt>{term}</dt></div>", text(&value));
    let growth = format!("+{}/s", human::bytes(suspect.bytes_per_s.max(0.0) as u64));
    let tiles = [
        Some(figure(growth, "growth, steadily")),
        Some(figure(human::growth(suspect.slope.per_s), "objects")),
        row.map(|row| figure(human::bytes(row.bytes), "held by it at the end")),
        full_in(suspect).map(|time| figure(human::duration(time), "until available memory is used up")),
    ];
    format!("<dl class=\"figures\">{}</dl>\n", tiles.into_iter().flatten().collect::<String>())
}

/// None where it is too far away to matter.
fn full_in(suspect: &Suspect) -> Option<Duration> {
    suspect.full_in.filter(|time| *time < words::FAR)
}

fn evidence(suspect: &Suspect, row: Option<&Row>) -> String {
    let cache = clean(&suspect.cache);
    let slope = suspect.slope;
    let item = |term: &str, said: String| format!("<dt>{term}</dt><dd>{said}</dd>\n");
    let steady = format!(
        "by {} objects a second, with 95% certainty between {} and {}",
        per_second(slope.per_s),
        per_second(slope.low),
        per_second(slope.high)
    );
    let kept = row.map(|row| {
        let kept = text(&human::percent(row.survival()));
        item("Keeps", format!("{kept} of what it allocated in the window is still there"))
    });
    let explains = suspect.explains.map(|share| {
        let share = text(&human::percent(share));
        item("Explains", format!("{share} of what {cache} grew by, as the kernel counts it (slabinfo)"))
    });
    let where_ = suspect.place.as_ref().map(|group| item("Where", format!("mostly {}", place(group))));
    let negative = suspect.negative.filter(|share| *share > 0.0).map(|share| {
        let share = text(&human::percent(share));
        item("What", format!("{share} of its dentries are negative: names that do not exist"))
    });
    let memory = Some(item("Memory", text(words::reclaim(suspect.is_reclaimable))));
    let items = [Some(item("Grows", steady)), kept, explains, where_, negative, memory];
    format!("<dl class=\"evidence\">\n{}</dl>\n", items.into_iter().flatten().collect::<String>())
}

/// Exact enough to tell the ends of an interval apart.
fn per_second(rate: f64) -> String {
    let sign = if rate < 0.0 { "-" } else { "" };
    match rate.abs() {
        size if size < 10.0 => format!("{sign}{size:.1}"),
        size => format!("{sign}{}", human::grouped(size.round() as u64)),
    }
}

fn doubts(suspect: &Suspect) -> String {
    let doubts: String =
        suspect.doubts.iter().map(|doubt| format!("<li>{}</li>", text(&words::words(*doubt)))).collect();
    if doubts.is_empty() {
        return "<p class=\"doubts none\">Nothing that was measured speaks against it.</p>".to_owned();
    }
    format!("<div class=\"doubts\"><h3>What speaks against it</h3><ul>{doubts}</ul></div>\n")
}

/// The incident that is most alike, in full, and the others by name.
fn known(known: &Known, others: &[Known]) -> String {
    let signs = clean(&known.signs.join(", "));
    let steps = |title: &str, tag: &str, sentences: &[String]| match list(tag, sentences) {
        list if list.is_empty() => list,
        list => format!("<h3>{title}</h3>{list}\n"),
    };
    let references: String = known.references.iter().map(|url| format!("<li>{}</li>", link(url))).collect();
    let references = if references.is_empty() {
        references
    } else {
        format!("<ul class=\"references\">{references}</ul>")
    };
    let others: String = others
        .iter()
        .map(|other| {
            format!(
                "<li>{} <small>by its {}</small></li>",
                prose(&other.title),
                clean(&other.signs.join(", "))
            )
        })
        .collect();
    let others = if others.is_empty() {
        others
    } else {
        format!("<details><summary>Also similar</summary><ul>{others}</ul></details>")
    };
    format!(
        "<aside class=\"known\" aria-labelledby=\"known\">\n<p class=\"status\">Known incident</p><h2 id=\"known\">{}</h2>\n\
         <p class=\"signs\">Alike by its {signs}</p>\n{}{}{}<details><summary>Cause and references</summary><p>{}</p>{references}</details>{others}</aside>\n",
        prose(&known.title),
        steps("Now", "ul", &known.now),
        steps("For good", "ul", &known.for_good),
        steps("Check that it helped", "ul", &known.verify),
        prose(&known.cause),
    )
}

/// Incidents may be the user's own: only what is an address of the web is a link.
fn link(url: &str) -> String {
    let shown = clean(url);
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if is_web { format!("<a href=\"{shown}\" rel=\"noreferrer\">{shown}</a>") } else { shown }
}
