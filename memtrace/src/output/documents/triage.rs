//! A page of triage: the answer in a few lines, the figures, who fills the slab, the suspect, what to do.

use super::report;
use crate::{
    output::{
        model::{Block, Command, Content, Fact, Sentence, Table},
        phrases::triage::{evidence, headline, signs, what},
        tables::triage as tables,
    },
    text::{escape, human, time::rfc3339_seconds},
    triage::{
        page::{Page, Top},
        sample::page_size,
        tracing::Tracing,
    },
    view::Snapshot,
};

/// Cells of a terminal, where there is no window.
pub const WIDTH: usize = 100;

pub fn document(page: &Page) -> Vec<Block> {
    let advice = &page.advice;
    [
        vec![title(page)],
        answer(page),
        memory(page),
        section("Signs of memory pressure", list(&signs(&page.signs, page.total / page_size()))),
        top(&page.processes, "processes", "not read: limited to 20,000", tables::processes),
        top(&page.cgroups, "cgroups", "not read: limited to 4,000, largest parents first", |rows| {
            tables::cgroups(rows, page.cgroup_version)
        }),
        top(&page.caches, "caches", "", tables::slab_caches),
        tracing(&page.tracing),
        suspects(page),
        section("Now", list(&advice.now)),
        section("For good", list(&advice.for_good)),
        section("Watch", list(&advice.watch)),
        by_hand(page),
        section("Not known", notes(&page.notes)),
    ]
    .concat()
}

/// Nothing without a body.
fn section(title: &str, body: Vec<Block>) -> Vec<Block> {
    if body.is_empty() { body } else { [vec![Block::heading(title)], body].concat() }
}

fn list(items: &[String]) -> Vec<Block> {
    let list = || Block::list(items.iter().map(|item| Sentence::default().advice(&**item)));
    if items.is_empty() { Vec::new() } else { vec![list()] }
}

fn notes(notes: &[String]) -> Vec<Block> {
    let list = || Block::list(notes.iter().map(Sentence::outside));
    if notes.is_empty() { Vec::new() } else { vec![list()] }
}

fn paragraph(text: impl Into<Sentence>) -> Block {
    Block::new(Content::Sentence { text: text.into(), indent: 0, hang: 2 })
}

fn title(page: &Page) -> Block {
    let facts = [
        Fact::new(0, "memtrace triage"),
        Fact::new(1, Sentence::default().name(page.host.as_bytes())),
        Fact::new(2, Sentence::default().name(page.kernel.as_bytes())),
        Fact::new(1, format!("{} up to {}", human::duration(page.length), rfc3339_seconds(page.time))),
    ];
    Block::new(Content::Title(facts.into()))
}

/// What it is, who does it, how bad it is.
fn answer(page: &Page) -> Vec<Block> {
    let who = match &page.tracing {
        Tracing::Done { last, .. } => report::brief(last),
        Tracing::NotNeeded | Tracing::Failed { .. } => Vec::new(),
    };
    let used = 1.0 - page.available as f64 / page.total.max(1) as f64;
    let usage = format!(
        "memory: {} in use, {} of {} available",
        human::percent(used),
        human::bytes(page.available),
        human::bytes(page.total)
    );
    let who = who.into_iter().map(|sentence| paragraph(sentence).indented(2));
    std::iter::once(paragraph(headline(page))).chain(who).chain([paragraph(usage)]).collect()
}

/// A table with a blank line before it, and what stands below.
fn table(table: Table, foot: Option<String>) -> Vec<Block> {
    let blank = Block::new(Content::Section(""));
    let foot = foot.map(|foot| Block::new(Content::Sentence { text: foot.into(), indent: 0, hang: 0 }));
    [blank, Block::table(table)].into_iter().chain(foot).collect()
}

fn memory(page: &Page) -> Vec<Block> {
    let dentries = page.dentries.map(|row| {
        format!(
            "dentries: {} ({}), of which unused {}, negative {} ({})",
            human::grouped(row.now.all),
            human::count_change(row.growth),
            human::grouped(row.now.unused),
            human::grouped(row.now.negative),
            human::count_change(row.negative_growth)
        )
    });
    [table(tables::memory(page), dentries), table(tables::nodes(&page.nodes), None)].concat()
}

/// The first rows, and how many there are beside them.
fn top<T>(top: &Top<T>, what: &str, why_not_read: &str, build: impl Fn(&[T]) -> Table) -> Vec<Block> {
    if top.rows.is_empty() {
        return Vec::new();
    }
    let more = top.of - top.rows.len();
    let shown = (more > 0).then(|| format!("{} more {what}", human::grouped(more as u64)));
    let not_read =
        (top.left_out > 0).then(|| format!("{} {why_not_read}", human::grouped(top.left_out as u64)));
    let parts: Vec<_> = shown.into_iter().chain(not_read).collect();
    table(build(&top.rows), (!parts.is_empty()).then(|| parts.join(", ")))
}

/// The session's own last report, as it stands at the end of a session.
fn tracing(tracing: &Tracing) -> Vec<Block> {
    let names = |caches: &[String]| {
        caches.iter().map(|name| escape::terminal(name.as_bytes())).collect::<Vec<_>>().join(", ")
    };
    match tracing {
        Tracing::NotNeeded => Vec::new(),
        Tracing::Failed { caches, why } => {
            let failed = format!("not traced ({}): {}", names(caches), escape::terminal(why.as_bytes()));
            vec![Block::heading("Who fills the slab"), paragraph(failed)]
        }
        Tracing::Done { caches, last } => {
            let length = human::duration(last.elapsed);
            let title = format!("Who fills the slab: {} traced for {length}", names(caches));
            // What is left of each part of the time says it; how old that is does not say more.
            let last = Snapshot { ages: Vec::new(), ..(**last).clone() };
            [vec![Block::heading(title)], report::block(&last)].concat()
        }
    }
}

fn suspects(page: &Page) -> Vec<Block> {
    let suspect = |(number, finding)| {
        let title = if number == 0 { "Suspect" } else { "Also" };
        let items = evidence(finding, page).into_iter().map(Sentence::from);
        [Block::heading(format!("{title}: {}", what(finding))), Block::list(items)]
    };
    page.findings.iter().enumerate().flat_map(suspect).collect()
}

fn by_hand(page: &Page) -> Vec<Block> {
    let mut commands = page.advice.by_hand.clone();
    if !page.nodes.is_empty() {
        commands.push(("lscpu | grep NUMA; numastat -m".to_owned(), "the same by NUMA node"));
    }
    let commands = commands.into_iter().map(|(line, shows)| Command { line, shows: shows.to_owned() });
    vec![Block::heading("By hand"), Block::new(Content::Commands(commands.collect()))]
}
