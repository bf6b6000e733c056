//! What stands below the table: totals, the verdict, how far the figures can be trusted, and the notes.
//!
//! Calm and short when all is well. What was lost is said with its consequence, since a lost free looks exactly
//! like a leak.

use super::parts::{BOUND, fit, part, wrapped};
use super::{Keep, Line, Tone, agreement, clean, verdict};
use crate::{
    text::human,
    view::{CacheTotals, Sampling, Settled, Snapshot, Trust},
};

pub(super) fn lines(snapshot: &Snapshot, width: Option<usize>) -> Vec<Line> {
    let mut lines = vec![Line::blank(), totals(snapshot, width)];
    lines.extend(snapshot.settled.map(settled));
    lines.extend(verdict::lines(snapshot, width));
    for (text, tone, keep) in said(snapshot) {
        lines.extend(wrapped(&text, width).map(|line| Line::new(line, tone, keep)));
    }
    lines
}

/// How far the figures can be trusted, and the notes: a sentence each.
pub(super) fn sentences(snapshot: &Snapshot) -> Vec<String> {
    let one_line = |text: String| text.trim_start().replace(BOUND, " ");
    said(snapshot).into_iter().map(|(text, ..)| one_line(text)).collect()
}

fn said(snapshot: &Snapshot) -> Vec<(String, Tone, Keep)> {
    let problems = problems(&snapshot.trust, snapshot.is_final);
    let tone = if problems.is_empty() { Tone::Quiet } else { Tone::Alarm };
    let agreement = agreement::words(snapshot).map(|words| format!("{BOUND}· {words}")).unwrap_or_default();
    let mut said = vec![(summary(&snapshot.trust, snapshot.sampling) + &agreement, tone, Keep::Trust)];
    said.extend(problems.iter().map(|problem| (format!("  {problem}"), Tone::Warning, Keep::Problem)));
    let notes = snapshot.notes.iter().map(|note| format!("note: {}", clean(note)));
    said.extend(notes.map(|note| (note, Tone::Quiet, Keep::Note)));
    said
}

fn totals(snapshot: &Snapshot, width: Option<usize>) -> Line {
    let sum = |of: fn(&CacheTotals) -> u64| snapshot.caches.iter().map(of).fold(0, u64::saturating_add);
    let held = human::grouped(sum(|cache| cache.outstanding_objects));
    let bytes = human::bytes(sum(|cache| cache.outstanding_bytes));
    let parts = [
        part(1, if snapshot.is_final { "totals" } else { "since attach" }),
        part(0, format!("{held} outstanding ({bytes})")),
        part(2, number(sum(|cache| cache.allocs), "alloc")),
        part(3, number(sum(|cache| cache.frees), "free")),
    ];
    Line::new(fit(&parts, width), Tone::Normal, Keep::Totals)
}

fn settled(settled: Settled) -> Line {
    let (time, freed) = (human::duration(settled.time), human::grouped(settled.freed));
    Line::new(format!("settled {time}: {freed} more freed"), Tone::Quiet, Keep::Note)
}

pub(in crate::output) fn summary(trust: &Trust, sampling: Sampling) -> String {
    let lost = lost(trust);
    let share = match lost {
        0 => String::new(),
        _ => format!(" ({})", human::percent(lost as f64 / trust.emitted as f64)),
    };
    let mut text = format!("trust: {}, {} lost{share}", number(trust.emitted, "event"), human::grouped(lost));
    if sampling.is_on() {
        text += &format!("{BOUND}· 1{BOUND}in{BOUND}{}{BOUND}sampled", sampling.period);
    }
    let more = [
        (trust.unknown_frees, "unknown frees"),
        (trust.reused_pointers, "reused"),
        (trust.recursion_misses, "missed"),
        (trust.refused, "refused"),
        (trust.unresolved, "unresolved"),
    ];
    for (n, what) in more.into_iter().filter(|(n, _)| *n > 0) {
        text += &format!("{BOUND}· {}{BOUND}{}", human::grouped(n), what.replace(' ', &BOUND.to_string()));
    }
    text
}

pub(in crate::output) fn lost(trust: &Trust) -> u64 {
    trust.lost_allocs.saturating_add(trust.lost_frees).saturating_add(trust.lost_names)
}

/// What is wrong, and what that does to the figures.
pub(in crate::output) fn problems(trust: &Trust, is_final: bool) -> Vec<String> {
    // Only a drained ring has to balance: before, events are still on their way.
    let accounted = trust.applied.saturating_add(lost(trust));
    let unaccounted = if is_final { trust.emitted.abs_diff(accounted) } else { 0 };
    let lost_frees = format!(
        "lost: up to {} above may be free already (a lost free looks like a leak)",
        number(trust.lost_frees, "object")
    );
    [
        (trust.lost_frees, "free", lost_frees.as_str()),
        (trust.lost_allocs, "alloc", "lost: as many objects may be missing above"),
        (trust.lost_names, "name", "lost: those objects are counted, but not named"),
        (
            trust.reused_pointers,
            "pointer",
            "reused: the kernel freed those objects untraced, more may look leaked",
        ),
        (
            trust.recursion_misses,
            "probe run",
            "at most missed: skipped by the kernel, allocs or frees of some cache may be missing",
        ),
        (trust.refused, "alloc", "refused: the ledger is at its bound, figures above are too low"),
        (trust.unresolved, "object", "unresolved: of no known cache"),
        (unaccounted, "event", "unaccounted for: a bug in memtrace, figures above may be wrong"),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, what, so)| format!("{} {so}", number(n, what)))
    .collect()
}

pub(in crate::output) fn number(n: u64, what: &str) -> String {
    format!("{} {what}{}", human::grouped(n), if n == 1 { "" } else { "s" })
}
