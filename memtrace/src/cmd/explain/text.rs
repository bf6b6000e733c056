//! For people, in lines that fit the window. Commands and references stand in lines of their own, so that they can be
//! copied.

use super::answer::{Answer, Topic};
use crate::{
    knowledge::{
        Line, Prose,
        caches::{self, CacheEntry, Look},
        incidents::{Field, Incident, Incidents},
    },
    output::{
        model::{Block, Content, Sentence},
        phrases,
        render::terminal::{self, Frame, Style},
    },
    procfs::slab::{SlabCache, printable},
    text::human,
};

const INDENT: usize = 2;

/// More names that are merged are counted.
const MAX_ALIASES: usize = 8;

pub fn explain(answer: &Answer, width: usize) -> String {
    let mut blocks: Vec<Block> = Vec::new();
    for topic in &answer.topics {
        blocks.push(blank());
        blocks.extend(topic_blocks(topic, answer));
    }
    if !answer.unknown.is_empty() {
        blocks.push(blank());
        blocks.extend(unknown(answer));
    }
    for note in &answer.notes {
        blocks.push(blank());
        blocks.push(paragraph(0, format!("note: {}", printable(note))));
    }
    // The first one is no blank between two.
    text(&blocks[1..], width)
}

/// What is known: each kind of cache in two lines, and the incidents.
pub fn list(incidents: &Incidents, width: usize) -> String {
    let mut blocks = vec![
        paragraph(
            0,
            "Kinds of caches, and when their memory comes back; for details: memtrace explain CACHE",
        ),
        blank(),
    ];
    for entry in caches::all() {
        blocks.push(paragraph(0, names(entry)));
        blocks.push(paragraph(INDENT * 2, format!("{}; {}", entry.title.as_str(), entry.reclaim)));
    }
    blocks.push(Block::heading("Known incidents"));
    let incident = |incident: &Incident| {
        paragraph(INDENT, format!("{}: {}", incident.id.as_str(), incident.title.as_str()))
    };
    blocks.extend(incidents.iter().map(incident));
    text(&blocks, width)
}

fn text(blocks: &[Block], width: usize) -> String {
    terminal::text(blocks, Frame::wide(width), Style::Plain)
}

fn blank() -> Block {
    Block::new(Content::Section(""))
}

fn paragraph(indent: usize, text: impl Into<Sentence>) -> Block {
    Block::new(Content::Sentence { text: text.into(), indent, hang: indent })
}

/// To be copied: as it is, whatever the width.
fn line(indent: usize, text: &str) -> Block {
    Block::new(Content::Code(format!("{:indent$}{text}\n", "")))
}

fn names(entry: &CacheEntry) -> String {
    entry.names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

fn topic_blocks(topic: &Topic, answer: &Answer) -> Vec<Block> {
    let entry = topic.entry;
    let mut blocks = vec![paragraph(0, format!("{}: {}", names(entry), entry.title.as_str()))];
    blocks.extend(section("What lives there", &entry.holds));
    blocks.extend(section("What fills it", &entry.fills));
    blocks.push(Block::heading(format!("Memory comes back {}", entry.reclaim)));
    blocks.push(paragraph(INDENT, entry.reclaim_how.as_str()));
    blocks.push(Block::heading("On this host now"));
    blocks.extend(here(topic, answer));
    blocks.extend(looks(&entry.look));
    blocks.extend(items("What helps", &entry.helps));
    blocks.extend(items("Caveats", &entry.caveats));
    blocks.extend(topic.incidents.iter().flat_map(|known| incident(known)));
    if !entry.references.is_empty() {
        blocks.push(Block::heading("References"));
        blocks.extend(entry.references.iter().map(|reference| line(INDENT, reference.as_str())));
    }
    blocks
}

fn here(topic: &Topic, answer: &Answer) -> Vec<Block> {
    if topic.here.is_empty() {
        let text = if answer.notes.is_empty() { "No such cache." } else { "Not known." };
        return vec![paragraph(INDENT, text)];
    }
    topic.here.iter().flat_map(|cache| of_cache(cache, answer.page_size)).collect()
}

fn of_cache(cache: &SlabCache, page_size: u64) -> Vec<Block> {
    let merged = phrases::merged_with(&cache.aliases, MAX_ALIASES);
    let merged = merged.map(|merged| paragraph(INDENT * 2, merged));
    std::iter::once(paragraph(INDENT, size(cache, page_size))).chain(merged).collect()
}

fn unknown(answer: &Answer) -> Vec<Block> {
    let mut blocks = vec![paragraph(0, "memtrace does not know what lives in:")];
    blocks.extend(answer.unknown.iter().flat_map(|cache| of_cache(cache, answer.page_size)));
    blocks.push(Block::heading("To look further"));
    blocks.push(paragraph(INDENT, "Who allocates, and for how long:"));
    blocks.push(line(INDENT, &format!("$ memtrace -c '{}' -d 1m", printable(&answer.asked))));
    blocks
}

fn looks(looks: &[Look]) -> Vec<Block> {
    let title = (!looks.is_empty()).then(|| Block::heading("To look further"));
    let look = |look: &Look| {
        [line(INDENT, &format!("$ {}", look.run.as_str())), paragraph(INDENT * 2, look.tells.as_str())]
    };
    title.into_iter().chain(looks.iter().flat_map(look)).collect()
}

fn incident(incident: &Incident) -> Vec<Block> {
    let mut blocks = vec![
        Block::heading(format!("Known incident {}: {}", incident.id.as_str(), incident.title.as_str())),
        paragraph(INDENT, format!("Signs: {}.", signs(incident))),
        paragraph(INDENT, incident.cause.as_str()),
    ];
    for (title, steps) in
        [("Now:", &incident.now), ("For good:", &incident.for_good), ("To verify:", &incident.verify)]
    {
        if !steps.is_empty() {
            blocks.push(paragraph(INDENT, title));
            blocks.push(list_of(steps));
        }
    }
    blocks.extend(incident.references.iter().map(|reference: &Line| line(INDENT, reference.as_str())));
    blocks
}

fn section(title: &str, text: &Prose) -> [Block; 2] {
    [Block::heading(title), paragraph(INDENT, text.as_str())]
}

fn items(title: &str, items: &[Prose]) -> Vec<Block> {
    if items.is_empty() { Vec::new() } else { vec![Block::heading(title), list_of(items)] }
}

fn list_of(items: &[Prose]) -> Block {
    Block::list(items.iter().map(|item| item.as_str().into())).indented(INDENT)
}

fn signs(incident: &Incident) -> String {
    let shown = Field::ALL.into_iter().filter(|field| incident.signs.has(*field)).map(|field| {
        let text = incident.signs.text(field);
        if incident.typical.contains(&field) {
            format!("{field} {text} (typically)")
        } else if incident.if_known.contains(&field) {
            format!("{field} {text} (if known)")
        } else {
            format!("{field} {text}")
        }
    });
    shown.collect::<Vec<_>>().join("; ")
}

fn size(cache: &SlabCache, page_size: u64) -> String {
    let mut facts = Vec::new();
    if let Some(counts) = cache.counts {
        let (active, total) = (human::count(counts.active_objects), human::count(counts.total_objects));
        facts.push(format!("{active} of {total} objects in use"));
        facts.push(format!("{} in total", human::bytes(counts.bytes(page_size))));
    }
    facts.extend(cache.slab_size.map(|size| format!("{} each", human::bytes(size))));
    facts.extend(cache.reclaimable.map(|reclaimable| {
        let kind = if reclaimable { "SReclaimable" } else { "SUnreclaim" };
        format!("counted in {kind} (reclaim_account {})", u8::from(reclaimable))
    }));
    if facts.is_empty() {
        facts.push("present, but only root can read its figures".to_owned());
    }
    format!("{}: {}", printable(&cache.name), facts.join(", "))
}
