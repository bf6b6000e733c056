//! The order of the page: the answer in one line, the figures, who fills the slab, the suspect, what to do.

use std::time::SystemTime;

use super::{
    Block, Table,
    words::{clean, evidence, headline, signs, what},
};
use crate::{
    output::table::{self, Frame, Style},
    procfs::cgroup::Version,
    text::human,
    triage::tracing::Tracing,
    triage::{
        page::{NodeRow, Page, PartRow, Top},
        sample::page_size,
        window::{CacheRow, CgroupRow, ProcessRow},
    },
    view::Snapshot,
};

/// What a cgroup's figures take beside its path.
const CGROUP_FIGURES: usize = 44;

/// A part that is smaller and did not change is left out; it is in the sum all the same.
const MIN_PART: u64 = 64 << 10;

pub(super) fn blocks(page: &Page, width: usize) -> Vec<Block> {
    let mut blocks = vec![Block::Title(title(page)), Block::Lines(answer(page))];
    blocks.extend(memory(page));
    blocks.extend(signs_of_shortage(page));
    blocks.extend(processes(&page.processes));
    blocks.extend(cgroups(&page.cgroups, page.cgroup_version, width));
    blocks.extend(caches(page));
    blocks.extend(tracing(&page.tracing, width));
    blocks.extend(suspects(page));
    blocks.extend(advice(page));
    if !page.notes.is_empty() {
        blocks.push(Block::Heading("Not known".to_owned()));
        blocks.push(Block::List(page.notes.iter().map(|note| clean(note.as_bytes())).collect()));
    }
    blocks
}

/// What it is, who does it, how bad it is.
fn answer(page: &Page) -> Vec<String> {
    let who = match &page.tracing {
        Tracing::Done { last, .. } => table::brief(last),
        Tracing::NotNeeded | Tracing::Failed { .. } => Vec::new(),
    };
    let who = who.into_iter().map(|line| format!("  {line}"));
    [headline(page)].into_iter().chain(who).chain([usage(page)]).collect()
}

fn title(page: &Page) -> String {
    let time = page.time.max(SystemTime::UNIX_EPOCH);
    format!(
        "memtrace triage  {}  {}  {} up to {}",
        clean(page.host.as_bytes()),
        clean(page.kernel.as_bytes()),
        human::duration(page.length),
        humantime::format_rfc3339_seconds(time)
    )
}

fn usage(page: &Page) -> String {
    let share = 1.0 - page.available as f64 / page.total.max(1) as f64;
    format!(
        "memory: {} in use, {} of {} available",
        human::percent(share),
        human::bytes(page.available),
        human::bytes(page.total)
    )
}

fn memory(page: &Page) -> Vec<Block> {
    let share = |bytes: i64| human::percent(bytes.max(0) as f64 / page.total.max(1) as f64);
    let is_shown =
        |row: &&PartRow| row.bytes.unsigned_abs() >= MIN_PART || row.growth.unsigned_abs() >= MIN_PART;
    let row = |row: &PartRow| {
        let bytes = human::bytes(row.bytes.unsigned_abs());
        let sign = if row.bytes < 0 { "-" } else { "" };
        vec![
            row.part.name().to_owned(),
            format!("{sign}{bytes}"),
            share(row.bytes),
            human::bytes_change(row.growth),
        ]
    };
    let mut rows: Vec<_> = page.parts.iter().filter(is_shown).map(row).collect();
    rows.push(vec!["total".to_owned(), human::bytes(page.total), "100%".to_owned(), String::new()]);
    let table = Table { head: vec!["MEMORY", "NOW", "SHARE", "GREW"], rows, foot: dentries(page) };
    let mut blocks = vec![Block::Table(table)];
    if !page.nodes.is_empty() {
        blocks.push(Block::Table(nodes(&page.nodes)));
    }
    blocks
}

fn dentries(page: &Page) -> Option<String> {
    let row = page.dentries?;
    Some(format!(
        "dentries: {} ({}), of these unused {}, negative {} ({})",
        human::grouped(row.now.all),
        human::count_change(row.growth),
        human::grouped(row.now.unused),
        human::grouped(row.now.negative),
        human::count_change(row.negative_growth)
    ))
}

fn nodes(nodes: &[NodeRow]) -> Table {
    let row = |node: &NodeRow| {
        let bytes = [node.total, node.free, node.processes, node.files, node.shared, node.slab];
        std::iter::once(format!("node {}", node.number)).chain(bytes.map(human::bytes)).collect()
    };
    let head = vec!["NUMA", "TOTAL", "FREE", "PROCESSES", "FILES", "SHARED", "SLAB"];
    Table { head, rows: nodes.iter().map(row).collect(), foot: None }
}

fn signs_of_shortage(page: &Page) -> Vec<Block> {
    let lines = signs(&page.signs, page.total / page_size());
    if lines.is_empty() {
        return Vec::new();
    }
    vec![Block::Heading("Signs that memory is short".to_owned()), Block::List(lines)]
}

/// How many there are beside those that are shown.
fn foot<T>(top: &Top<T>, what: &str, left_out: &str) -> Option<String> {
    let more = top.of - top.rows.len();
    let shown = (more > 0).then(|| format!("{} more {what}", human::grouped(more as u64)));
    let not_read = (top.left_out > 0).then(|| format!("{} {left_out}", human::grouped(top.left_out as u64)));
    let parts: Vec<_> = shown.into_iter().chain(not_read).collect();
    (!parts.is_empty()).then(|| parts.join(", and "))
}

fn processes(top: &Top<ProcessRow>) -> Vec<Block> {
    if top.rows.is_empty() {
        return Vec::new();
    }
    let row = |row: &ProcessRow| {
        let shown = |bytes: Option<u64>| bytes.map_or("-".to_owned(), human::bytes);
        vec![
            clean(&row.comm),
            row.pid.to_string(),
            human::bytes(row.resident),
            human::bytes_change(row.growth),
            human::bytes(row.anon),
            shown(row.proportional),
            row.proportional_growth.map_or("-".to_owned(), human::bytes_change),
        ]
    };
    let table = Table {
        head: vec!["PROCESS", "PID", "RSS", "GREW", "OWN", "PSS", "GREW"],
        rows: top.rows.iter().map(row).collect(),
        foot: foot(top, "processes", "that were not read: 20,000 are"),
    };
    vec![Block::Table(table)]
}

fn cgroups(top: &Top<CgroupRow>, version: Version, width: usize) -> Vec<Block> {
    if top.rows.is_empty() {
        return Vec::new();
    }
    let row = |row: &CgroupRow| {
        vec![
            path(&row.path, width.saturating_sub(CGROUP_FIGURES).clamp(30, 60)),
            human::bytes(row.memory),
            human::bytes_change(row.growth),
            row.slab.map_or("-".to_owned(), human::bytes),
            row.slab_growth.map_or("-".to_owned(), human::bytes_change),
        ]
    };
    let slab = if version == Version::V1 { "KERNEL" } else { "SLAB" };
    let table = Table {
        head: vec!["CGROUP (WITHOUT THOSE IN IT)", "MEMORY", "GREW", slab, "GREW"],
        rows: top.rows.iter().map(row).collect(),
        foot: foot(top, "cgroups", "that were not read: 4,000 are, in the biggest first"),
    };
    vec![Block::Table(table)]
}

/// The end of a path that is too long: it tells more than its beginning.
fn path(path: &[u8], width: usize) -> String {
    let text = clean(path);
    let too_many = text.chars().count().saturating_sub(width);
    if too_many == 0 { text } else { format!("…{}", text.chars().skip(too_many + 1).collect::<String>()) }
}

fn caches(page: &Page) -> Vec<Block> {
    let top = &page.caches;
    if top.rows.is_empty() {
        return Vec::new();
    }
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let row = |row: &CacheRow| {
        let merged =
            if row.aliases.is_empty() { String::new() } else { format!(" (+{} merged)", row.aliases.len()) };
        vec![
            clean(row.name.as_bytes()) + &merged,
            human::bytes(row.bytes),
            human::bytes_change(row.growth),
            human::count(row.objects),
            human::count_change(row.objects_growth),
            row.reclaimable.map_or("-".to_owned(), yes_no),
        ]
    };
    let table = Table {
        head: vec!["SLAB CACHE", "MEMORY", "GREW", "OBJECTS", "GREW", "RECLAIM"],
        rows: top.rows.iter().map(row).collect(),
        foot: foot(top, "caches", ""),
    };
    vec![Block::Table(table)]
}

/// The session's own last report, as it stands at the end of a session.
fn tracing(tracing: &Tracing, width: usize) -> Vec<Block> {
    let names =
        |caches: &[String]| caches.iter().map(|name| clean(name.as_bytes())).collect::<Vec<_>>().join(", ");
    match tracing {
        Tracing::NotNeeded => Vec::new(),
        Tracing::Failed { caches, why } => vec![
            Block::Heading("Who fills the slab".to_owned()),
            Block::Lines(vec![format!("not traced ({}): {}", names(caches), clean(why.as_bytes()))]),
        ],
        Tracing::Done { caches, last } => {
            let frame = Frame { width: Some(width), height: None };
            // What is left of each part of the time says it; how old that is does not say more.
            let last = &Snapshot { ages: Vec::new(), ..(**last).clone() };
            vec![
                Block::Heading(format!(
                    "Who fills the slab: {} traced for {}",
                    names(caches),
                    human::duration(last.elapsed)
                )),
                Block::Drawn(table::render(last, frame, Style::Plain)),
            ]
        }
    }
}

fn suspects(page: &Page) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (number, finding) in page.findings.iter().enumerate() {
        let title = if number == 0 { "Suspect" } else { "Also" };
        blocks.push(Block::Heading(format!("{title}: {}", what(finding))));
        blocks.push(Block::List(evidence(finding, page)));
    }
    blocks
}

fn advice(page: &Page) -> Vec<Block> {
    let advice = &page.advice;
    let mut blocks = Vec::new();
    for (title, texts) in [("Now", &advice.now), ("For good", &advice.for_good), ("Watch", &advice.watch)] {
        if !texts.is_empty() {
            blocks.push(Block::Heading(title.to_owned()));
            blocks.push(Block::List(texts.clone()));
        }
    }
    blocks.push(Block::Heading("By hand".to_owned()));
    let mut commands = advice.by_hand.clone();
    if !page.nodes.is_empty() {
        commands.push(("lscpu | grep NUMA; numastat -m".to_owned(), "the same by NUMA node"));
    }
    blocks.push(Block::Commands(commands));
    blocks
}
