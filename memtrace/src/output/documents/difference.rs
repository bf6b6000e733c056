//! What changed between two reports.

use crate::{
    output::{
        model::{Block, Content, Fact, Keep, Sentence, Tone},
        phrases::{self, verdict},
        tables,
    },
    view::{Difference, diff::Side},
};

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
    blocks.extend(difference.notes.iter().map(|note| {
        let note = Sentence::from("note: ") + Sentence::outside(note);
        Block::sentence(note).tone(Tone::Warning).keep(Keep::Note)
    }));
    blocks
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
