//! A page of triage: who it is and what to do in 40 lines of a terminal; with details, all that is known.

use super::report;
use crate::{
    output::{
        model::{Block, Command, Content, Fact, Sentence, Table, Tone},
        phrases::{
            census,
            triage::{self as phrases, headline},
            verdict,
        },
        tables::triage as tables,
    },
    text::{human, time::rfc3339_seconds},
    triage::{
        page::{Page, Top},
        sample::page_size,
        tracing::{Traced, Tracing},
    },
    view::Snapshot,
};

/// Cells of a terminal, where there is no window.
pub const WIDTH: usize = 100;

/// Of what there is to say, what has room on one page.
const MAX_OTHERS: usize = 3;
const MAX_BESIDE: usize = 2;
const MAX_REASONS: usize = 5;
const MAX_ADVICE: usize = 4;
const CENSUS_ROWS: usize = 5;
/// Of the time.
const WAITED: f64 = 0.01;

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A page of a terminal.
    Page,
    /// Tables, and steps to do by hand as well.
    Details,
}

/// For a terminal: what was said first is said again at the end, where the eye is.
pub fn document(page: &Page, length: Length) -> Vec<Block> {
    let again = if page.suspect().is_some() { again(page) } else { Vec::new() };
    match length {
        Length::Page => [summary(page), more(page), again].concat(),
        Length::Details => [ticket(page), again].concat(),
    }
}

/// For a ticket: all of it, once.
pub fn ticket(page: &Page) -> Vec<Block> {
    let advice = &page.advice;
    let signs = page.signs.sentences(page.total / page_size(), page.short.is_any());
    [
        summary(page),
        section("For good", list(advised(&advice.for_good))),
        section("Watch", list(advised(&advice.watch))),
        memory(page),
        section("Signs of memory pressure", list(advised(&signs))),
        top(&page.processes, "processes", "not read: limited to 20,000", tables::processes),
        top(&page.cgroups, "cgroups", "not read: limited to 4,000, largest parents first", |rows| {
            tables::cgroups(rows, page.cgroup_version)
        }),
        top(&page.caches, "caches", "", tables::slab_caches),
        tracing(&page.tracing),
        slab_at_the_beginning(page),
        by_hand(page),
        section("Not known", list(page.notes.iter().map(Sentence::outside))),
    ]
    .concat()
}

/// Who, where, why we think so, what to do now.
fn summary(page: &Page) -> Vec<Block> {
    let Some(suspect) = page.suspect() else {
        return [vec![title(page), paragraph(headline(page))], already(page), others(page), usage(page)]
            .concat();
    };
    let place = phrases::place_of(suspect).map(|place| paragraph(Sentence::from("where: ") + place));
    let mut reasons = phrases::short(&page.short, page);
    reasons.extend(phrases::evidence(suspect, page));
    reasons.truncate(MAX_REASONS);
    [
        vec![title(page), paragraph(headline(page)).tone(Tone::Alarm), who(page)],
        place.into_iter().collect(),
        already(page),
        usage(page),
        section("Why", list(reasons)),
        section("Now", list(now(page))),
        section("Also", others(page)),
    ]
    .concat()
}

/// Whose the slab is that was there at the beginning.
fn already(page: &Page) -> Vec<Block> {
    let Some(census) = &page.census else { return Vec::new() };
    let there = census::already_there(census);
    there.into_iter().map(|cache| paragraph(Sentence::from("already there: ") + cache)).collect()
}

fn who(page: &Page) -> Block {
    let who = page.suspect().map(|suspect| phrases::who(suspect, page));
    paragraph(Sentence::from("who: ") + who.unwrap_or_default())
}

/// With what helped in an incident like this one.
fn now(page: &Page) -> Vec<Sentence> {
    let claim = page.suspect().and_then(|suspect| suspect.claims.first());
    let known = claim.and_then(|claim| claim.known.as_ref()).into_iter().flat_map(verdict::remedy);
    advised(&page.advice.now).chain(known).take(MAX_ADVICE).collect()
}

/// What else there is: accused too, or harmless.
fn others(page: &Page) -> Vec<Block> {
    let (skip, most) = if page.suspect().is_some() { (1, MAX_BESIDE) } else { (0, MAX_OTHERS) };
    let others = page.candidates.get(skip..).unwrap_or_default();
    // Whoever is accused comes first.
    let (accused, harmless) = others.split_at(others.partition_point(|other| other.charge.is_some()));
    let accused = accused.iter().map(|candidate| phrases::also(candidate, page));
    let slow = page.slow_leak().map(|claim| phrases::slow(&claim, page));
    let harmless = harmless.iter().map(|candidate| phrases::harmless(candidate, page));
    accused.chain(slow).chain(harmless).take(most).map(paragraph).collect()
}

fn usage(page: &Page) -> Vec<Block> {
    let used = human::percent(1.0 - page.available as f64 / page.total.max(1) as f64);
    let [available, total] = [page.available, page.total].map(human::bytes);
    let waited = page.signs.stalled.filter(|share| *share >= WAITED);
    let waited = waited.map(|share| format!("; tasks waited for it {} of the time", human::percent(share)));
    let usage =
        format!("memory: {used} in use, {available} of {total} available{}", waited.unwrap_or_default());
    vec![paragraph(usage), paragraph(format!("all memory: {}", phrases::parts(page)))]
}

/// The three lines that count.
fn again(page: &Page) -> Vec<Block> {
    let now = now(page).into_iter().next().unwrap_or_default();
    let blank = Block::new(Content::Section(""));
    let lines = [
        blank,
        paragraph(headline(page)).tone(Tone::Alarm),
        who(page),
        paragraph(Sentence::from("now: ") + now),
    ];
    lines.into()
}

/// Where there is more.
fn more(page: &Page) -> Vec<Block> {
    let notes =
        page.notes.iter().map(|note| paragraph(Sentence::from("not known: ") + Sentence::outside(note)));
    let more = "more: memtrace triage --details has tables, and steps to do by hand";
    notes.chain([paragraph(more)]).map(|block| block.tone(Tone::Quiet)).collect()
}

/// Nothing without a body.
fn section(title: &str, body: Vec<Block>) -> Vec<Block> {
    if body.is_empty() { body } else { [vec![Block::heading(title)], body].concat() }
}

fn list(items: impl IntoIterator<Item = Sentence>) -> Vec<Block> {
    let items: Vec<Sentence> = items.into_iter().collect();
    if items.is_empty() { Vec::new() } else { vec![Block::list(items)] }
}

fn advised(sentences: &[String]) -> impl Iterator<Item = Sentence> {
    sentences.iter().map(|sentence| Sentence::default().advice(&**sentence))
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
    [table(tables::memory(page.total, &page.parts), dentries), table(tables::nodes(&page.nodes), None)]
        .concat()
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
    let last = match &tracing.traced {
        Ok(Traced { last, .. }) => last,
        Err(why) => {
            let failed = Sentence::from("not traced: ") + Sentence::outside(why);
            return vec![Block::heading("Who fills the slab"), paragraph(failed)];
        }
    };
    let caches = tracing.caches.iter().map(String::as_bytes);
    let title = Sentence::from("Who fills the slab: ").names(caches, ", ");
    let title = title.words(format!(" traced for {}", human::duration(last.elapsed)));
    // What is left of each part of the time says it; how old that is does not say more.
    let last = Snapshot { ages: Vec::new(), ..(**last).clone() };
    [vec![Block::heading(title)], report::block(&last)].concat()
}

fn slab_at_the_beginning(page: &Page) -> Vec<Block> {
    page.census.as_ref().map(|census| super::census::part(census, CENSUS_ROWS)).unwrap_or_default()
}

fn by_hand(page: &Page) -> Vec<Block> {
    let mut commands = page.advice.by_hand.clone();
    if !page.nodes.is_empty() {
        commands.push(("lscpu | grep NUMA; numastat -m".to_owned(), "the same by NUMA node"));
    }
    let commands = commands.into_iter().map(|(line, shows)| Command { line, shows: shows.to_owned() });
    vec![Block::heading("By hand"), Block::new(Content::Commands(commands.collect()))]
}
