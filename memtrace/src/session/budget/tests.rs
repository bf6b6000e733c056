use proptest::prelude::*;

use super::*;

fn limited(percent: f64) -> Governor {
    Governor::new(Some(CpuLimit { percent }), 1)
}

#[test]
fn within_the_limit_nothing_happens() {
    let mut governor = limited(5.0);
    for _ in 0..100 {
        assert_eq!(governor.cpu(0.05), Decision::GoOn);
    }
}

#[test]
fn a_burst_is_forgiven() {
    let mut governor = limited(5.0);
    for used in [0.06, 0.04, 9.0, 0.04, 0.06, 0.05] {
        assert_eq!(governor.cpu(used), Decision::GoOn, "{used}");
    }
}

#[test]
fn over_the_limit_the_period_doubles_until_it_is_enough() {
    let mut governor = limited(5.0);
    let verdicts = [0.06, 0.06, 0.06, 0.06, 0.05].map(|used| governor.cpu(used));
    assert_eq!(
        verdicts,
        [Decision::GoOn, Decision::Sample(2), Decision::GoOn, Decision::Sample(4), Decision::GoOn]
    );
}

#[test]
fn far_over_the_limit_it_rises_at_once() {
    let mut governor = limited(5.0);
    // Ten times the limit: 8 leaves a little to do, 16 might be too much.
    let verdicts = [0.5, 0.5, 0.06, 0.06].map(|used| governor.cpu(used));
    assert_eq!(verdicts, [Decision::GoOn, Decision::Sample(8), Decision::GoOn, Decision::Sample(16)]);
}

#[test]
fn at_the_highest_period_it_detaches() {
    let mut governor = limited(0.01);
    let verdicts = [0.5; 4].map(|used| governor.cpu(used));
    assert_eq!(verdicts, [Decision::GoOn, Decision::Sample(1024), Decision::GoOn, Decision::Detach]);
}

#[test]
fn a_period_of_the_user_s_own_is_where_it_begins() {
    let mut governor = Governor::new(Some(CpuLimit { percent: 1.0 }), 100);
    assert_eq!([0.011; 2].map(|used| governor.cpu(used))[1], Decision::Sample(200));
    let mut governor = Governor::new(Some(CpuLimit { percent: 1.0 }), 5000);
    assert_eq!([0.011; 2].map(|used| governor.cpu(used))[1], Decision::Detach);
}

#[test]
fn a_full_ledger_samples_until_that_is_of_no_use() {
    let mut governor = Governor::new(None, 300);
    let verdicts = [(); 4].map(|()| governor.memory());
    assert_eq!(verdicts, [Decision::Sample(600), Decision::Sample(1024), Decision::GoOn, Decision::GoOn]);
}

#[test]
fn another_limit_holds_from_now_on() {
    let mut governor = limited(5.0);
    governor.set_cpu_limit(Some(CpuLimit { percent: 20.0 }));
    assert_eq!([0.1; 4].map(|used| governor.cpu(used)), [Decision::GoOn; 4]);
    governor.set_cpu_limit(Some(CpuLimit { percent: 5.0 }));
    assert_eq!([0.1; 2].map(|used| governor.cpu(used))[1], Decision::Sample(2));
}

#[test]
fn without_a_limit_no_cpu_time_is_too_much() {
    let mut governor = Governor::new(None, 1);
    assert_eq!([256.0; 10].map(|used| governor.cpu(used)), [Decision::GoOn; 10]);
}

#[test]
fn notes_say_what_was_done_and_why() {
    let limit = CpuLimit { percent: 0.5 };
    let after = Duration::from_millis(12_900);
    let notes = [
        Action::SampledForCpu { limit },
        Action::SampledForMemory { bytes: 64 << 20 },
        Action::Detached { limit, used: 0.0312 },
    ]
    .map(|measure| measure.note(4, after));
    insta::assert_snapshot!(notes.join("\n"));
}

proptest! {
    #[test]
    fn the_period_only_rises_and_never_too_high(
        period in 1_u32..2000,
        uses in proptest::collection::vec((any::<bool>(), 0.0_f64..100.0), 0..200),
    ) {
        let mut governor = Governor::new(Some(CpuLimit { percent: 10.0 }), period);
        let mut before = period;
        for (is_cpu, used) in uses {
            let verdict = if is_cpu { governor.cpu(used) } else { governor.memory() };
            match verdict {
                Decision::GoOn => {}
                Decision::Sample(period) => {
                    prop_assert!(period > before && period <= MAX_PERIOD);
                    before = period;
                }
                Decision::Detach => prop_assert!(is_cpu && before >= MAX_PERIOD),
            }
        }
    }

    #[test]
    fn what_stays_over_the_limit_ends(percent in 0.001_f64..100.0, excess in 1.001_f64..1e6) {
        let mut governor = limited(percent);
        let used = percent / 100.0 * excess;
        // Ten doublings from 1 to 1024 and the end, each after two measurements.
        let end = (1..=22).find(|_| governor.cpu(used) == Decision::Detach);
        prop_assert!(end.is_some());
    }
}
