//! What changed between two reports.

use crate::{
    output::{
        model::{Block, Content, Fact, Keep, Sentence, Tone},
        phrases::{self, verdict},
        tables,
    },
    text::human,
    view::{Difference, census::Comparison, diff::Side},
};

/// Changes of what was there before.
const CENSUS_ROWS: usize = 8;
/// Of many caches, how many have a line on a terminal.
pub const CACHES_SHOWN: usize = 8;

/// All of it is shown, however high the window is.
pub fn document(difference: &Difference, max_caches: usize) -> Vec<Block> {
    let title = [
        Fact::new(0, "memtrace diff"),
        Fact::new(1, format!("by {}", difference.by.names())),
        Fact::new(2, phrases::order_of_changes(difference.sort)),
    ];
    let rows = tables::difference::rows(difference);
    let rows =
        if rows.is_empty() { Block::sentence(phrases::no_changes(difference)) } else { Block::table(rows) };
    let mut blocks = vec![
        Block::new(Content::Title(title.into())),
        Block::table(tables::difference::sides(difference)),
        Block::facts([Fact::label(0, "  change"), Fact::new(0, phrases::change(&difference.total))]),
        Block::new(Content::Section("Outstanding objects")),
        rows,
        Block::new(Content::Section("Slab caches")),
        Block::table(tables::difference::caches(difference, max_caches)),
        Block::new(Content::Section("Verdicts")),
        verdict_of("before", &difference.before),
        verdict_of("after", &difference.after),
    ];
    blocks.extend(difference.census.iter().flat_map(census));
    blocks.extend(difference.notes.iter().map(|note| {
        let note = Sentence::from("note: ") + Sentence::outside(note);
        Block::sentence(note).tone(Tone::Warning).keep(Keep::Note)
    }));
    blocks
}

/// What was there when the two sessions began, and who has more or less of it than chance explains.
fn census(census: &Comparison) -> Vec<Block> {
    let [before, after] = [census.bytes_before, census.bytes_after].map(human::bytes);
    let slab = format!("{before} of slab before, {after} after");
    let rows = census.rows.iter().take(CENSUS_ROWS).map(|row| {
        let change = format!("{:>10}  ", human::bytes_change(row.bytes()));
        let text = Sentence::from(change) + phrases::census::changed(row);
        Block::new(Content::Sentence { text, indent: 0, hang: 12 })
    });
    let none =
        census.rows.is_empty().then(|| Block::sentence("nobody has more or less of it than chance explains"));
    let head = [
        Block::new(Content::Section("Already there when they began")),
        Block::sentence(format!("already there: {slab}")),
    ];
    head.into_iter().chain(rows).chain(none).collect()
}

fn verdict_of(name: &str, side: &Side) -> Block {
    let (claim, tone) = match &side.verdict {
        None => (phrases::NO_VERDICT.into(), Tone::Quiet),
        Some(known) if known.is_alarming() => (verdict::claim(known), Tone::Alarm),
        Some(known) => (verdict::claim(known), Tone::Quiet),
    };
    Block::sentence(Sentence::from(format!("verdict {name}: ")) + claim).tone(tone)
}

#[cfg(test)]
mod tests;
