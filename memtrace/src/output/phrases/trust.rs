//! How far the figures can be trusted. Calm and short when all is well; what was lost is said with its consequence, since a lost
//! free looks exactly like a leak.

use crate::{
    output::model::{BOUND, Sentence, bound},
    text::{escape, human},
    view::{
        Row, Settled, Snapshot, Trust, Verified,
        bias::{Bias, Off},
        reconcile,
    },
};

/// Rows that are named beside the table.
const MAX_HELD: usize = 3;

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
    let frees = |n: u64, what| (n > 0).then(|| format!("{} {what}", human::number(n, "free")));
    let facts = [
        Some(judgement(snapshot)),
        Some(events),
        sampled,
        verified(trust),
        frees(if trust.verified.is_none() { trust.reused_pointers } else { 0 }, "unseen"),
        count(trust.missed(), "missed"),
        unseen_allocations(trust),
        count(trust.refused, "refused"),
        count(trust.unresolved, "unresolved"),
        agreement(snapshot),
        frees(trust.unknown_frees, "of other objects"),
    ];
    facts.into_iter().flatten().map(|fact| bound(&fact)).collect()
}

/// `verified 9,412 of 9,412: 278 had been freed unseen`.
fn verified(trust: &Trust) -> Option<String> {
    let Verified { objects, outstanding, .. } = trust.verified?;
    let unseen = trust.unseen_frees();
    if outstanding == 0 && unseen == 0 {
        return None;
    }
    let asked = format!("verified {} of {}", human::grouped(objects), human::grouped(outstanding));
    Some(match unseen {
        0 => asked,
        _ => format!("{asked}: {} had been freed unseen", human::grouped(unseen)),
    })
}

/// `about 1,200 (900 to 1,500) allocated unseen`. What may be chance is not worth a word.
fn unseen_allocations(trust: &Trust) -> Option<String> {
    let unseen = trust.unseen_allocations.filter(|unseen| unseen.is_sure())?;
    let [objects, low, high] = [unseen.objects, unseen.ci95.0, unseen.ci95.1].map(human::grouped);
    Some(format!("about {objects} ({low} to {high}) allocated unseen"))
}

fn judgement(snapshot: &Snapshot) -> String {
    let Bias { too_high, too_low, has_partial, is_negligible } = Bias::of(snapshot);
    let (most, way) = match (too_high, too_low) {
        (Off::NOT, Off::NOT) if has_partial => return "fine, but for what is partial".to_owned(),
        (Off::NOT, Off::NOT) => return "fine".to_owned(),
        (most, Off::NOT) => (most, "too high"),
        (Off::NOT, most) => (most, "too low"),
        (high, low) => (high.or(low), "too high or too low"),
    };
    match most {
        Off::AtMost(most) if is_negligible => format!("fine, to within {}", human::number(most, "object")),
        Off::AtMost(most) => format!("counts may be up to {} {way}", human::grouped(most)),
        Off::Unknown => format!("counts may be {way}"),
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
        problem(if trust.is_verified() { 0 } else { trust.lost_frees }, "free", &lost_frees),
        problem(trust.lost_allocs, "alloc", "lost: as many objects may be missing above"),
        problem(trust.lost_names, "name", "lost: those objects are counted, but not named"),
        problem(
            if trust.is_verified() { 0 } else { trust.reused_pointers },
            "free",
            "unseen, as addresses that were handed out again show: more objects may only look leaked",
        ),
        (trust.missed() > 0).then(|| {
            let runs = human::number(trust.missed(), "probe run");
            format!("up to {runs} skipped by the kernel's recursion guard: allocs or frees may be missing")
        }),
        unseen_allocations(trust)
            .map(|about| format!("{about}: they are there, and not in the figures above")),
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

/// A process that ends meanwhile had not given up what it held: that is said, whoever has room for it in the rows.
pub fn settled(settled: Settled, rows: &[Row]) -> Sentence {
    let Settled { time, freed } = settled;
    let mut text =
        Sentence::from(format!("settled {}: {} more freed", human::duration(time), human::grouped(freed)));
    let mut held: Vec<&Row> = rows.iter().filter(|row| row.objects_until_end > 0).collect();
    held.sort_by_key(|row| std::cmp::Reverse(row.objects_until_end));
    for (at, row) in held.into_iter().take(MAX_HELD).enumerate() {
        let before =
            if at == 0 { "; held until the end, and freed since as the process ended: " } else { ", " };
        let keys = row.keys.iter().map(Vec::as_slice);
        text =
            text.words(before).names(keys, " ").words(format!(" {}", human::grouped(row.objects_until_end)));
    }
    text
}
