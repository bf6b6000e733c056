//! How to read the page, for first-time readers.

use maud::{Markup, html};

/// A term and its meaning, a line each.
const TERMS: &str = include_str!("terms.txt");

pub(super) fn section() -> Markup {
    html! {
        section #guide aria-labelledby="guide-title" {
            details {
                summary { h2 #guide-title { "How to read this" } }
                dl.terms { @for (term, meaning) in TERMS.lines().filter_map(|line| line.split_once(": ")) { dt { (term) } dd { (meaning) } } }
                p {
                    "Keys: in the chart, the arrow keys move the cursor, " kbd { "+" } " and " kbd { "-" } " zoom, " kbd { "Esc" } " shows all. "
                    "In the call stacks, the arrow keys move, " kbd { "Enter" } " zooms in, " kbd { "Esc" } " zooms out."
                }
            }
        }
        footer { p { "memtrace " (env!("CARGO_PKG_VERSION")) ". This page loads nothing and sends nothing." } }
    }
}
