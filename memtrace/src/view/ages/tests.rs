use proptest::{collection::vec, prelude::*};

use super::*;
use crate::stream::event::{Alloc, Comm, Event, Free, NO_GFP, NO_NODE, NO_STACK, Task};

const MILLISECOND: TimeNs = 1_000_000;
/// The host has been up so long when the session starts.
const START: TimeNs = 5_000 * MILLISECOND;
const SIZE: u64 = 192;

/// Objects that are allocated so long after the start, in milliseconds; those of odd number are freed if asked for.
fn ledger(times: &[u64], frees: bool) -> Ledger {
    let mut ledger = Ledger::new(1 << 20);
    let ptr = |at: usize| 8 * (at as u64 + 1);
    for (at, time) in times.iter().enumerate() {
        ledger.apply(Event::Alloc(Alloc {
            time: START + time * MILLISECOND,
            ptr: ptr(at),
            cache: 7,
            call_site: 0,
            cgroup: 0,
            stack: NO_STACK,
            gfp: NO_GFP,
            node: NO_NODE,
            task: Task { tgid: 1, started: 0, comm: Comm::truncated(b"curl"), is_kthread: false },
            is_io_worker: false,
            may_repeat: false,
        }));
    }
    for at in (1..times.len()).step_by(2).filter(|_| frees) {
        ledger.apply(Event::Free(Free { ptr: ptr(at), cache: None }));
    }
    ledger
}

/// With reports at these times, in milliseconds.
fn timeline(reports: impl IntoIterator<Item = u64>) -> (Timeline, TimeNs) {
    let (mut timeline, mut now) = (Timeline::default(), START);
    for report in reports {
        now = START + report * MILLISECOND;
        timeline.report(now, Duration::from_millis(report), false);
    }
    (timeline, now)
}

fn survivors<'a>(timeline: &'a Timeline, now: TimeNs, ledger: &Ledger) -> Survivors<'a> {
    let mut survivors = Survivors::new(timeline, now);
    ledger.origins().for_each(|origin| survivors.add(ledger, origin, SIZE));
    survivors
}

/// At least, less than (seconds), objects.
fn told(buckets: &[AgeBucket]) -> Vec<(u64, Option<u64>, u64)> {
    let told = buckets.iter().map(|bucket| {
        assert_eq!(bucket.bytes, bucket.objects * SIZE);
        (bucket.at_least.as_secs(), bucket.less_than.map(|end| end.as_secs()), bucket.objects)
    });
    told.collect()
}

#[test]
fn a_bucket_has_its_lower_end_and_not_its_upper() {
    let (timeline, now) = timeline([12_000]);
    let ledger = ledger(&[2_000, 2_020, 9_000, 9_020, 11_000, 11_020, 12_000], false);
    let ages = survivors(&timeline, now, &ledger).ages();
    assert_eq!(
        told(&ages),
        [(0, Some(1), 2), (1, Some(3), 2), (3, Some(10), 2), (10, Some(30), 1)],
        "ages are 10, 9.98, 3, 2.98, 1, 0.98 and 0 s"
    );
}

#[test]
fn there_are_buckets_as_far_as_the_session_is_old() {
    let ends = |reports: u64, times: &[u64]| {
        let (timeline, now) = timeline([reports]);
        let ages = survivors(&timeline, now, &ledger(times, false)).ages();
        ages.last().map(|bucket| bucket.less_than)
    };
    assert_eq!(ends(0, &[]), None);
    assert_eq!(ends(1, &[]), Some(Some(Duration::from_secs(1))));
    assert_eq!(ends(1_001, &[]), Some(Some(Duration::from_secs(3))));
    assert_eq!(ends(12_000, &[11_999]), Some(Some(Duration::from_secs(30))));
    assert_eq!(ends(40 * 24 * 3_600_000, &[1]), Some(None));
}

/// Who grows has survivors everywhere, who churns in the last part only.
#[test]
fn survivors_are_of_the_part_in_which_they_were_allocated() {
    let (timeline, now) = timeline([1_000, 2_000, 3_000]);
    // What is allocated at the moment of a report was there then.
    let ledger = ledger(&[0, 900, 1_000, 1_100, 2_000, 2_500, 2_600, 3_000], true);
    let mut allocs = AllocsUntil::default();
    for (reports, until) in [(1, 3), (2, 5), (3, 8)] {
        allocs.report(&super::tests::timeline((1..=reports).map(|at| at * 1_000)).0, until);
    }
    let cohorts = survivors(&timeline, now, &ledger).cohorts(&allocs);
    let told: Vec<_> =
        cohorts.iter().map(|it| (it.from.as_secs(), it.to.as_secs(), it.allocs, it.survivors)).collect();
    assert_eq!(told, [(0, 1, 3, 2), (1, 2, 2, 1), (2, 3, 3, 1)]);
    assert_eq!(cohorts[1].kept(), Some(0.5));
}

#[test]
fn a_sample_stands_for_all() {
    let mut ledger = ledger(&[500; 4_000], false);
    ledger.set_period(4);
    let (timeline, now) = timeline([1_000]);
    let origin = ledger.origins().next().unwrap();
    let (objects, mut allocs) = (origin.outstanding(), AllocsUntil::default());
    allocs.report(&timeline, origin.allocs);
    let survivors = survivors(&timeline, now, &ledger);
    assert!(objects.is_multiple_of(4) && objects.abs_diff(4_000) < 1_000, "{objects}");
    assert_eq!(told(&survivors.ages()), [(0, Some(1), objects)]);
    // Never more than were allocated, though the estimate may be.
    assert_eq!(survivors.cohorts(&allocs)[0].survivors, objects.min(4_000));
}

#[test]
fn the_final_report_just_behind_another_makes_no_part() {
    let mut timeline = timeline([1_000, 2_000]).0;
    timeline.report(START + 2_100 * MILLISECOND, Duration::from_millis(2_100), true);
    let ends: Vec<_> = timeline.spans().map(|(_, to)| to.as_millis()).collect();
    assert_eq!(ends, [1_000, 2_100]);
    let mut timeline = super::tests::timeline([1_000, 2_000]).0;
    timeline.report(START + 2_900 * MILLISECOND, Duration::from_millis(2_900), true);
    assert_eq!(timeline.spans().count(), 3);
}

/// How many are that old, exactly.
fn older(times: &[u64], now: u64, age: u64) -> u64 {
    times.iter().filter(|&&time| time + age <= now).count() as u64
}

proptest! {
    /// Where each object has a span of its own, every boundary is exact.
    #[test]
    fn exact_spans_make_exact_counts(
        pauses in vec(17..2_000_u64, 1..30),
        frees in any::<bool>(),
        pace in prop_oneof![Just(1_u64), Just(1_000), Just(100_000)],
        reports in vec(1..3_000_u64, 1..40),
    ) {
        let mut time = 0;
        let times: Vec<u64> = pauses.iter().map(|pause| { time += pause * pace; time }).collect();
        let mut report = 0;
        let mut reports: Vec<u64> = reports.iter().map(|pause| { report += pause * pace; report }).collect();
        reports.retain(|&report| report < time);
        reports.push(time);
        let (timeline, now) = timeline(reports.iter().copied());
        let ledger = ledger(&times, frees);
        let survivors = survivors(&timeline, now, &ledger);
        let left: Vec<u64> = times.iter().copied().step_by(1 + usize::from(frees)).collect();
        for bucket in survivors.ages() {
            let until = bucket.less_than.map_or(0, |end| older(&left, time, end.as_millis() as u64));
            let from = older(&left, time, bucket.at_least.as_millis() as u64);
            prop_assert_eq!(bucket.objects, from - until, "{:?}", bucket);
        }
        let mut allocs = AllocsUntil::default();
        let mut growing = Timeline::default();
        for &report in &reports {
            growing.report(START + report * MILLISECOND, Duration::from_millis(report), false);
            allocs.report(&growing, times.iter().filter(|&&time| time <= report).count() as u64);
        }
        for generation in survivors.cohorts(&allocs) {
            let (from, to) = (generation.from.as_millis() as u64, generation.to.as_millis() as u64);
            let in_it = |times: &[u64]| times.iter().filter(|&&time| from < time && time <= to).count() as u64;
            prop_assert_eq!(generation.allocs, in_it(&times));
            prop_assert_eq!(generation.survivors, in_it(&left));
        }
    }

    /// However many there are, sums are exact, and boundaries are off by a span at most.
    #[test]
    fn counts_add_up_and_boundaries_are_near(
        pauses in vec(0..100_u64, 1..600),
        frees in any::<bool>(),
        pace in 1..500_u64,
        reports in 1..60_u64,
    ) {
        let mut time = 0;
        let times: Vec<u64> = pauses.iter().map(|pause| { time += pause * pace; time }).collect();
        let (timeline, now) = timeline((1..=reports).map(|at| time * at / reports));
        let ledger = ledger(&times, frees);
        let left: Vec<u64> = times.iter().copied().step_by(1 + usize::from(frees)).collect();
        let survivors = survivors(&timeline, now, &ledger);
        let ages = survivors.ages();
        prop_assert_eq!(ages.iter().map(|bucket| bucket.objects).sum::<u64>(), left.len() as u64);
        prop_assert_eq!(ages.iter().map(|bucket| bucket.bytes).sum::<u64>(), left.len() as u64 * SIZE);
        let mut told = 0;
        for bucket in ages.iter().rev() {
            told += bucket.objects;
            let age = bucket.at_least.as_millis() as u64;
            let off = 16 + age / 31;
            let (least, most) = (older(&left, time, age + off), older(&left, time, age.saturating_sub(off)));
            prop_assert!(least <= told && told <= most, "{} to {}, not {} of {:?}", least, most, told, bucket);
        }
        let cohorts = survivors.cohorts(&AllocsUntil::default());
        prop_assert!(cohorts.is_empty(), "nobody reported allocations");
        let mut allocs = AllocsUntil::default();
        allocs.report(&timeline, times.len() as u64);
        let cohorts = survivors.cohorts(&allocs);
        prop_assert_eq!(cohorts.iter().map(|it| it.survivors).sum::<u64>(), left.len() as u64);
        prop_assert_eq!(cohorts.iter().map(|it| it.allocs).sum::<u64>(), times.len() as u64);
    }

    /// A session is in at most eight parts of equally many reports each, but for the last.
    #[test]
    fn parts_are_equal(reports in 1..2_000_usize, first in 1..2_000_usize, per_report in 1..9_u64) {
        let (mut timeline, mut allocs, mut late) = (Timeline::default(), AllocsUntil::default(), AllocsUntil::default());
        for report in 1..=reports as u64 {
            timeline.report(START + report * 1_000 * MILLISECOND, Duration::from_secs(report), false);
            allocs.report(&timeline, report * per_report);
            if report >= first as u64 {
                late.report(&timeline, (report + 1 - first as u64) * per_report);
            }
        }
        let spans: Vec<(u64, u64)> = timeline.spans().map(|(from, to)| (from.as_secs(), to.as_secs())).collect();
        prop_assert!(spans.len() <= 8 && (reports < 8 || spans.len() > 4), "{spans:?}");
        prop_assert_eq!((spans[0].0, spans[spans.len() - 1].1), (0, reports as u64));
        let length = spans[0].1;
        prop_assert!(spans.iter().rev().skip(1).all(|(from, to)| to - from == length), "{spans:?}");
        for (&(from, to), allocs) in spans.iter().zip(allocs.in_each()) {
            prop_assert_eq!(allocs, (to - from) * per_report);
        }
        if first <= reports {
            let first = first as u64 - 1;
            for (&(from, to), allocs) in spans.iter().zip(late.in_each()) {
                prop_assert_eq!(allocs, (to.max(first) - from.max(first)) * per_report);
            }
        }
    }
}

/// As measured of a leak that freed nothing.
#[test]
fn no_part_has_more_survivors_than_allocations() {
    let allocs = [5100, 5000, 5000, 5000];
    assert_eq!(bounded(&[5134, 4937, 4940, 5089], &allocs), allocs);
    assert_eq!(bounded(&[0, 5010, 0, 4000], &allocs), [0, 5000, 10, 4000]);
    assert_eq!(bounded(&[0, 0, 0, 5001], &allocs), [0, 0, 1, 5000]);
    // More than there can be.
    assert_eq!(bounded(&[9, 9], &[1, 2]), [1, 2]);
}
