//! What changed between two reports, in Markdown.

use super::{MARKDOWN, heads, list, name, section, sentence, table, words};
use crate::{
    output::table::{difference, place, verdict},
    text::human,
    view::{
        Difference,
        diff::{CacheChange, Change, Rates, RowChange, Seen, Side},
    },
};

/// What changed, then what speaks against comparing the two, then the tables.
pub fn difference(difference: &Difference) -> String {
    let sections = [
        format!("# memtrace diff\n\n{}", summary(difference)),
        section("Notes", list(difference.notes.iter().map(|note| sentence(note)))),
        section("Who holds it", rows(difference)),
        section("Slab caches", caches(&difference.caches)),
    ];
    sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
}

fn summary(difference: &Difference) -> String {
    let Difference { before, after, total, .. } = difference;
    let verdict = |side: &Side| {
        side.verdict
            .as_ref()
            .map_or_else(|| "no telling yet".to_owned(), |verdict| verdict::claim(verdict, MARKDOWN))
    };
    let cells = |what: &str, of: &dyn Fn(&Side) -> String| vec![what.to_owned(), of(before), of(after)];
    let held = [total.before, total.after];
    let facts = [
        cells("report", &|side| name(&side.label)),
        cells("host", &|side| name(side.host.as_bytes())),
        cells("kernel", &|side| name(side.kernel.as_bytes())),
        cells("up to", &difference::when),
        cells("traced for", &|side| human::duration(side.elapsed)),
        std::iter::once("objects outstanding".to_owned())
            .chain(held.map(|held| human::grouped(held.objects)))
            .collect(),
        std::iter::once("bytes outstanding".to_owned())
            .chain(held.map(|held| human::bytes(held.bytes)))
            .collect(),
        cells("verdict", &verdict),
    ];
    let head = heads(&["", "BEFORE", "AFTER"]);
    format!("**Change:** {}\n\n{}", words(&difference::total(total)), table(3, &head, &facts))
}

const OF_CHANGE: [&str; 6] = ["±BYTES", "±%", "BEFORE", "AFTER", "±OBJECTS", "±%"];

fn change_cells(change: &Change, seen: Seen) -> [String; 6] {
    let share = |share| words(&difference::share(share, seen)).into_owned();
    [
        human::bytes_change(change.bytes()),
        share(change.bytes_share()),
        human::bytes(change.before.bytes),
        human::bytes(change.after.bytes),
        human::count_change(change.objects()),
        share(change.objects_share()),
    ]
}

fn rows(difference: &Difference) -> String {
    if difference.rows.is_empty() && difference.rest.is_none() {
        return "Nothing changed.\n".to_owned();
    }
    let keys = difference.by.iter().count();
    let mut head: Vec<String> = difference.by.iter().map(|by| by.name().to_uppercase()).collect();
    head.push("WHERE".to_owned());
    head.extend(heads(&OF_CHANGE));
    head.extend(heads(&["GREW BY", "GROWS BY"]));
    let growth =
        |rates: Option<Rates>| rates.map_or_else(|| "-".to_owned(), |rates| human::growth(rates.growth));
    let cells = |row: &RowChange| {
        let key = |at: usize| row.keys.get(at).map_or_else(String::new, |key| name(key));
        let place = row.place.as_ref().map_or_else(String::new, |group| name(&place::name(group)));
        (0..keys)
            .map(key)
            .chain([place])
            .chain(change_cells(&row.change, row.seen))
            .chain([growth(row.rates_before), growth(row.rates_after)])
            .collect()
    };
    let mut lines: Vec<Vec<String>> = difference.rows.iter().map(cells).collect();
    lines.extend(difference.rest.map(|rest| {
        let mut cells = vec![String::new(); keys + 1];
        cells[0] = format!("… {} more", human::grouped(rest.rows));
        cells.extend(change_cells(&rest.change, Seen::Both));
        cells.resize(head.len(), String::new());
        cells
    }));
    table(keys + 1, &head, &lines)
}

fn caches(caches: &[CacheChange]) -> String {
    if caches.is_empty() {
        return String::new();
    }
    let cells = |cache: &CacheChange| {
        let limits = if cache.is_partial { "some frees unseen" } else { "" };
        [name(cache.name.as_bytes()), limits.to_owned()]
            .into_iter()
            .chain(change_cells(&cache.change, cache.seen))
            .collect()
    };
    let mut head = heads(&["CACHE", "LIMITS"]);
    head.extend(heads(&OF_CHANGE));
    table(2, &head, &caches.iter().map(cells).collect::<Vec<_>>())
}
