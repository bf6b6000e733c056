use proptest::{collection::vec, prelude::*};

use super::*;

const TENTH: u64 = 100_000_000;

/// What happens in each tenth of a second: so many allocations, of which so many stay.
fn survival(tenths: &[(u64, u64)]) -> Option<Survival> {
    let now = tenths.len() as u64;
    let elapsed = Duration::from_nanos(now * TENTH);
    let spans: Vec<AllocSpan> = tenths
        .iter()
        .zip(0..)
        .filter(|((_, kept), _)| *kept > 0)
        .map(|(&(_, kept), at)| AllocSpan { from: at * TENTH, to: (at + 1) * TENTH, objects: kept })
        .collect();
    let mut allocs = Allocs::default();
    let mut total = 0;
    for (&(allocated, _), at) in tenths.iter().zip(1..) {
        let before = total;
        total += allocated;
        if at % 10 == 0 && total > 0 {
            if before == 0 || allocs.all().is_empty() {
                allocs.add(Duration::from_nanos((at - 10) * TENTH), 0);
            }
            allocs.add(Duration::from_nanos(at * TENTH), total);
        }
    }
    Survival::new(&spans, &allocs, total, Clock { start: 0, elapsed })
}

/// None: too early.
fn course(tenths: &[(u64, u64)]) -> Option<Course> {
    survival(tenths).map(|survival| survival.course(1))
}

/// So many allocations a tenth of a second, by when.
fn each(seconds: u64, of: impl Fn(f64) -> (u64, u64)) -> Vec<(u64, u64)> {
    (0..seconds * 10).map(|tenth| of(tenth as f64 / 10.0)).collect()
}

fn is_steady(tenths: &[(u64, u64)]) -> bool {
    matches!(course(tenths), Some(Course::Steady(_)))
}

#[test]
fn a_leak_grows_from_six_seconds_on() {
    for seconds in [6, 8, 12, 30, 60, 600] {
        let Some(Course::Steady(slope)) = course(&each(seconds, |_| (10, 10))) else { panic!("{seconds}") };
        assert!((slope.per_s - 100.0).abs() < 2.0, "{slope:?}");
        assert!(slope.low > 80.0 && slope.high < 125.0, "{slope:?}");
        // Beside churn that it frees within a second, and with a start two seconds late.
        assert!(
            is_steady(&each(seconds, |at| if at + 0.7 > seconds as f64 { (500, 500) } else { (500, 10) })),
            "{seconds}"
        );
        assert!(is_steady(&each(seconds, |at| if at < 2.0 { (0, 0) } else { (10, 10) })), "{seconds}");
    }
}

#[test]
fn a_leak_may_come_in_portions() {
    assert!(is_steady(&each(30, |at| if at % 1.0 == 0.0 { (50, 50) } else { (0, 0) })));
    assert!(is_steady(&each(60, |at| if at % 10.0 == 0.0 { (500, 500) } else { (0, 0) })));
}

#[test]
fn a_burst_hides_no_leak() {
    for seconds in [12, 30, 60] {
        let burst_first = each(seconds, |at| if at < 1.0 { (500, 500) } else { (10, 10) });
        let Some(Course::Steady(slope)) = course(&burst_first) else { panic!("{seconds}") };
        assert!((slope.per_s - 100.0).abs() < 5.0, "{slope:?}");
    }
}

#[test]
fn few_objects_do_not_tell() {
    // Five a second.
    let slow = |seconds| {
        course(&each(
            seconds,
            |at| if ((at * 10.0).round() as u64).is_multiple_of(2) { (1, 1) } else { (0, 0) },
        ))
    };
    assert!(matches!(slow(8), Some(Course::TooFew(_))));
    assert!(matches!(slow(60), Some(Course::Steady(_))));
    assert_eq!(course(&each(30, |at| if at % 5.0 == 0.0 { (2, 2) } else { (0, 0) })), Some(Course::No));
    // Of sampled objects more are needed.
    let survival = survival(&each(12, |_| (6, 6))).unwrap();
    assert!(matches!(survival.course(1), Course::Steady(_)));
    assert!(matches!(survival.course(16), Course::TooFew(_)));
}

/// In how many of 500 samples, of one object in eight, this is said to grow steadily.
fn said_of_samples(tenths: &[(u64, u64)]) -> usize {
    const PERIOD: u32 = 8;
    let sample = |seed: u64| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut followed = |objects: u64| (0..objects).filter(|_| random.u32(..PERIOD) == 0).count() as u64;
        let sampled = tenths.iter().map(|&(allocated, kept)| {
            let kept = followed(kept);
            let freed = followed(allocated).max(kept) - kept;
            ((kept + freed) * u64::from(PERIOD), kept * u64::from(PERIOD))
        });
        survival(&sampled.collect::<Vec<_>>()).map(|survival| survival.course(PERIOD))
    };
    (0..500).filter(|&seed| matches!(sample(seed), Some(Course::Steady(_)))).count()
}

#[test]
fn a_sample_tells_a_leak_from_what_is_none() {
    // 840 objects, 105 of them followed, beside churn.
    let leak = said_of_samples(&each(14, |_| (50, 6)));
    assert!(leak >= 475, "{leak} of 500");
    let warm_up = said_of_samples(&each(14, |at| (50, (30.0 * (-at / 2.5).exp()) as u64)));
    assert!(warm_up <= 5, "{warm_up} of 500");
    let working_memory = said_of_samples(&each(14, |at| (70, if at > 10.0 { 20 } else { 0 })));
    assert!(working_memory <= 5, "{working_memory} of 500");
    let burst = said_of_samples(&each(14, |at| (70, if (4.0..7.0).contains(&at) { 30 } else { 0 })));
    assert!(burst <= 5, "{burst} of 500");
}

/// Each is looked at once a second, through the whole session.
#[track_caller]
fn never_accused(tenths: &[(u64, u64)]) {
    for until in (50..=tenths.len()).step_by(10) {
        assert!(
            !is_steady(&tenths[..until]),
            "after {until} tenths of a second: {:?}",
            survival(&tenths[..until])
        );
    }
}

#[test]
fn what_stays_without_growing_is_no_leak() {
    never_accused(&each(60, |at| if at < 1.5 { (500, 500) } else { (0, 0) }));
    never_accused(&each(60, |at| if (20.0..21.0).contains(&at) { (500, 500) } else { (20, 0) }));
    // A warm-up that flattens: ever fewer are new.
    never_accused(&each(60, |at| (1000, (2000.0 * (-at / 2.0).exp()) as u64)));
}

#[test]
fn what_is_freed_in_the_end_is_no_leak() {
    // A sawtooth of four seconds, seen from its second tooth on.
    let sawtooth =
        |now: f64| each(now as u64, |at| (100, if at >= (now / 4.0).floor() * 4.0 { 100 } else { 0 }));
    for now in 6..60 {
        assert!(!is_steady(&sawtooth(f64::from(now))), "{now}");
    }
    // Working memory: each object lives two seconds on average.
    for now in 6..60 {
        let now = f64::from(now);
        let lives = each(now as u64, |at| (100, (100.0 * (-(now - at) / 2.0).exp()) as u64));
        assert!(!is_steady(&lives), "{now}");
    }
}

#[test]
fn what_grew_for_a_while_has_ended() {
    let ended = |tenths: &[(u64, u64)]| survival(tenths).and_then(|survival| survival.ended(1));
    let phase = |from: f64, to: f64| each(60, |at| if (from..to).contains(&at) { (10, 10) } else { (0, 0) });
    for (from, to) in [(0.0, 20.0), (0.0, 40.0), (20.0, 40.0)] {
        let until =
            ended(&phase(from, to)).unwrap_or_else(|| panic!("it grew from {from} to {to}")).as_secs_f64();
        assert!((to - 1.0..to + 5.0).contains(&until), "until {until}, not {to}");
    }
    assert!(ended(&each(60, |at| if at < 20.0 { (500, 10) } else { (500, 0) })).is_some(), "beside churn");
    assert_eq!(ended(&each(60, |_| (10, 10))), None, "it goes on");
    assert_eq!(ended(&each(60, |at| if at < 1.5 { (500, 500) } else { (0, 0) })), None, "all at once");
    assert_eq!(
        ended(&each(60, |at| if at < 20.0 && at % 4.0 == 0.0 { (9, 9) } else { (0, 0) })),
        None,
        "few"
    );
    assert_eq!(ended(&each(60, |at| (1000, (2000.0 * (-at / 2.0).exp()) as u64))), None, "a warm-up");
}

#[test]
fn a_phase_of_a_long_session_is_no_leak() {
    never_accused(&each(100, |at| if (50.0..55.0).contains(&at) { (50, 50) } else { (0, 0) }));
}

#[test]
fn what_is_kept_is_a_share_of_what_was_allocated() {
    let kept = |tenths: &[(u64, u64)]| survival(tenths).unwrap().kept();
    assert_eq!(kept(&each(10, |_| (10, 10))), 1.0);
    assert_eq!(kept(&each(10, |_| (10, 1))), 0.1);
}

proptest! {
    #[test]
    fn all_survivors_count(tenths in vec((0..1000_u64, 0..1000_u64), 60..200)) {
        let tenths: Vec<_> = tenths.into_iter().map(|(a, b)| (a.max(b), b)).collect();
        let kept: u64 = tenths.iter().map(|(_, kept)| kept).sum();
        if let Some(survival) = survival(&tenths) {
            prop_assert_eq!(survival.objects(), kept);
            prop_assert!((0.0..=1.0).contains(&survival.kept()));
            if let Course::Steady(slope) = survival.course(1) {
                prop_assert!(slope.low <= slope.per_s && slope.per_s <= slope.high);
            }
        }
    }

    #[test]
    fn any_leak_that_is_steady_is_found(per_tenth in 2..5000_u64, seconds in 6..120_u64, late in 0..2_u64) {
        prop_assume!(per_tenth * (seconds - late) * 10 > 240);
        let leak = each(seconds, |at| if at < late as f64 { (0, 0) } else { (per_tenth, per_tenth) });
        prop_assert!(is_steady(&leak));
    }

    #[test]
    fn any_spans_are_survived(
        spans in vec((any::<u32>(), 1..u32::MAX, 0..1_000_000_000_u64), 0..20),
        points in vec((0..1_000_000_u64, any::<u32>()), 0..20),
        start in -1_000_000_000_000_i64..1_000_000_000_000,
        elapsed in 0..1_000_000_000_u64,
    ) {
        let spans: Vec<AllocSpan> = spans
            .into_iter()
            .map(|(from, long, objects)| AllocSpan { from: from.into(), to: u64::from(from) + u64::from(long), objects })
            .collect();
        let mut points = points;
        points.sort_unstable();
        let mut allocs = Allocs::default();
        points.iter().for_each(|&(at, count)| allocs.add(Duration::from_micros(at), count.into()));
        let clock = Clock { start, elapsed: Duration::from_micros(elapsed) };
        if let Some(survival) = Survival::new(&spans, &allocs, 1_000_000, clock) {
            survival.course(3);
            survival.kept();
        }
    }
}
