//! How to read the page, for first-time readers.

use maud::{Markup, html};

const TERMS: [(&str, &str); 12] = [
    (
        "Slab",
        "Memory that the kernel keeps for its own small objects (names of files, open files, sockets), in one cache per kind. It belongs to no process, so process lists do not show it.",
    ),
    (
        "Outstanding",
        "Allocated in the window and not freed in it. Objects from before the window are not counted here, only in slabinfo's figures.",
    ),
    ("Growth", "Allocations minus frees per second, over the window."),
    (
        "Trend",
        "grows: it rises in the second half of the window as in the first. flat: it rose, then stopped. burst: it rose all at once. churns: it keeps little of what it allocates. steady: none of these.",
    ),
    (
        "Kept",
        "The share of a row's allocations that is still outstanding. A leak keeps them, churn does not.",
    ),
    ("Procs", "How many processes allocated the row's objects. Processes that have ended count too."),
    (
        "Where",
        "The directory and the pattern that most names share, with digits and ids written as <n>. ~ marks an estimate from a sample.",
    ),
    (
        "Negative",
        "A dentry that records that a name does not exist. Looking up millions of missing names fills memory with them.",
    ),
    (
        "Reclaimable",
        "Memory that the kernel can take back when it runs short. Allocations may stall meanwhile, and the memory counts towards a cgroup's limit all the same.",
    ),
    ("slabinfo", "The kernel's own counts, with which the figures here are compared."),
    (
        "Partial",
        "Some frees in this cache cannot be traced. Its objects may be free although they look outstanding.",
    ),
    (
        "Trust",
        "What may be wrong: events that were lost, unknown or skipped. A lost free looks like a leak, so each problem comes with its consequence.",
    ),
];

pub(super) fn section() -> Markup {
    html! {
        section #guide aria-labelledby="guide-title" {
            details {
                summary { h2 #guide-title { "How to read this" } }
                dl.terms { @for (term, meaning) in TERMS { dt { (term) } dd { (meaning) } } }
                p {
                    "Keys: in the chart, the arrow keys move the cursor, " kbd { "+" } " and " kbd { "-" } " zoom, " kbd { "Esc" } " shows all. "
                    "In the call stacks, the arrow keys move, " kbd { "Enter" } " zooms in, " kbd { "Esc" } " zooms out."
                }
            }
        }
        footer { p { "memtrace " (env!("CARGO_PKG_VERSION")) ". This page loads nothing and sends nothing." } }
    }
}
