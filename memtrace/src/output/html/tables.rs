//! The page's tables: rows, slab caches, directories, ages.

use maud::{Markup, html};

use super::{detail, explained, section};
use crate::{
    output::{
        model::{Cell, Kind, Line},
        phrases,
        render::html::{Layout, bar, sentence, table, title},
        tables,
    },
    view::{AgeBucket, Snapshot, series},
};

/// Directories deeper than this are not indented further.
const MAX_DEPTH: usize = 8;
pub(super) const CACHES: &str = "What was traced in each cache, beside the kernel's own count.";
const AGES: &str =
    "How long ago outstanding objects were allocated. A leak fills all ages, each in proportion to its span.";

pub(super) fn rows(snapshot: &Snapshot, lines: &[series::Line]) -> Markup {
    let rows = tables::rows::table(snapshot);
    if rows.is_empty() {
        let empty = html! { p.empty { (sentence(&phrases::no_rows(snapshot))) } };
        return section("rows", "Who holds it", &empty);
    }
    let details = snapshot.rows.iter().zip(&rows.rows).map(|(row, cells)| {
        let name = row.keys.join(&b", "[..]);
        let facts = detail::facts(&rows.heads, cells);
        detail::of_row(row, facts, lines.iter().find(|line| line.name == name))
    });
    let layout = Layout {
        class: "data",
        sorted: tables::rows::sorted_by(snapshot.sort),
        beneath: &["traced", "started_by"],
        has_bars: true,
        details: details.collect(),
    };
    let by = phrases::keys(&snapshot.by);
    let lede = format!("Objects allocated in the window and not freed, by {by}. Open a row for its details.");
    explained("rows", "Who holds it", &lede, &table(&rows, &layout))
}

pub(super) fn caches(snapshot: &Snapshot, lines: &[series::Line]) -> Markup {
    if snapshot.caches.is_empty() {
        return section("caches", "Slab caches", &html! { p.empty { (sentence(phrases::NO_CACHES)) } });
    }
    let table_of_caches = tables::slab_caches::table(snapshot);
    let details = snapshot.caches.iter().zip(&table_of_caches.rows).map(|(cache, cells)| {
        let facts = detail::facts(&table_of_caches.heads, cells);
        detail::of_cache(cache, facts, lines.iter().find(|line| line.name == cache.name.as_bytes()))
    });
    let layout = Layout {
        class: "data",
        sorted: "bytes",
        has_bars: true,
        details: details.collect(),
        ..Layout::default()
    };
    explained("caches", "Slab caches", CACHES, &table(&table_of_caches, &layout))
}

/// A tree that folds without any script.
pub(super) fn directories(snapshot: &Snapshot) -> Markup {
    let table = tables::directories::table(snapshot, 0.0);
    if table.is_empty() {
        return html! {};
    }
    let (heads, lines) = table.for_people();
    let tree = html! {
        div.tree {
            div.entry.heads aria-hidden="true" { @for (at, head) in heads.into_iter().enumerate() { span class=(in_tree(at, head.kind)) { (title(head)) } } }
            (forest(&lines))
        }
    };
    explained("directories", "Directories", "Where the dentries are.", &tree)
}

fn in_tree(at: usize, kind: Kind) -> &'static str {
    match kind {
        _ if at == 0 => "name",
        Kind::Share => "shares",
        kind if kind.is_text() => "fs",
        _ => "num",
    }
}

fn forest(mut lines: &[Line]) -> Markup {
    let mut nodes = Vec::new();
    while let [first, rest @ ..] = lines {
        let inside = rest.iter().position(|line| depth(line) <= depth(first)).unwrap_or(rest.len());
        let (inside, after) = rest.split_at(inside);
        nodes.push(html! {
            @if inside.is_empty() { div.entry.leaf { (entry(first)) } }
            @else { details open { summary.entry { (entry(first)) } (forest(inside)) } }
        });
        lines = after;
    }
    html! { @for node in nodes { (node) } }
}

fn depth(line: &Line) -> usize {
    if let Some(Cell::Name(name)) = line.cells.first() { name.depth } else { 0 }
}

/// The path, how many dentries, their shares, the filesystem.
fn entry(line: &Line) -> Markup {
    let mut kinds = ["held", "negative"].into_iter();
    html! {
        @for (at, cell) in line.cells.iter().enumerate() {
            @match cell {
                _ if at == 0 => span.name.{ "d" (depth(line).min(MAX_DEPTH)) } { (cell) },
                Cell::Share(share) => span.shares { (bar(*share, kinds.next().unwrap_or_default())) span.num { (cell) } },
                Cell::Count(_) => span.num { (cell) },
                _ => span.fs { (cell) },
            }
        }
    }
}

pub(super) fn ages(buckets: &[AgeBucket]) -> Markup {
    let ages = tables::ages::ages(buckets);
    if ages.is_empty() {
        return html! {};
    }
    explained("ages", "Age", AGES, &table(&ages, &Layout { class: "ages", ..Layout::default() }))
}
