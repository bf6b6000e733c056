//! How far the figures can be trusted. Calm and short when all is well; what was lost is said with its consequence, since a lost
//! free looks exactly like a leak.

use crate::{
    output::model::BOUND,
    text::{escape, human},
    view::{Sampling, Settled, Snapshot, Trust, reconcile},
};

/// `2,444,938 events, 0 lost · 12 unknown frees · slabinfo agrees within 0.2%`.
pub fn summary(snapshot: &Snapshot) -> String {
    let agreement = agreement(snapshot).map(|words| format!("{BOUND}· {words}")).unwrap_or_default();
    counts(&snapshot.trust, snapshot.sampling) + &agreement
}

fn counts(trust: &Trust, sampling: Sampling) -> String {
    let lost = trust.lost();
    let share = match lost {
        0 => String::new(),
        _ => format!(" ({})", human::percent(lost as f64 / trust.emitted as f64)),
    };
    let mut text = format!("{}, {} lost{share}", human::number(trust.emitted, "event"), human::grouped(lost));
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
            "pointer",
            "reused: those objects were freed unseen, and more may only look leaked",
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
pub fn agreement(snapshot: &Snapshot) -> Option<String> {
    if let Some((cache, growth)) = reconcile::unexplained(&snapshot.caches) {
        let (slabinfo, traced) =
            (human::grouped_change(growth.slabinfo), human::grouped_change(growth.traced));
        let unexplained = human::grouped(growth.unexplained().unsigned_abs());
        return Some(format!(
            "slabinfo{BOUND}{slabinfo}{BOUND}{}, traced{BOUND}{traced}: {unexplained}{BOUND}unexplained",
            escape::terminal(cache.name.as_bytes())
        ));
    }
    let disagreement = 1.0 - snapshot.trust.slabinfo_agreement?;
    // To the next tenth of a percent, so that nothing is said to be better than it is.
    let percent = (disagreement * 1000.0 - 1e-6).ceil().max(1.0) / 10.0;
    Some(format!("slabinfo{BOUND}agrees{BOUND}within{BOUND}{percent}%"))
}

pub fn settled(settled: Settled) -> String {
    format!("settled {}: {} more freed", human::duration(settled.time), human::grouped(settled.freed))
}
