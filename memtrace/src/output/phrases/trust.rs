//! How far the figures can be trusted. Calm and short when all is well; what was lost is said with its consequence, since a lost
//! free looks exactly like a leak.

use crate::{
    output::model::BOUND,
    text::{escape, human},
    view::{Row, Settled, Snapshot, Trust, reconcile},
};

/// An error of one in so many is none to care about.
const NEGLIGIBLE: u64 = 1_000;

/// What a judgement begins with that is none to care about.
const FINE: &str = "fine";

/// Whether there is nothing to care about.
pub fn is_fine(snapshot: &Snapshot) -> bool {
    judgement(snapshot).starts_with(FINE)
}

/// `fine · 2,444,938 events, 0 lost · slabinfo agrees within 0.2%`.
pub fn summary(snapshot: &Snapshot) -> String {
    facts(snapshot).join(&format!("{BOUND}· "))
}

/// What to care about, then why: the most important first.
pub fn facts(snapshot: &Snapshot) -> Vec<String> {
    let Snapshot { trust, sampling, .. } = snapshot;
    let lost = trust.lost();
    let share = match lost {
        0 => String::new(),
        _ => format!(" ({})", human::percent(lost as f64 / trust.emitted as f64)),
    };
    let events = format!("{}, {} lost{share}", human::number(trust.emitted, "event"), human::grouped(lost));
    let sampled = sampling.is_on().then(|| format!("1 in {} sampled", sampling.period));
    let count = |n: u64, what| (n > 0).then(|| format!("{} {what}", human::grouped(n)));
    let facts = [
        Some(judgement(snapshot)),
        Some(events),
        sampled,
        count(trust.reused_pointers, "frees unseen"),
        count(trust.recursion_misses, "missed"),
        count(trust.refused, "refused"),
        count(trust.unresolved, "unresolved"),
        agreement(snapshot),
        count(trust.unknown_frees, "frees of other objects"),
    ];
    facts.into_iter().flatten().map(|fact| fact.replace(' ', &BOUND.to_string())).collect()
}

/// Which way the counts of objects may be wrong, and how far at most where that is known.
fn judgement(snapshot: &Snapshot) -> String {
    let Snapshot { trust, caches, sampling, is_final, .. } = snapshot;
    let unexplained = reconcile::unexplained(caches).map_or(0, |(_, growth)| growth.unexplained());
    let is_out = *is_final && trust.emitted != trust.accounted();
    // Of frees that nobody saw, reused pointers are only the ones that came to light. Where there are many, rows are marked.
    let has_partial = caches.iter().any(|cache| cache.partial.is_some());
    let may_be_high = (trust.reused_pointers > 0 && !has_partial) || unexplained < 0 || is_out;
    let may_be_low = unexplained > 0 || is_out;
    // Each stands for as many objects as are followed one of.
    let most = |events: u64| events.saturating_mul(sampling.period.into());
    let high = most(trust.lost_frees.saturating_add(trust.recursion_misses));
    let low = [trust.lost_allocs, trust.refused, trust.unresolved, trust.recursion_misses];
    let low = most(low.into_iter().fold(0, u64::saturating_add));
    let by = |most: u64, is_more: bool| match is_more {
        true => String::new(),
        false => format!("up to {} ", human::grouped(most)),
    };
    let outstanding = caches.iter().map(|cache| cache.outstanding_objects).fold(0, u64::saturating_add);
    let most_off = high.max(low);
    let is_close = most_off > 0 && most_off <= outstanding / NEGLIGIBLE && !may_be_high && !may_be_low;
    match (high > 0 || may_be_high, low > 0 || may_be_low) {
        _ if is_close => format!("{FINE}, to within {}", human::number(most_off, "object")),
        (false, false) if has_partial => format!("{FINE}, but for what is partial"),
        (false, false) => FINE.to_owned(),
        (true, false) => format!("counts may be {}too high", by(high, may_be_high)),
        (false, true) => format!("counts may be {}too low", by(low, may_be_low)),
        (true, true) => {
            format!("counts may be {}too high or too low", by(most_off, may_be_high || may_be_low))
        }
    }
}

/// What is wrong, and what that does to the figures.
pub fn problems(trust: &Trust, is_final: bool) -> Vec<String> {
    // Only a drained ring has to balance: before, events are still on their way.
    let unaccounted = if is_final { trust.emitted.abs_diff(trust.accounted()) } else { 0 };
    let problem =
        |n, what, consequence: &str| (n > 0).then(|| format!("{} {consequence}", human::number(n, what)));
    let lost_frees = format!(
        "lost: up to {} above may already be free (a lost free looks like a leak)",
        human::number(trust.lost_frees, "object")
    );
    let problems = [
        problem(trust.lost_frees, "free", &lost_frees),
        problem(trust.lost_allocs, "alloc", "lost: as many objects may be missing above"),
        problem(trust.lost_names, "name", "lost: those objects are counted, but not named"),
        problem(
            trust.reused_pointers,
            "free",
            "unseen, as addresses that were handed out again show: more objects may only look leaked",
        ),
        (trust.recursion_misses > 0).then(|| {
            let runs = human::number(trust.recursion_misses, "probe run");
            format!("up to {runs} skipped by the kernel's recursion guard: allocs or frees may be missing")
        }),
        problem(trust.refused, "alloc", "refused: the ledger is full, figures above are too low"),
        problem(trust.unresolved, "object", "unresolved: cache unknown"),
        problem(unaccounted, "event", "unaccounted for: a bug in memtrace, figures above may be wrong"),
    ];
    problems.into_iter().flatten().collect()
}

/// How well what was traced agrees with slabinfo. None where nothing could be compared, or not yet.
fn agreement(snapshot: &Snapshot) -> Option<String> {
    if let Some((cache, growth)) = reconcile::unexplained(&snapshot.caches) {
        let (slabinfo, traced) =
            (human::grouped_change(growth.slabinfo), human::grouped_change(growth.traced));
        let unexplained = human::grouped(growth.unexplained().unsigned_abs());
        return Some(format!(
            "slabinfo {slabinfo} {}, traced {traced}: {unexplained} unexplained",
            escape::terminal(cache.name.as_bytes())
        ));
    }
    let disagreement = 1.0 - snapshot.trust.slabinfo_agreement?;
    // To the next tenth of a percent, so that nothing is said to be better than it is.
    let percent = (disagreement * 1000.0 - 1e-6).ceil().max(1.0) / 10.0;
    Some(format!("slabinfo agrees within {percent}%"))
}

pub fn settled(settled: Settled, rows: &[Row]) -> String {
    let Settled { time, freed } = settled;
    let has_news = rows.iter().any(|row| row.objects_until_end > 0);
    let news =
        if has_news { "; UNTIL END: held until the end, and freed since as the process ended" } else { "" };
    format!("settled {}: {} more freed{news}", human::duration(time), human::grouped(freed))
}
