//! For people, in lines that fit the window. Commands and references stand in lines of their own, so that they can be
//! copied.

use std::fmt::Write as _;

use super::answer::{Answer, Topic};
use crate::{
    knowledge::{
        Line, Prose,
        caches::{self, Look},
        incidents::{Field, Incident, Incidents},
    },
    procfs::slab::{SlabCache, printable},
    text::{human, width},
};

const INDENT: usize = 2;

/// More names that are merged are counted.
const MAX_ALIASES: usize = 8;

pub fn explain(answer: &Answer, width: usize) -> String {
    let mut page = Page { text: String::new(), width };
    for (index, topic) in answer.topics.iter().enumerate() {
        if index > 0 {
            page.blank();
        }
        page.topic(topic, answer);
    }
    if !answer.unknown.is_empty() {
        page.unknown(answer);
    }
    for note in &answer.notes {
        page.blank();
        page.paragraph(0, &format!("note: {}", printable(note)));
    }
    page.text
}

/// What is known: each kind of cache in two lines, and the incidents.
pub fn list(incidents: &Incidents, width: usize) -> String {
    let mut page = Page { text: String::new(), width };
    page.paragraph(
        0,
        "Kinds of caches, and when their memory comes back; `memtrace explain CACHE` tells more.",
    );
    page.blank();
    for entry in caches::all() {
        let names: Vec<_> = entry.names.iter().map(|name| name.as_str()).collect();
        page.paragraph(0, &names.join(", "));
        page.paragraph(INDENT * 2, &format!("{}; {}", entry.title.as_str(), entry.reclaim));
    }
    page.head("Known incidents");
    for incident in incidents.iter() {
        page.paragraph(INDENT, &format!("{}: {}", incident.id.as_str(), incident.title.as_str()));
    }
    page.text
}

struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn topic(&mut self, topic: &Topic, answer: &Answer) {
        let entry = topic.entry;
        let names: Vec<_> = entry.names.iter().map(|name| name.as_str()).collect();
        self.paragraph(0, &format!("{}: {}", names.join(", "), entry.title.as_str()));
        self.said("What lives there", &entry.holds);
        self.said("What fills it", &entry.fills);
        self.head(&format!("Memory comes back {}", entry.reclaim));
        self.paragraph(INDENT, entry.reclaim_how.as_str());
        self.head("On this host now");
        self.here(topic, answer);
        self.looks(&entry.look);
        self.items("What helps", &entry.helps);
        self.items("Beware", &entry.caveats);
        for incident in &topic.incidents {
            self.incident(incident);
        }
        self.references(0, &entry.references);
    }

    fn here(&mut self, topic: &Topic, answer: &Answer) {
        if topic.here.is_empty() {
            let text = if answer.notes.is_empty() { "No such cache." } else { "Not known." };
            self.paragraph(INDENT, text);
        }
        for cache in &topic.here {
            self.paragraph(INDENT, &size(cache, answer.page_size));
            if let Some(merged) = merged(cache) {
                self.paragraph(INDENT * 2, &merged);
            }
        }
    }

    fn unknown(&mut self, answer: &Answer) {
        if !answer.topics.is_empty() {
            self.blank();
        }
        self.paragraph(0, "memtrace knows nothing of what lives in:");
        for cache in &answer.unknown {
            self.paragraph(INDENT, &size(cache, answer.page_size));
            if let Some(merged) = merged(cache) {
                self.paragraph(INDENT * 2, &merged);
            }
        }
        self.head("To look further");
        self.paragraph(INDENT, "Who allocates, for how long:");
        self.line(INDENT, &format!("$ memtrace -c '{}' -d 1m", printable(&answer.asked)));
    }

    fn looks(&mut self, looks: &[Look]) {
        if looks.is_empty() {
            return;
        }
        self.head("To look further");
        for look in looks {
            self.line(INDENT, &format!("$ {}", look.run.as_str()));
            self.paragraph(INDENT * 2, look.tells.as_str());
        }
    }

    fn incident(&mut self, incident: &Incident) {
        self.head(&format!("Known incident {}: {}", incident.id.as_str(), incident.title.as_str()));
        self.paragraph(INDENT, &format!("Signs: {}.", signs(incident)));
        self.paragraph(INDENT, incident.cause.as_str());
        for (title, steps) in
            [("Now:", &incident.now), ("For good:", &incident.for_good), ("To verify:", &incident.verify)]
        {
            if !steps.is_empty() {
                self.paragraph(INDENT, title);
                steps.iter().for_each(|step| self.item(INDENT, step));
            }
        }
        incident.references.iter().for_each(|reference| self.line(INDENT, reference.as_str()));
    }

    fn said(&mut self, title: &str, text: &Prose) {
        self.head(title);
        self.paragraph(INDENT, text.as_str());
    }

    fn items(&mut self, title: &str, items: &[Prose]) {
        if !items.is_empty() {
            self.head(title);
            items.iter().for_each(|item| self.item(INDENT, item));
        }
    }

    fn references(&mut self, indent: usize, references: &[Line]) {
        if !references.is_empty() {
            self.head("References");
            references.iter().for_each(|reference| self.line(indent + INDENT, reference.as_str()));
        }
    }

    fn item(&mut self, indent: usize, item: &Prose) {
        self.wrapped(indent, &format!("- {}", item.as_str()), INDENT);
    }

    fn head(&mut self, title: &str) {
        self.blank();
        self.paragraph(0, title);
    }

    fn paragraph(&mut self, indent: usize, text: &str) {
        self.wrapped(indent, text, 0);
    }

    /// Lines after the first are indented by `hang` more.
    fn wrapped(&mut self, indent: usize, text: &str, hang: usize) {
        for line in width::wrap(text, self.width.saturating_sub(indent), hang) {
            self.line(indent, &line);
        }
    }

    /// As it is, whatever the width.
    fn line(&mut self, indent: usize, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }
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
        facts.push(format!("{} in all", human::bytes(counts.bytes(page_size))));
    }
    facts.extend(cache.slab_size.map(|size| format!("{} each", human::bytes(size))));
    facts.extend(cache.reclaimable.map(|reclaimable| {
        let kind = if reclaimable { "SReclaimable" } else { "SUnreclaim" };
        format!("counted in {kind} (reclaim_account {})", u8::from(reclaimable))
    }));
    if facts.is_empty() {
        facts.push("there, but its figures are root's to read".to_owned());
    }
    format!("{}: {}", printable(&cache.name), facts.join(", "))
}

fn merged(cache: &SlabCache) -> Option<String> {
    let shown: Vec<_> = cache.aliases.iter().take(MAX_ALIASES).map(|alias| printable(alias)).collect();
    let more = match cache.aliases.len().saturating_sub(MAX_ALIASES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!shown.is_empty())
        .then(|| format!("merged with {}{more}: their objects cannot be told apart", shown.join(", ")))
}
