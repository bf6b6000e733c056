//! Where dentries are, as a tree that folds without any script.

use maud::{Markup, PreEscaped, html};

use super::strings::{bar, host, path, text};
use crate::{
    text::human,
    view::{Directory, Snapshot},
};

/// Deeper ones are not indented further.
const DEEPEST: usize = 8;

pub(super) fn section(snapshot: &Snapshot) -> Markup {
    if snapshot.directories.is_empty() {
        return html! {};
    }
    let mut tree = String::new();
    let mut directories = snapshot.directories.as_slice();
    while let [first, ..] = directories {
        let (inside, after) = split(directories);
        tree += &node(first, inside);
        directories = after;
    }
    PreEscaped(format!(
        "<section id=\"directories\" aria-labelledby=\"directories-title\">\n<h2 id=\"directories-title\">Directories</h2>\n\
         <p class=\"lede\">Where the dentries are, each directory with all that is below it.</p>\n\
         <div class=\"tree\"><div class=\"entry heads\" aria-hidden=\"true\"><span class=\"name\">Directory</span><span class=\"num\">Dentries</span>\
         <span class=\"shares\">Share of all</span><span class=\"shares\">Negative</span><span class=\"fs\">Filesystem</span></div>\n{tree}</div>\n</section>"
    ))
}

/// Those that are inside of the first one, and those after.
fn split(directories: &[Directory]) -> (&[Directory], &[Directory]) {
    let [first, rest @ ..] = directories else { return (&[], &[]) };
    let end = rest.iter().position(|other| other.depth <= first.depth).unwrap_or(rest.len());
    rest.split_at(end)
}

fn node(directory: &Directory, mut inside: &[Directory]) -> String {
    if inside.is_empty() {
        return format!("<div class=\"entry leaf\">{}</div>\n", entry(directory));
    }
    let mut children = String::new();
    while let [first, ..] = inside {
        let (below, after) = split(inside);
        children += &node(first, below);
        inside = after;
    }
    format!("<details open><summary class=\"entry\">{}</summary>{children}</details>\n", entry(directory))
}

fn entry(directory: &Directory) -> String {
    let rest = directory.path.get(directory.within..).unwrap_or_default();
    let rest = if directory.depth == 0 { rest } else { rest.strip_prefix(b"/").unwrap_or(rest) };
    let (share, negative) = (directory.share, directory.negatives.share());
    let shares = |share: f64, kind: &str| {
        format!(
            "<span class=\"shares {kind}\">{}<span class=\"num\">{}</span></span>",
            bar(share, kind),
            text(&human::percent(share))
        )
    };
    format!(
        "<span class=\"name d{}\">{}</span><span class=\"num\">{}</span>{}{}<span class=\"fs\">{}</span>",
        directory.depth.min(DEEPEST),
        path(rest),
        human::grouped(directory.objects),
        shares(share, "held"),
        shares(negative, "negative"),
        directory.filesystem.as_deref().map(host).unwrap_or_default(),
    )
}
