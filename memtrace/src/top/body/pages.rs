//! All about one line, and the page of help.

use crate::{
    attribution::cgroup::Owner,
    knowledge::caches,
    output::{
        documents::report,
        model::{BOUND, Block, Cell, Content, Head, Name, Sentence, Table, Tone},
        phrases::{self, place},
        tables::{
            self,
            shares::{self, Part},
        },
    },
    text::{human, width},
    top::{chart, history::History, keys::HELP},
    view::{CgroupShare, Row, Snapshot, key},
};

/// Lines of a chart.
const CHART: usize = 4;

/// The keys.
pub(super) fn help() -> Vec<Block> {
    let keys = || HELP.iter().flat_map(|(_, keys)| keys.iter());
    let widest = keys().map(|(key, _)| width::cells(key)).max().unwrap_or(0);
    let group = |(title, keys): &(&'static str, &[(&str, &str)])| {
        let line = |(key, does): &(&str, &str)| {
            let text = format!("{}  {does}", width::pad_right(key, widest));
            Block::new(Content::Sentence { text: text.into(), indent: 2, hang: widest + 4 })
        };
        let mut blocks = vec![Block::sentence(*title).tone(Tone::Title)];
        blocks.extend(keys.iter().map(line));
        blocks
    };
    HELP.iter().flat_map(group).collect()
}

/// All that is known of a row.
pub(super) fn row_page(keys: &[Vec<u8>], snapshot: &Snapshot, history: &History, width: usize) -> Vec<Block> {
    let title = Sentence::default().names(keys.iter().map(Vec::as_slice), ", ");
    let title = Block::sentence(title).tone(Tone::Title);
    let Some(row) = snapshot.rows.iter().find(|row| row.keys == keys) else {
        let words =
            "It is not among the rows of this moment: it held too little, or rows were by something else.";
        return vec![title, Block::sentence(words).tone(Tone::Quiet)];
    };
    let table = tables::rows::table(&Snapshot { rows: vec![row.clone()], rest: None, ..snapshot.clone() });
    let mut blocks = vec![title, Block::sentence(facts(&table))];
    blocks.extend(chart_of(&history.line(keys), width));
    let verdict = snapshot.verdict.iter().flat_map(|verdict| &verdict.findings);
    let findings: Vec<_> = verdict.filter(|finding| finding.keys == keys).collect();
    for finding in findings {
        blocks.push(Block::new(Content::Section("")));
        blocks.extend(report::finding(finding));
    }
    blocks.extend(tables_of(row).into_iter().filter(|table| !table.is_empty()).flat_map(below));
    blocks
}

fn below(table: Table) -> [Block; 2] {
    [Block::new(Content::Section("")), Block::table(table)]
}

/// Whose, where, and how old.
fn tables_of(row: &Row) -> Vec<Table> {
    let part = |objects, name| Part { objects, name };
    let plain = |bytes: Vec<u8>| Name { bytes, ..Name::default() };
    let started_by = row.started_by.iter().map(|ancestors| {
        let chain = phrases::chain(&ancestors.comms);
        part(ancestors.objects, plain(if chain.is_empty() { b"(unknown)".to_vec() } else { chain }))
    });
    let caches = row.caches.iter().map(|cache| {
        let name = plain(cache.name.clone().into_bytes()).tail(human::bytes(cache.bytes));
        part(cache.objects, name)
    });
    let places = row
        .names
        .iter()
        .map(|group| part(group.objects, Name { tail: String::new(), ..place::name(group, row) }));
    let cgroups = row.cgroups.iter().map(|share| part(share.objects, cgroup(share)));
    let stacks =
        row.stacks.iter().map(|stack| part(stack.objects, plain(stack.frames.join(" < ").into_bytes())));
    let table = |title, whole, parts: Vec<Part>| shares::table(title, whole, &parts);
    vec![
        table("STARTED BY", row.objects, started_by.collect()),
        table("WHERE", row.placed_objects, places.collect()),
        table("SLAB CACHE", row.objects, caches.collect()),
        table("CGROUP", row.objects, cgroups.collect()),
        table("CALL STACK", row.stacked_objects, stacks.collect()),
        tables::ages::ages(&row.ages),
    ]
}

fn cgroup(share: &CgroupShare) -> Name {
    let path = share.path.as_deref();
    let owner = path.map(Owner::from_path).filter(|owner| owner.container.is_some());
    let container = owner.and_then(|owner| owner.name());
    let bytes = path.map_or_else(|| key::cgroup(share.id, None), <[u8]>::to_vec);
    Name { bytes, is_path: true, tail: container.unwrap_or_default(), ..Name::default() }
}

/// What a table's columns know of its first row, beside each other.
fn facts(table: &Table) -> Sentence {
    let is_known = |(head, cell): &(&Head, &Cell)| {
        !head.in_detail.is_empty() && **cell != Cell::Unknown && !cell.text().is_empty()
    };
    let cells = table.rows.first().into_iter().flatten();
    let known = table.heads.iter().zip(cells).filter(is_known);
    known.enumerate().fold(Sentence::default(), |facts, (at, (head, cell))| {
        let gap = if at == 0 { "" } else { "  " };
        let facts = facts.words(format!("{gap}{}{BOUND}", head.in_detail.to_lowercase()));
        match cell {
            Cell::Name(name) => facts.name(name.bytes.clone()),
            cell => facts.words(cell.text().replace(' ', &BOUND.to_string())),
        }
    })
}

/// How its bytes moved, over all that is remembered.
fn chart_of(bytes: &[u64], width: usize) -> Vec<Block> {
    let (Some(least), Some(most)) = (bytes.iter().min(), bytes.iter().max()) else { return Vec::new() };
    if bytes.len() < 2 {
        return Vec::new();
    }
    let values: Vec<_> = bytes.iter().copied().map(Some).collect();
    let drawing = chart::lines(&values, width.saturating_sub(1).max(1), CHART).join("\n");
    let range = format!(
        "bytes over the time that is remembered, {} to {}",
        human::bytes(*least),
        human::bytes(*most)
    );
    vec![
        Block::new(Content::Section("")),
        Block::new(Content::Code(drawing)),
        Block::sentence(range).tone(Tone::Quiet),
    ]
}

/// All that is known of a slab cache: who holds it, and what it is.
pub(super) fn cache_page(name: &str, snapshot: &Snapshot, history: &History, width: usize) -> Vec<Block> {
    let title = Block::sentence(Sentence::default().name(name.as_bytes())).tone(Tone::Title);
    let mut blocks = vec![title];
    let cache = snapshot.caches.iter().find(|cache| cache.name == name);
    if let Some(cache) = cache {
        let only = Snapshot { caches: vec![cache.clone()], rows: Vec::new(), ..snapshot.clone() };
        blocks.push(Block::sentence(facts(&tables::slab_caches::table(&only))));
        let merged = phrases::merged_with(&cache.aliases, usize::MAX);
        blocks.extend(merged.map(|merged| Block::sentence(merged).tone(Tone::Quiet)));
    }
    blocks.extend(chart_of(&history.line_of_cache(name), width));
    blocks.extend(below(holders(name, snapshot)));
    blocks.extend(known(name));
    blocks
}

/// The rows that hold most of it.
fn holders(name: &str, snapshot: &Snapshot) -> Table {
    let of_row = |row: &Row| {
        let share = row.caches.iter().find(|share| share.name == name)?;
        let name = Name { bytes: row.keys.join(&b", "[..]), ..Name::default() };
        Some(Part { objects: share.objects, name: name.tail(human::bytes(share.bytes)) })
    };
    let mut parts: Vec<Part> = snapshot.rows.iter().filter_map(of_row).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.objects));
    let whole = snapshot.caches.iter().find(|cache| cache.name == name);
    shares::table("HELD BY", whole.map_or(0, |cache| cache.outstanding_objects), &parts)
}

fn known(name: &str) -> Vec<Block> {
    let Some(entry) = caches::find(name) else { return Vec::new() };
    let line = |what: &str, text: &str| Block::sentence(Sentence::from(format!("{what}: ")).advice(text));
    let mut blocks = vec![
        Block::new(Content::Section("")),
        line("an object", entry.title.as_str()),
        line("holds", entry.holds.as_str()),
        line("filled by", entry.fills.as_str()),
        line("comes back", entry.reclaim_how.as_str()),
    ];
    blocks.extend(entry.helps.iter().map(|help| line("helps", help.as_str())));
    let more = Sentence::from("more: memtrace explain ").name(name.as_bytes());
    blocks.push(Block::sentence(more).tone(Tone::Quiet));
    blocks
}
