//! A report: as a block for a terminal, whose last lines are what stays in sight, and as a page for a ticket, which begins with
//! the verdict. Both are made of the same parts.

use crate::{
    output::{
        model::{Block, Content, Fact, Keep, Sentence, Tone},
        phrases::{self, trust, verdict},
        tables,
    },
    text::{human, time::rfc3339_seconds},
    view::{By, Finding, OwnCost, Row, Snapshot, Verdict, bias::Bias, snapshot::Totals},
};

/// Of many caches, how many have a line above the rows.
const CACHES_SHOWN: usize = 3;
/// Of a cache's aliases, how many are named.
const ALIASES_SHOWN: usize = 6;
/// With less of all dentries, a directory is not worth a line.
const MIN_SHARE: f64 = 0.01;
/// Rows with stacks, and stacks of each.
const STACKED_ROWS: usize = 3;
const STACKS_OF_EACH: usize = 3;
/// Rows of each cache of what was there before.
const CENSUS_ROWS: usize = 5;

/// For a terminal.
pub fn block(snapshot: &Snapshot) -> Vec<Block> {
    let blank = |keep| vec![Block::new(Content::Section("")).keep(keep)];
    let below = |keep, blocks: Vec<Block>| [blank(keep), blocks].concat();
    [
        vec![title(snapshot, snapshot.is_final)],
        caches(snapshot),
        filter(snapshot),
        host(snapshot),
        own_cost(&snapshot.own_cost),
        already(snapshot),
        below(Keep::Blank, rows(snapshot)),
        below(Keep::Blank, stacks(snapshot)),
        below(Keep::Age, ages(snapshot)),
        below(Keep::Age, cohorts(snapshot)),
        below(Keep::Directory, directories(snapshot, MIN_SHARE)),
        below(Keep::Blank, totals(snapshot)),
        snapshot.verdict.as_ref().map(|verdict| verdict_of(verdict, snapshot.is_final)).unwrap_or_default(),
        trust_of(snapshot),
        notes(snapshot),
    ]
    .concat()
}

/// What stands above whatever else is shown of it, a line each: what, when, what it comes to, of which caches.
pub fn head(snapshot: &Snapshot) -> Vec<Block> {
    let accused = snapshot.verdict.as_ref().filter(|verdict| verdict.first().is_some());
    let verdict = accused.map(|known| {
        let claim = Sentence::strong("verdict:").words(" ") + verdict::claim(known);
        Block::facts([Fact::new(0, claim)]).tone(if known.is_alarming() { Tone::Alarm } else { Tone::Quiet })
    });
    let place = accused.and_then(Verdict::first).and_then(verdict::place_of).map(|place| {
        Block::facts([Fact::new(0, Sentence::from("  ") + place)]).tone(Tone::Warning).keep(Keep::Problem)
    });
    let lines = [Some(title(snapshot, false)), verdict, place].into_iter().flatten().collect();
    let trust = trust_line(snapshot).tone(tone_of_trust(snapshot)).keep(Keep::Trust);
    let caches = [caches(snapshot), filter(snapshot)].concat();
    [lines, vec![trust], caches, host(snapshot), own_cost(&snapshot.own_cost)].concat()
}

/// What there is to say of a finding below its accusation, at length.
pub fn finding(finding: &Finding) -> Vec<Block> {
    let line = |(sentence, tone, _)| Block::sentence(sentence).indented(2).tone(tone);
    let claim = Block::sentence(verdict::accusation(finding));
    let claim = if finding.is_accusation() { claim.tone(Tone::Alarm) } else { claim };
    std::iter::once(claim).chain(of_finding(finding).into_iter().map(line)).collect()
}

/// For a ticket.
pub fn page(snapshot: &Snapshot) -> Vec<Block> {
    let section = |title, blocks: Vec<Block>| [vec![Block::new(Content::Section(title))], blocks].concat();
    let no_verdict =
        || vec![Block::sentence(Sentence::strong("verdict:").words(format!(" {}", phrases::NO_VERDICT)))];
    let caches = Block::table(tables::slab_caches::table(snapshot));
    [
        vec![Block::new(Content::Title(vec![Fact::new(0, "memtrace report")]))],
        snapshot.verdict.as_ref().map_or_else(no_verdict, |verdict| verdict_of(verdict, true)),
        section("Session", session(snapshot)),
        section("Outstanding objects", rows(snapshot)),
        section("Call stacks", stacks(snapshot)),
        section("Ages", ages(snapshot)),
        section("Kept, by time of allocation", cohorts(snapshot)),
        section("Slab caches", vec![caches]),
        section("Directories", directories(snapshot, 0.0)),
        snapshot.census.as_ref().map(|census| super::census::part(census, CENSUS_ROWS)).unwrap_or_default(),
        section("Trust", trust_of(snapshot)),
        section("Notes", notes(snapshot)),
    ]
    .concat()
}

/// The verdict's sentences as text; none while it is too early to tell.
pub fn verdict_sentences(snapshot: &Snapshot) -> Vec<String> {
    let Some(verdict) = &snapshot.verdict else { return Vec::new() };
    let details = details(verdict, true).into_iter().map(|(sentence, ..)| sentence.text());
    std::iter::once(verdict::claim(verdict).text()).chain(details).collect()
}

/// How far the figures can be trusted, and the notes: a sentence each, for formats that have no table above them.
pub fn trust_sentences(snapshot: &Snapshot) -> Vec<String> {
    let summary = Sentence::from(format!("trust: {}", trust::summary(snapshot)));
    let problems = trust::problems(&snapshot.trust, snapshot.is_final).into_iter().map(Sentence::from);
    let notes = snapshot.notes.iter().map(note);
    std::iter::once(summary).chain(problems).chain(notes).map(|sentence| sentence.text()).collect()
}

fn title(snapshot: &Snapshot, says_final: bool) -> Block {
    let elapsed = human::duration(snapshot.elapsed);
    let older = snapshot.older.map(|age| format!("older than {}", human::duration(age)));
    let facts = [
        Fact::label(0, "memtrace"),
        // The last block says so at once, where the eye is.
        Fact::new(1, if says_final { "FINAL" } else { "" }),
        // What OBJECTS and BYTES count.
        Fact::new(2, format!("allocated in {elapsed}, not freed")),
        Fact::new(3, older.unwrap_or_default()),
        Fact::new(5, Sentence::default().name(snapshot.host.as_bytes())),
        Fact::new(7, Sentence::default().name(snapshot.kernel.as_bytes())),
        Fact::new(6, rfc3339_seconds(snapshot.time)),
        Fact::new(4, format!("by {}", snapshot.by.names())),
        Fact::new(8, phrases::order(snapshot.sort)),
    ];
    Block::facts(facts).tone(Tone::Title)
}

/// Where and when, what is outstanding, what was left out.
fn session(snapshot: &Snapshot) -> Vec<Block> {
    let name = |what: &str, name: &str| Fact::new(0, Sentence::from(what).name(name.as_bytes()));
    let sampled = snapshot
        .sampling
        .is_on()
        .then(|| format!("1 in {} objects is followed: figures are estimates", snapshot.sampling.period));
    let older = snapshot.older.map(|age| format!("rows count objects older than {}", human::duration(age)));
    let window =
        format!("traced for {} up to {}", human::duration(snapshot.elapsed), rfc3339_seconds(snapshot.time));
    let head = [
        Block::facts([name("host ", &snapshot.host), name("kernel ", &snapshot.kernel)]),
        Block::sentence(window),
    ];
    let filter = filter(snapshot).into_iter();
    let left_out = filter.chain(older.into_iter().chain(sampled).map(Block::sentence));
    let rest = [host(snapshot), own_cost(&snapshot.own_cost), totals(snapshot)].concat();
    head.into_iter().chain(left_out).chain(rest).collect()
}

fn caches(snapshot: &Snapshot) -> Vec<Block> {
    let lines = |caches, indent| Block::table(tables::slab_caches::lines(caches, indent));
    match snapshot.caches.as_slice() {
        [] => vec![Block::sentence(phrases::NO_CACHES).tone(Tone::Quiet).keep(Keep::Cache)],
        [cache] => {
            let merged = phrases::merged_with(&cache.aliases, ALIASES_SHOWN)
                .map(|merged| Block::sentence(merged).indented(2).tone(Tone::Quiet).keep(Keep::Aliases));
            std::iter::once(lines(&snapshot.caches, 0).keep(Keep::Cache)).chain(merged).collect()
        }
        caches => {
            let totals = snapshot.totals();
            let facts = [
                Fact::new(0, format!("{} caches", human::grouped(caches.len() as u64))),
                Fact::new(1, format!("{} objects outstanding", human::grouped(totals.objects))),
                Fact::new(2, human::bytes(totals.bytes)),
            ];
            // Grouped by cache, the rows say the rest.
            let shown = if snapshot.by.contains(By::Cache) { 0 } else { caches.len().min(CACHES_SHOWN) };
            vec![Block::facts(facts).keep(Keep::Cache), lines(&caches[..shown], 1).keep(Keep::MoreCaches)]
        }
    }
}

/// What is not there because it was not asked for.
fn filter(snapshot: &Snapshot) -> Vec<Block> {
    if snapshot.filter.is_empty() {
        return Vec::new();
    }
    let facts = [
        Fact::label(0, "filter"),
        Fact::new(1, Sentence::outside(snapshot.filter.as_str())),
        Fact::new(2, "all else is left out"),
    ];
    vec![Block::facts(facts).keep(Keep::Cache)]
}

/// What the snapshot knows of the host's memory.
pub fn memory(snapshot: &Snapshot) -> Vec<Block> {
    let lines = snapshot.meminfo.map(|meminfo| {
        let line = |what: &str, bytes| Block::sentence(format!("{what:17}{}", human::bytes(bytes)));
        let available = meminfo.available.map(|bytes| line("available", bytes));
        let slab = [
            line("slab", meminfo.slab),
            line("  reclaimable", meminfo.sreclaimable),
            line("  unreclaimable", meminfo.sunreclaim),
        ];
        slab.into_iter().chain(available).collect::<Vec<_>>()
    });
    lines.unwrap_or_default()
}

fn host(snapshot: &Snapshot) -> Vec<Block> {
    let facts = snapshot.meminfo.map(|meminfo| {
        Block::facts([
            Fact::label(0, "host"),
            Fact::new(1, format!("Slab {}", human::bytes(meminfo.slab))),
            Fact::new(2, format!("SReclaimable {}", human::bytes(meminfo.sreclaimable))),
            Fact::new(2, format!("SUnreclaim {}", human::bytes(meminfo.sunreclaim))),
        ])
    });
    facts.map(|block| block.tone(Tone::Quiet).keep(Keep::Host)).into_iter().collect()
}

/// Whose the slab was at the start; while the session goes on, of the largest cache.
fn already(snapshot: &Snapshot) -> Vec<Block> {
    let Some(census) = &snapshot.census else { return Vec::new() };
    let caches = if snapshot.is_final { usize::MAX } else { 1 };
    let there = phrases::census::already_there(census).into_iter().take(caches);
    let line = |cache| Block::sentence(Sentence::from("already there: ") + cache).keep(Keep::Already);
    there.map(|cache| line(cache).tone(Tone::Quiet)).collect()
}

/// Nothing is shown before anything is known.
fn own_cost(cost: &OwnCost) -> Vec<Block> {
    let figures = phrases::own_cost(cost);
    if figures.is_empty() {
        return Vec::new();
    }
    let facts = std::iter::once(Fact::label(0, "self"))
        .chain(figures.into_iter().map(|(rank, text)| Fact::new(rank, text)));
    vec![Block::facts(facts).tone(Tone::Quiet).keep(Keep::OwnCost)]
}

fn rows(snapshot: &Snapshot) -> Vec<Block> {
    let table = tables::rows::table(snapshot);
    vec![if table.is_empty() { Block::sentence(phrases::no_rows(snapshot)) } else { Block::table(table) }]
}

/// The calls that led to the first rows' objects.
fn stacks(snapshot: &Snapshot) -> Vec<Block> {
    let Some(period) = snapshot.stacks_period else { return Vec::new() };
    let of_row = |row: &Row| {
        let head = Sentence::from("stacks  ")
            .names(row.keys.iter().map(Vec::as_slice), ", ")
            .words(format!(": {} objects, 1 in {period}", human::grouped(row.stacked_objects)));
        let shares = row.stacks.iter().take(STACKS_OF_EACH).map(|stack| {
            let share = human::percent(stack.objects as f64 / row.stacked_objects.max(1) as f64);
            let calls = stack.frames.iter().map(|frame| frame.as_bytes());
            Block::sentence(Sentence::from(format!("{share} ")).names(calls, " < ")).indented(2)
        });
        std::iter::once(Block::sentence(head).tone(Tone::Head)).chain(shares).collect::<Vec<_>>()
    };
    let rows = snapshot.rows.iter().filter(|row| !row.stacks.is_empty()).take(STACKED_ROWS);
    rows.flat_map(of_row).map(|block| block.keep(Keep::Stack)).collect()
}

/// Only the final report has the time to read them.
fn ages(snapshot: &Snapshot) -> Vec<Block> {
    let buckets = if snapshot.is_final { snapshot.ages.as_slice() } else { &[] };
    vec![Block::table(tables::ages::ages(buckets)).keep(Keep::Age)]
}

fn cohorts(snapshot: &Snapshot) -> Vec<Block> {
    let table = snapshot.is_final.then(|| tables::ages::cohorts(snapshot));
    table.map(|table| Block::table(table).keep(Keep::Age)).into_iter().collect()
}

fn directories(snapshot: &Snapshot, min_share: f64) -> Vec<Block> {
    vec![Block::table(tables::directories::table(snapshot, min_share)).keep(Keep::Directory)]
}

fn totals(snapshot: &Snapshot) -> Vec<Block> {
    let Totals { allocs, frees, objects, bytes } = snapshot.totals();
    let (objects, bytes) = (human::grouped(objects), human::bytes(bytes));
    let facts = Block::facts([
        Fact::label(1, if snapshot.is_final { "totals" } else { "since attach" }),
        Fact::new(0, format!("{objects} outstanding ({bytes})")),
        Fact::new(2, human::number(allocs, "alloc")),
        Fact::new(3, human::number(frees, "free")),
    ]);
    let settled = snapshot.settled.map(|settled| {
        Block::sentence(trust::settled(settled, &snapshot.rows)).tone(Tone::Quiet).keep(Keep::Note)
    });
    std::iter::once(facts.keep(Keep::Totals)).chain(settled).collect()
}

/// Of accusations beside the first, so many have a line.
const MAX_ALSO: usize = 4;

/// The claim, then what else there is to say of it: all of that only where it stays in sight.
fn verdict_of(verdict: &Verdict, in_full: bool) -> Vec<Block> {
    let (tone, keep) = match verdict.is_alarming() {
        true => (Tone::Alarm, Keep::Trust),
        false => (Tone::Quiet, Keep::Note),
    };
    let claim = Sentence::strong("verdict:").words(" ") + verdict::claim(verdict);
    let details = details(verdict, in_full).into_iter();
    let details =
        details.map(|(sentence, tone, keep)| Block::sentence(sentence).indented(2).tone(tone).keep(keep));
    std::iter::once(Block::sentence(claim).tone(tone).keep(keep)).chain(details).collect()
}

fn details(verdict: &Verdict, in_full: bool) -> Vec<(Sentence, Tone, Keep)> {
    let Some(first) = verdict.first() else { return Vec::new() };
    let warning = |sentence| (sentence, Tone::Warning, Keep::Problem);
    let others = verdict.accused().skip(1).map(|other| Sentence::from("also: ") + verdict::accusation(other));
    if !in_full {
        let place = verdict::place_of(first).into_iter();
        return place.chain(others.take(1)).map(warning).collect();
    }
    of_finding(first).into_iter().chain(others.take(MAX_ALSO).map(warning)).collect()
}

fn of_finding(finding: &Finding) -> Vec<(Sentence, Tone, Keep)> {
    let warning = |sentence| (sentence, Tone::Warning, Keep::Problem);
    let mut all: Vec<_> = verdict::place_of(finding).into_iter().map(warning).collect();
    all.push(warning(verdict::evidence(finding)));
    all.extend(verdict::of_many_kinds(finding).map(warning));
    all.push(warning(verdict::consequence(finding).into()));
    all.extend(finding.known.first().into_iter().flat_map(verdict::remedy).map(warning));
    all.push((verdict::learn_more(finding), Tone::Quiet, Keep::Note));
    all.extend(finding.doubts.iter().map(|doubt| warning(format!("but {}", verdict::doubt(*doubt)).into())));
    all
}

fn trust_of(snapshot: &Snapshot) -> Vec<Block> {
    let problems = trust::problems(&snapshot.trust, snapshot.is_final);
    let tone = tone_of_trust(snapshot);
    // Before the end, rows need the room more than explanations.
    let (summary, keep) = match snapshot.is_final {
        true => (Block::sentence(format!("trust: {}", trust::summary(snapshot))), Keep::Problem),
        false => (trust_line(snapshot), Keep::Note),
    };
    let problem = |problem| Block::sentence(problem).indented(2).tone(Tone::Warning).keep(keep);
    std::iter::once(summary.tone(tone).keep(Keep::Trust)).chain(problems.into_iter().map(problem)).collect()
}

fn tone_of_trust(snapshot: &Snapshot) -> Tone {
    if Bias::of(snapshot).is_negligible { Tone::Quiet } else { Tone::Alarm }
}

/// What of it fits into one line.
fn trust_line(snapshot: &Snapshot) -> Block {
    let facts = (1..).zip(trust::facts(snapshot)).map(|(rank, fact)| Fact::new(rank, fact));
    Block::facts(std::iter::once(Fact::label(0, "trust:")).chain(facts))
}

fn notes(snapshot: &Snapshot) -> Vec<Block> {
    let quiet = |text| Block::sentence(note(text)).tone(Tone::Quiet).keep(Keep::Note);
    snapshot.notes.iter().map(quiet).collect()
}

fn note(text: &String) -> Sentence {
    Sentence::from("note: ") + Sentence::outside(text)
}

#[cfg(test)]
mod tests;
