//! Pages for people.

use maud::{DOCTYPE, Markup, html};

/// Where each page leads, and what is there.
type Link = (&'static str, &'static str, &'static str);

const HOME: [Link; 3] = [
    ("metrics", "/metrics", "for Prometheus: who holds how much of which slab cache"),
    ("profiles", "/debug/pprof/", "for pprof, Parca and Pyroscope: which calls led to it"),
    ("health", "/healthz", "whether the session makes its reports"),
];

const PROFILES: [Link; 3] = [
    ("heap", "heap", "outstanding objects and bytes; all that was allocated beside them"),
    ("allocs", "allocs", "the same, with all that was allocated shown first"),
    ("heap?seconds=10", "heap?seconds=10", "what is allocated within 10 s and still there at their end"),
];

pub fn home() -> Markup {
    page("memtrace", "Who holds the kernel's slab memory.", &HOME)
}

pub fn profiles() -> Markup {
    page("memtrace: profiles", "go tool pprof http://ADDRESS/debug/pprof/heap", &PROFILES)
}

fn page(title: &str, says: &str, links: &[Link]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) }
            }
            body {
                h1 { (title) }
                p { (says) }
                ul {
                    @for (name, target, what) in links {
                        li { a href=(target) { (name) } ": " (what) }
                    }
                }
                p { "memtrace " (env!("CARGO_PKG_VERSION")) }
            }
        }
    }
}
