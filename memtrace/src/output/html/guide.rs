//! How to read the page, for who sees such a one for the first time.

use super::markup::{clean, text};

const TERMS: [(&str, &str); 12] = [
    (
        "Slab",
        "memory of the kernel for its own small objects (names of files, open files, sockets), in one cache for each kind. No process has it in its own size, so no list of processes shows it.",
    ),
    (
        "Outstanding",
        "allocated in the window and not freed in it. What was there before is not among it; it shows in slabinfo's figures only.",
    ),
    ("Growth", "allocations less frees, per second, over the window."),
    (
        "Trend",
        "grows: in the second half of the window as in the first. flat: grew and stays. burst: grew at once. churns: keeps little of what it allocates. steady: neither.",
    ),
    ("Kept", "the share of a row's allocations that are still there. A leak keeps, churn does not."),
    (
        "Procs",
        "how many processes hold the row's objects. Short-lived ones count, as the kernel keeps what they left.",
    ),
    (
        "Where",
        "the directory and the pattern that most names share, digits and ids written as <n>. ~ marks what a sample of the survivors tells.",
    ),
    (
        "Negative",
        "a dentry by which the kernel remembers that there is nothing of that name. Asking for millions of names that do not exist fills memory with them.",
    ),
    (
        "Reclaimable",
        "memory that the kernel takes back when it needs it. Whoever needs it then waits, and a cgroup's limit counts it all the same.",
    ),
    ("slabinfo", "the kernel's own count, which the figures here are compared with."),
    (
        "Partial",
        "some frees of this cache have no event that can be traced: what looks outstanding there may be free.",
    ),
    (
        "Trust",
        "what may be wrong: events lost, unknown, skipped. A lost free looks like a leak, so each is said with its consequence.",
    ),
];

pub(super) fn section(version: &str) -> String {
    let terms: String = TERMS
        .iter()
        .map(|(term, said)| format!("<dt>{term}</dt><dd>{}</dd>\n", text(&first_upper(said))))
        .collect();
    format!(
        "<section id=\"guide\" aria-labelledby=\"guide-title\">\n<details><summary><h2 id=\"guide-title\">How to read this</h2></summary>\n\
         <dl class=\"terms\">{terms}</dl>\n\
         <p>Keys: in the chart, arrows move the cursor, <kbd>+</kbd> and <kbd>-</kbd> zoom, <kbd>Esc</kbd> shows all. In the call stacks, arrows move, \
         <kbd>Enter</kbd> zooms in, <kbd>Esc</kbd> out.</p>\n</details>\n</section>\n\
         <footer><p>memtrace {}. This page loads nothing and sends nothing; its figures are in it as JSON (<code>#snapshot-json</code>).</p></footer>",
        clean(version)
    )
}

fn first_upper(said: &str) -> String {
    let mut chars = said.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
