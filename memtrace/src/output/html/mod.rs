//! A report, or a difference, as one HTML page that stands alone: for a ticket, and for readers without memtrace or the host.
//!
//! What matters is plain HTML: verdict, trust, tables, directories, ages. The page's own script draws the growth and the call
//! stacks from JSON in the page, and makes tables sort, filter and unfold. The page fetches nothing: its policy allows only the
//! style and the script whose digests it names. Text from the host is escaped as for a terminal, then for HTML by `maud`; the
//! script only ever sets it as text.

mod already;
mod data;
mod detail;
mod difference;
mod guide;
mod masthead;
mod tables;
mod trust;
mod verdict;

#[cfg(test)]
mod tests;

use std::io;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

pub use self::difference::difference;
use crate::{
    output::render::html::host,
    view::{Snapshot, profile::Profile, series::Series},
};

const STYLE: &str = include_str!("page.css");
/// One program in several files, in a scope of its own.
const SCRIPT: &str = concat!(
    "(() => {\n'use strict';\ndocument.documentElement.classList.add('js');\n",
    include_str!("figures.js"),
    include_str!("table.js"),
    include_str!("chart.js"),
    include_str!("flame.js"),
    include_str!("page.js"),
    "})();\n"
);

/// What a report's page shows besides its snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// The recording's file name.
    pub file: &'a [u8],
    pub series: &'a Series,
    pub profile: &'a Profile,
}

/// The page of a report that was made from a recording.
pub fn report(snapshot: &Snapshot, recorded: Recorded<'_>) -> io::Result<String> {
    let body = html! {
        a.skip href="#verdict" { "Skip to the verdict" }
        header.masthead {
            (masthead::of_report(snapshot, recorded.file))
            (contents())
        }
        main {
            (verdict::section(snapshot))
            (trust::section(snapshot))
            (growth())
            (tables::rows(snapshot, &recorded.series.rows))
            (tables::caches(snapshot, &recorded.series.caches))
            (tables::directories(snapshot))
            (already::section(snapshot))
            (stacks("Call stacks", "The calls that led to what is outstanding. Callers are above what they call."))
            (tables::ages(&snapshot.ages))
            (trust::notes("Notes", &snapshot.notes))
            (without_script("The growth chart and the call stacks need"))
            (guide::section())
        }
        (tip())
        (data::script("series-json", &data::of_series(recorded.series))?)
        (data::script("profile-json", &data::of_profile(recorded.profile))?)
    };
    Ok(page(&format!("{} – memtrace report", host(snapshot.host.as_bytes())), &body))
}

/// A whole page with this body. Only its own style and script may run.
fn page(title: &str, body: &Markup) -> String {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// As a Content-Security-Policy names what may run: `sha256-...`.
fn source(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// The script lists the page's sections here.
fn contents() -> Markup {
    html! { nav #contents aria-label="On this page" hidden {} }
}

/// A section of the page, listed by its title.
fn section(id: &str, title: &str, body: &Markup) -> Markup {
    let title_id = format!("{id}-title");
    html! {
        section id=(id) aria-labelledby=(title_id) {
            h2 id=(title_id) { (title) }
            (body)
        }
    }
}

/// A section with a sentence about what it shows.
fn explained(id: &str, title: &str, lede: &str, shown: &Markup) -> Markup {
    section(id, title, &html! { p.lede { (lede) } (shown) })
}

/// Drawn by `chart.js`.
fn growth() -> Markup {
    html! {
        section #growth aria-labelledby="growth-title" hidden {
            div.bar-of-section {
                h2 #growth-title { "Growth" }
                div.controls {
                    (choice("Lines", "data-lines", &[("caches", "Caches"), ("rows", "Rows")]))
                    (choice("Unit", "data-unit", UNITS))
                    button.reset type="button" hidden { "Show all" }
                }
            }
            p.lede { "Outstanding over time. Drag to zoom; double-click or press " kbd { "Esc" } " to show all." }
            div.chart-with-legend {
                div.chart tabindex="0" role="group" aria-roledescription="chart" aria-label="Growth over time" {}
                div.legend {
                    p.moment aria-live="polite" {}
                    ul {}
                }
            }
        }
    }
}

/// Drawn by `flame.js`.
fn stacks(title: &str, lede: &str) -> Markup {
    html! {
        section #stacks aria-labelledby="stacks-title" hidden {
            div.bar-of-section {
                h2 #stacks-title { (title) }
                div.controls {
                    (choice("Unit", "data-unit", UNITS))
                    input type="search" placeholder="Find a function" aria-label="Find a function" autocomplete="off" spellcheck="false";
                }
            }
            p.lede { (lede) " " span.period {} }
            nav.crumbs aria-label="Zoomed into" {}
            div.flame role="tree" aria-label="Call stacks" {}
            p.key-of-shades {
                span.shade.process { "process" }
                span.shade.user { "program" }
                span.shade.kernel { "kernel" }
                span.found aria-live="polite" {}
            }
        }
    }
}

const UNITS: &[(&str, &str)] = &[("bytes", "Bytes"), ("objects", "Objects")];

/// Buttons, one of which is pressed.
fn choice(label: &str, attribute: &str, options: &[(&str, &str)]) -> Markup {
    let buttons = options.iter().map(|(value, title)| {
        PreEscaped(format!("<button type=\"button\" {attribute}=\"{value}\">{title}</button>"))
    });
    html! { div.choice role="group" aria-label=(label) { @for button in buttons { (button) } } }
}

fn without_script(what: &str) -> Markup {
    html! { noscript { p.empty { (what) " this page's script, which does not run here. Everything else is complete." } } }
}

fn tip() -> Markup {
    html! { div.tip role="status" hidden {} }
}
