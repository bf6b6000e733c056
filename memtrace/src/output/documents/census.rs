//! A census on a page: each large cache with whose its memory is.

use crate::{
    output::{
        model::{Block, Content, Fact, Sentence, Tone},
        phrases::{self, census as words},
    },
    text::{human, time::rfc3339_seconds},
    view::{
        Census,
        census::{By, CacheCensus, Row, Told},
    },
};

/// Caches that have a paragraph of their own, if they are this share of all slab.
const MOST_CACHES: usize = 8;
const LEAST_SHARE: f64 = 0.01;
/// Without caches above them there is room for more rows.
const ROWS_WITHOUT_CACHES: usize = 4;

/// With so many rows of each cache.
pub fn document(census: &Census, top: usize) -> Vec<Block> {
    [vec![title(census)], body(census, top)].concat()
}

/// As a part of another page.
pub fn part(census: &Census, top: usize) -> Vec<Block> {
    [vec![Block::heading("Already there at the beginning")], body(census, top)].concat()
}

fn body(census: &Census, top: usize) -> Vec<Block> {
    let by_cache = census.by.contains(&By::Cache);
    let rows = if by_cache { caches(census, top) } else { all(census, top * ROWS_WITHOUT_CACHES) };
    [vec![drawn(census)], rows, unused(census, top), notes(census)].concat()
}

fn title(census: &Census) -> Block {
    let facts = [
        Fact::new(0, "memtrace census"),
        Fact::new(1, Sentence::default().name(census.host.as_bytes())),
        Fact::new(2, Sentence::default().name(census.kernel.as_bytes())),
        Fact::new(1, rfc3339_seconds(census.time)),
    ];
    Block::new(Content::Title(facts.into()))
}

/// How much was looked at, and how to do it again.
fn drawn(census: &Census) -> Block {
    let grouped = human::grouped;
    let text = format!(
        "{} of slab: of {} page frames {} were drawn, {} of them of slabs, in {} (seed {})",
        human::bytes(census.bytes()),
        human::count(census.frames),
        grouped(census.drawn),
        grouped(census.slab_pages),
        human::duration(census.elapsed),
        census.seed
    );
    paragraph(text).tone(Tone::Quiet)
}

/// Each large cache, and all others together.
fn caches(census: &Census, top: usize) -> Vec<Block> {
    let total = census.bytes() as f64;
    // Whoever asks for a few caches wants to see them.
    let is_shown =
        |cache: &CacheCensus| census.caches.len() <= MOST_CACHES || cache.bytes as f64 >= total * LEAST_SHARE;
    let shown = census.caches.iter().take(MOST_CACHES).take_while(|cache| is_shown(cache)).count();
    let mut blocks: Vec<Block> = (0..shown).flat_map(|at| one(census, at, top)).collect();
    blocks.extend(others(&census.caches[shown..]));
    blocks
}

fn one(census: &Census, at: usize, top: usize) -> Vec<Block> {
    let cache = &census.caches[at];
    let mut blocks = vec![head(cache)];
    if let Some(why) = words::untold(cache) {
        let tone = if matches!(cache.told, Told::Doubted { .. }) { Tone::Warning } else { Tone::Normal };
        blocks.push(indented(why).tone(tone));
        return blocks;
    }
    let rows: Vec<&Row> = census.rows.iter().filter(|row| row.traits.cache == Some(at)).collect();
    blocks.extend(lines(&rows, census, top));
    blocks
}

/// `dentry: 38.6 ±0.4 GiB, 99.8% of slabinfo's, 200 M objects, reclaimable`.
fn head(cache: &CacheCensus) -> Block {
    let merged = phrases::merged(cache.aliases.len());
    let gap = if merged.is_empty() { "" } else { " " };
    let objects = format!("{} objects", human::count(cache.objects));
    let facts = [words::size(cache), objects, phrases::reclaimable(cache.reclaimable).to_owned()];
    let facts = facts.into_iter().filter(|fact| !fact.is_empty()).collect::<Vec<_>>().join(", ");
    let name = Sentence::default().name(cache.name.as_bytes());
    Block::heading(name.words(format!("{gap}{merged}: {facts}"))).tone(Tone::Title)
}

/// The largest rows, and what the others come to.
fn lines(rows: &[&Row], census: &Census, top: usize) -> Vec<Block> {
    let (shown, rest) = rows.split_at(top.min(rows.len()));
    let shown = shown.iter().map(|row| figures(words::figures(row), words::row(row, census)));
    let rest = (!rest.is_empty()).then(|| {
        let share: f64 = rest.iter().map(|row| row.share).sum();
        let bytes = human::bytes(rest.iter().map(|row| row.bytes).sum());
        let sum = format!("{:>6} {:<5} {bytes:>9}  ", human::percent(share), "");
        figures(sum, phrases::more(rest.len() as u64).into()).tone(Tone::Quiet)
    });
    shown.chain(rest).collect()
}

/// Rows of all caches together.
fn all(census: &Census, top: usize) -> Vec<Block> {
    let rows: Vec<&Row> = census.rows.iter().collect();
    let doubted = census.caches.iter().filter(|cache| matches!(cache.told, Told::Doubted { .. }));
    let doubted = doubted.filter_map(|cache| {
        let name = Sentence::default().name(cache.name.as_bytes()).words(": ");
        Some(paragraph(name + words::untold(cache)?).tone(Tone::Warning))
    });
    [vec![Block::new(Content::Section(""))], lines(&rows, census, top), doubted.collect()].concat()
}

fn others(caches: &[CacheCensus]) -> Vec<Block> {
    if caches.is_empty() {
        return Vec::new();
    }
    let bytes = human::bytes(caches.iter().map(|cache| cache.bytes).sum());
    let mut text =
        Sentence::from(format!("{} other caches have {bytes}: ", human::grouped(caches.len() as u64)))
            .names(caches.iter().take(3).map(|cache| cache.name.as_bytes()), ", ");
    text = text.words(if caches.len() > 3 { " and others" } else { "" });
    vec![Block::new(Content::Section("")), paragraph(text.words("; -c NAME shows one")).tone(Tone::Quiet)]
}

/// What the kernel counts itself.
fn unused(census: &Census, top: usize) -> Vec<Block> {
    if census.unused.is_empty() {
        return Vec::new();
    }
    let (shown, rest) = census.unused.split_at(top.min(census.unused.len()));
    let shown =
        shown.iter().map(|row| counted(words::unused(row.dentries, row.inodes), words::whose_unused(row)));
    let [dentries, inodes] = words::unused_sums(rest);
    let rest = (!rest.is_empty()).then(|| {
        let more = phrases::more(rest.len() as u64);
        counted(words::unused(dentries, inodes), more.into()).tone(Tone::Quiet)
    });
    let [dentries, inodes] = words::unused_sums(&census.unused).map(human::grouped);
    let title = format!("unused, by the kernel's own count: {dentries} dentries, {inodes} inodes");
    [Block::heading(title).tone(Tone::Title)].into_iter().chain(shown).chain(rest).collect()
}

fn counted(figures: String, words: Sentence) -> Block {
    let hang = figures.len();
    Block::new(Content::Sentence { text: Sentence::from(figures) + words, indent: 0, hang })
}

fn notes(census: &Census) -> Vec<Block> {
    let notes = census.notes.iter().map(|note| paragraph(Sentence::from("note: ") + Sentence::outside(note)));
    [Block::new(Content::Section(""))].into_iter().chain(notes).collect()
}

fn figures(figures: String, words: Sentence) -> Block {
    let text = Sentence::from(figures) + words;
    Block::new(Content::Sentence { text, indent: 0, hang: words::FIGURES })
}

fn paragraph(text: impl Into<Sentence>) -> Block {
    Block::new(Content::Sentence { text: text.into(), indent: 0, hang: 2 })
}

fn indented(text: impl Into<Sentence>) -> Block {
    Block::new(Content::Sentence { text: text.into(), indent: 2, hang: 2 })
}

#[cfg(test)]
mod tests;
