//! Reports in Markdown (GitHub's), to be pasted into a ticket: the verdict first, then tables.
//!
//! What comes from outside stands as code, where neither Markdown nor HTML means anything; sentences that are from outside in
//! part have their signs escaped. See [`escape::code`] and [`escape::markdown`].

mod difference;

use std::borrow::Cow;

pub use self::difference::difference;
use super::table::{partial, place, trust, verdict};
use crate::{
    text::{escape, human},
    view::{By, CacheTotals, Directory, Row, Snapshot, StackShare, Trend, Verdict},
};

/// How much of a name a table shows.
const NAME_WIDTH: usize = 120;

/// Rows with stacks, and stacks of each.
const STACKED_ROWS: usize = 3;
const STACKS_OF_EACH: usize = 3;

const MARKDOWN: verdict::Medium = verdict::Medium { name, text: advice };

/// Columns, of which the first `texts` are to the left and the others to the right. Cells are Markdown already.
pub(super) fn table(texts: usize, head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let texts = texts.min(head.len());
    let rule = format!("|{}{}\n", "---|".repeat(texts), "--:|".repeat(head.len() - texts));
    line(head) + &rule + &rows.iter().map(|cells| line(cells)).collect::<String>()
}

/// The final report.
pub fn report(snapshot: &Snapshot) -> String {
    let sections = [
        format!("# memtrace report\n\n{}", verdict_of(snapshot.verdict.as_ref())),
        about(snapshot),
        section("Who holds it", rows(snapshot)),
        section("Calls that led to it", stacks(snapshot)),
        section("Slab caches", caches(&snapshot.caches)),
        section("Directories, with all that is below", directories(&snapshot.directories)),
        section("Trust", trust_of(snapshot)),
        section("Notes", list(snapshot.notes.iter().map(|note| sentence(note)))),
    ];
    sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A name as code, or nothing.
fn name(bytes: &[u8]) -> String {
    let text = escape::terminal(bytes);
    escape::code(&crate::text::width::cut(&text, NAME_WIDTH))
}

/// A sentence that may have a name in it. What a forge would make a link of stands as code, whole.
fn sentence(text: &str) -> String {
    let text = escape::terminal(text.as_bytes());
    if is_linked(&text) { escape::code(&text) } else { escape::markdown_line(&text).into_owned() }
}

fn is_linked(text: &str) -> bool {
    ["@", "#", "://", "www."].iter().any(|sign| text.contains(sign))
}

/// A sentence in which commands stand between backticks.
fn advice(text: &str) -> String {
    let links = text.split('`').step_by(2).any(is_linked);
    if links { sentence(text) } else { escape::markdown_prose(&escape::terminal(text.as_bytes())) }
}

fn section(title: &str, body: String) -> String {
    if body.is_empty() { body } else { format!("## {title}\n\n{body}") }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.map(|item| format!("- {item}\n")).collect()
}

fn heads(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

fn verdict_of(verdict: Option<&Verdict>) -> String {
    let Some(verdict) = verdict else {
        return "**Verdict:** none, there were too few reports to tell\n".to_owned();
    };
    let mut texts = verdict::texts(verdict, MARKDOWN).into_iter();
    let claim = texts.next().unwrap_or_default();
    let more = list(texts);
    let gap = if more.is_empty() { "" } else { "\n" };
    format!("**Verdict:** {claim}\n{gap}{more}")
}

/// Where and when, what is outstanding, what was left out.
fn about(snapshot: &Snapshot) -> String {
    let time = snapshot.time.max(std::time::SystemTime::UNIX_EPOCH);
    let sum = |of: fn(&CacheTotals) -> u64| snapshot.caches.iter().map(of).fold(0, u64::saturating_add);
    let mut facts = vec![
        format!("host {}, kernel {}", name(snapshot.host.as_bytes()), name(snapshot.kernel.as_bytes())),
        format!(
            "traced for {} up to {}",
            human::duration(snapshot.elapsed),
            humantime::format_rfc3339_seconds(time)
        ),
        format!(
            "{} objects outstanding ({}) of {} allocated",
            human::grouped(sum(|cache| cache.outstanding_objects)),
            human::bytes(sum(|cache| cache.outstanding_bytes)),
            human::grouped(sum(|cache| cache.allocs))
        ),
    ];
    facts.extend(snapshot.older.map(|age| format!("rows count objects older than {}", human::duration(age))));
    let period = snapshot.sampling.period;
    facts.extend(
        snapshot
            .sampling
            .is_on()
            .then(|| format!("1 in {period} objects is followed: figures are estimates")),
    );
    facts.extend(snapshot.meminfo.map(|meminfo| {
        format!(
            "Slab {}, SReclaimable {}, SUnreclaim {}",
            human::bytes(meminfo.slab),
            human::bytes(meminfo.sreclaimable),
            human::bytes(meminfo.sunreclaim)
        )
    }));
    section("Session", list(facts.into_iter()))
}

fn rows(snapshot: &Snapshot) -> String {
    if snapshot.rows.is_empty() && snapshot.rest.is_none() {
        return "No objects are outstanding.\n".to_owned();
    }
    let mut head: Vec<String> = snapshot.by.iter().map(|by| by.name().to_uppercase()).collect();
    head.push("WHERE".to_owned());
    if tells_who_started(snapshot) {
        head.push("STARTED BY".to_owned());
    }
    let texts = head.len();
    head.extend(heads(&[
        "OBJECTS", "BYTES", "ALLOCS", "FREES", "GROWTH", "TREND", "OLDEST", "KEPT", "PROCS",
    ]));
    let mut lines: Vec<Vec<String>> = snapshot.rows.iter().map(|row| row_cells(snapshot, row)).collect();
    lines.extend(snapshot.rest.map(|rest| {
        let mut cells = vec![String::new(); head.len()];
        cells[0] = format!("… {} more", human::grouped(rest.rows));
        cells[texts] = human::count(rest.objects);
        cells[texts + 1] = human::bytes(rest.bytes);
        cells
    }));
    table(texts, &head, &lines)
}

/// Where rows are grouped by it, it is told already.
fn tells_who_started(snapshot: &Snapshot) -> bool {
    !snapshot.by.contains(By::Ancestors)
}

fn row_cells(snapshot: &Snapshot, row: &Row) -> Vec<String> {
    let key = |at: usize| row.keys.get(at).map_or_else(String::new, |key| name(key));
    let mut cells: Vec<String> = snapshot.by.iter().enumerate().map(|(at, _)| key(at)).collect();
    let limits = partial::of_row(snapshot, row);
    if let Some(first) = cells.first_mut().filter(|_| !limits.is_empty()) {
        *first += &format!(" ({limits})");
    }
    cells.push(row.names.first().map_or_else(String::new, |group| name(&place::name(group))));
    if tells_who_started(snapshot) {
        let most = row.started_by.first();
        cells.push(most.map_or_else(String::new, |most| name(&most.comms.join(&b" < "[..]))));
    }
    cells.extend([
        human::count(row.objects),
        human::bytes(row.bytes),
        human::rate(row.allocs_per_s),
        human::rate(row.frees_per_s),
        human::growth(row.growth_per_s),
        trend(row.trend).to_owned(),
        row.oldest.map_or_else(|| "-".to_owned(), human::duration),
        percent(row.survival()),
        human::count(row.processes),
    ]);
    cells
}

fn trend(trend: Trend) -> &'static str {
    match trend {
        // It is said under the verdict.
        Trend::TooEarly => "",
        trend => super::json::trend(trend),
    }
}

/// `<` and `>` are no letters here.
fn percent(share: f64) -> String {
    escape::markdown(&human::percent(share)).into_owned()
}

fn stacks(snapshot: &Snapshot) -> String {
    let Some(period) = snapshot.stacks_period else { return String::new() };
    let rows = snapshot.rows.iter().filter(|row| !row.stacks.is_empty()).take(STACKED_ROWS);
    let of_row = |row: &Row| {
        let who = row.keys.iter().map(|key| name(key)).collect::<Vec<_>>().join(", ");
        let share = |stack: &StackShare| {
            let calls = stack.frames.iter().map(|frame| name(frame.as_bytes())).collect::<Vec<_>>();
            let share = percent(stack.objects as f64 / row.stacked_objects.max(1) as f64);
            format!("{share}: {}", calls.join(" < "))
        };
        let told = human::grouped(row.stacked_objects);
        let calls = list(row.stacks.iter().take(STACKS_OF_EACH).map(share));
        format!("{who}: {told} objects, 1 in {period}\n\n{calls}")
    };
    rows.map(of_row).collect::<Vec<_>>().join("\n")
}

fn caches(caches: &[CacheTotals]) -> String {
    if caches.is_empty() {
        return String::new();
    }
    let cells = |cache: &CacheTotals| {
        let merged = match cache.aliases.len() {
            0 => String::new(),
            others => format!(" (+{others} merged)"),
        };
        let reclaim = match cache.reclaimable {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let partial = cache.partial.map_or_else(String::new, |partial| {
            format!("about {} of frees unseen", percent(partial.unseen_frees_share))
        });
        let unknown = || "-".to_owned();
        vec![
            name(cache.name.as_bytes()) + &merged,
            partial,
            human::count(cache.outstanding_objects),
            human::bytes(cache.outstanding_bytes),
            human::count(cache.allocs),
            human::count(cache.frees),
            human::bytes(cache.object_size),
            cache.slabinfo_objects.map_or_else(unknown, human::count),
            cache.growth.map_or_else(unknown, |growth| human::count_change(growth.slabinfo)),
            reclaim.to_owned(),
        ]
    };
    let head = heads(&[
        "CACHE", "LIMITS", "OBJECTS", "BYTES", "ALLOCS", "FREES", "EACH", "SLABINFO", "GREW", "RECLAIM",
    ]);
    table(2, &head, &caches.iter().map(cells).collect::<Vec<_>>())
}

fn directories(directories: &[Directory]) -> String {
    if directories.is_empty() {
        return String::new();
    }
    let cells = |directory: &Directory| {
        vec![
            name(&directory.path),
            directory.filesystem.as_deref().map_or_else(String::new, name),
            human::count(directory.objects),
            percent(directory.share),
            percent(directory.negatives.share()),
        ]
    };
    let head = heads(&["DIRECTORY", "FS", "DENTRIES", "SHARE", "NEGATIVE"]);
    table(2, &head, &directories.iter().map(cells).collect::<Vec<_>>())
}

/// What was counted, then what that does to the figures.
fn trust_of(snapshot: &Snapshot) -> String {
    let trust = &snapshot.trust;
    let lost = trust.lost_allocs.saturating_add(trust.lost_frees).saturating_add(trust.lost_names);
    let always =
        [("events that passed the filters", trust.emitted), ("applied", trust.applied), ("lost", lost)];
    let if_any = [
        ("allocations lost", trust.lost_allocs),
        ("frees lost", trust.lost_frees),
        ("names lost", trust.lost_names),
        ("frees of unknown objects", trust.unknown_frees),
        ("pointers reused", trust.reused_pointers),
        ("probe runs missed, at most", trust.recursion_misses),
        ("allocations refused", trust.refused),
        ("objects of no known cache", trust.unresolved),
    ];
    let counts = always.into_iter().chain(if_any.into_iter().filter(|(_, count)| *count > 0));
    let mut lines: Vec<Vec<String>> =
        counts.map(|(what, count)| vec![what.to_owned(), human::grouped(count)]).collect();
    lines.extend(trust.slabinfo_agreement.map(|share| vec!["slabinfo explained".to_owned(), percent(share)]));
    let table = table(1, &heads(&["COUNTED", ""]), &lines);
    let problems = trust::problems(trust, snapshot.is_final);
    if problems.is_empty() {
        return table;
    }
    format!("{table}\n{}", list(problems.iter().map(|problem| sentence(problem))))
}

/// What a table's cell may hold of our own words.
fn words(text: &str) -> Cow<'_, str> {
    escape::markdown(text)
}

#[cfg(test)]
mod tests;
