use std::time::Duration;

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::output::sample;
use crate::view::Rest;

fn taken(snapshot: &Snapshot) -> Taken<'_> {
    Taken { snapshot, label: b"x", boot: None, filters: "" }
}

fn between(before: &Snapshot, after: &Snapshot, order: Order) -> Difference {
    difference(taken(before), taken(after), order).unwrap()
}

fn shown(difference: &Difference) -> Vec<String> {
    let of = |row: &RowChange| {
        let keys: Vec<_> = row.keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
        format!("{} {:?} {:+} {:+}", keys.join(","), row.seen, row.change.objects(), row.change.bytes())
    };
    difference.rows.iter().map(of).collect()
}

const ALL: Order = Order { sort: Sort::Bytes, top: None };

/// A report that holds only these.
fn report(rows: &[(&str, u64, u64)]) -> Snapshot {
    let rows = rows.iter().map(|(key, objects, bytes)| Row {
        bytes: *bytes,
        growth_per_s: *objects as f64 / 8.0,
        ..sample::row(key, *objects, *objects, 0, 0.0)
    });
    Snapshot { rows: rows.collect(), rest: None, ..sample::dentry() }
}

#[test]
fn what_is_outstanding_after_and_was_not_before() {
    let before = report(&[("same", 5, 50), ("less", 9, 90), ("gone", 1, 10), ("more", 1, 8)]);
    let after = report(&[("more", 4, 200), ("new", 3, 30), ("same", 5, 50), ("less", 2, 20)]);
    let difference = between(&before, &after, ALL);
    assert_eq!(
        shown(&difference),
        ["more Both +3 +192", "less Both -7 -70", "new After +3 +30", "gone Before -1 -10"]
    );
    assert_eq!((difference.unchanged, difference.rest), (1, None));
    assert_eq!((difference.total.objects(), difference.total.bytes()), (-2, 142));
    let more = &difference.rows[0];
    assert_eq!((more.change.objects_share(), more.growth_change()), (Some(3.0), 0.375));
    assert_eq!(difference.rows[2].change.bytes_share(), None);
    assert_eq!(difference.rows[3].change.bytes_share(), Some(-1.0));
    assert_eq!((difference.rows[3].rates_after, difference.rows[2].rates_before), (None, None));
}

#[test]
fn what_is_called_the_same_is_one() {
    let before = report(&[("7", 1, 10), ("7", 2, 20)]);
    let after = report(&[("7", 4, 40)]);
    assert_eq!(shown(&between(&before, &after, ALL)), ["7 Both +1 +10"]);
}

#[test]
fn orders() {
    let before = report(&[("a", 10, 100), ("b", 10, 100), ("c", 10, 100)]);
    let mut after = report(&[("a", 11, 900), ("b", 90, 101), ("c", 12, 102)]);
    after.rows[2].growth_per_s = -1000.0;
    let first = |sort| shown(&between(&before, &after, Order { sort, top: Some(1) })).swap_remove(0);
    assert_eq!(first(Sort::Bytes), "a Both +1 +800");
    assert_eq!(first(Sort::Age), "a Both +1 +800");
    assert_eq!(first(Sort::Objects), "b Both +80 +1");
    assert_eq!(first(Sort::Growth), "c Both +2 +2");
}

#[test]
fn other_keys_cannot_be_compared() {
    let error = difference(taken(&sample::dentry()), taken(&sample::by_pid()), ALL).unwrap_err();
    insta::assert_snapshot!(error, @"cannot compare rows by comm with rows by pid: use the same --by for both");
}

#[test]
fn a_cache_that_the_other_did_not_see() {
    let before = sample::dentry();
    let mut after = sample::dentry();
    after.caches = vec![sample::cache("filp", 256, 4, 8)];
    let difference = between(&before, &after, ALL);
    let caches: Vec<_> = difference
        .caches
        .iter()
        .map(|cache| (cache.name.as_str(), cache.seen, cache.change.objects()))
        .collect();
    assert_eq!(caches, [("dentry", Seen::Before, -24_116), ("filp", Seen::After, 4)]);
    assert_eq!(difference.caches[1].rates_after.unwrap().allocs, 12.0 / 12.345);
}

#[test]
fn a_window_of_no_length_has_no_rates() {
    let mut after = sample::dentry();
    after.elapsed = Duration::ZERO;
    after.caches[0].outstanding_objects += 1;
    let rates = between(&sample::dentry(), &after, ALL).caches[0].rates_after.unwrap();
    assert_eq!((rates.allocs, rates.frees, rates.growth), (0.0, 0.0, 0.0));
}

#[test]
fn why_two_reports_may_not_be_comparable() {
    use sample::difference as differences;
    let notes = [differences::leak(), differences::two_hosts(), differences::doubtful(), differences::cut()]
        .map(|difference| difference.notes.join("\n"));
    insta::assert_snapshot!(notes.join("\n=====\n"));
}

#[test]
fn the_same_pid_after_a_boot_is_another_process() {
    let notes = |boot| {
        let (before, after) = (sample::by_pid(), sample::by_pid());
        let before = Taken { boot: Some("one"), ..taken(&before) };
        difference(before, Taken { boot, ..taken(&after) }, ALL).unwrap().notes
    };
    assert!(notes(Some("one")).is_empty() && notes(None).is_empty());
    insta::assert_snapshot!(
        notes(Some("other")).join("\n"),
        @"the host was rebooted in between: rows of the same pid are different things before and after; compare by comm or cache"
    );
}

#[test]
fn two_moments_of_one_session_have_different_lengths() {
    let before = sample::dentry();
    let mut after = sample::dentry();
    after.elapsed += Duration::from_secs(60);
    let notes = |after: &Snapshot| between(&before, after, ALL).notes.len();
    assert_eq!(notes(&after), 1, "the same moment, and a longer session");
    after.time += Duration::from_secs(60);
    assert_eq!(notes(&after), 0);
    after.time += Duration::from_secs(3600);
    assert_eq!(notes(&after), 1);
}

fn any_report() -> impl Strategy<Value = Snapshot> {
    let amount = || prop_oneof![Just(0), 0..4_u64, 0..1_000_000_000_u64];
    let row = ("[a-e]", amount(), amount(), -1e6..1e6_f64);
    let rest = option::of((1..9_u64, amount(), amount()));
    let cache = ("[xyz]", amount(), amount());
    (vec(row, 0..12), rest, vec(cache, 0..5)).prop_map(|(rows, rest, caches)| {
        let row = |(key, objects, bytes, growth): &(String, u64, u64, f64)| Row {
            bytes: *bytes,
            ..sample::row(key, *objects, *objects, 0, *growth)
        };
        let cache =
            |(name, size, objects): &(String, u64, u64)| sample::cache(name, size % 1000, *objects, 1);
        Snapshot {
            rows: rows.iter().map(row).collect(),
            rest: rest.map(|(rows, objects, bytes)| Rest { rows, objects, bytes }),
            caches: caches.iter().map(cache).collect(),
            ..sample::dentry()
        }
    })
}

fn any_order() -> impl Strategy<Value = Order> {
    let sort = prop_oneof![Just(Sort::Bytes), Just(Sort::Objects), Just(Sort::Growth), Just(Sort::Age)];
    (sort, option::of(0..8_usize)).prop_map(|(sort, top)| Order { sort, top })
}

/// Objects and bytes of all rows.
fn held(report: &Snapshot) -> (i64, i64) {
    let sum = |of: fn(&Row) -> u64| report.rows.iter().map(of).sum::<u64>();
    let rest = report.rest.unwrap_or_default();
    ((sum(|row| row.objects) + rest.objects) as i64, (sum(|row| row.bytes) + rest.bytes) as i64)
}

proptest! {
    #[test]
    fn a_report_does_not_differ_from_itself(report in any_report(), order in any_order()) {
        let difference = between(&report, &report, order);
        prop_assert!(difference.rows.is_empty() && difference.caches.is_empty());
        prop_assert_eq!(difference.rest, None);
        prop_assert_eq!((difference.total.objects(), difference.total.bytes()), (0, 0));
    }

    #[test]
    fn changes_come_to_what_all_changed(before in any_report(), after in any_report(), order in any_order()) {
        let difference = between(&before, &after, order);
        let rest = difference.rest.unwrap_or_default().change;
        let sum = |of: fn(&Change) -> i64| difference.rows.iter().map(|row| of(&row.change)).sum::<i64>() + of(&rest);
        let ((a, b), (c, d)) = (held(&before), held(&after));
        prop_assert_eq!((sum(Change::objects), sum(Change::bytes)), (c - a, d - b));
        prop_assert_eq!((difference.total.objects(), difference.total.bytes()), (c - a, d - b));
        prop_assert!(difference.rows.len() <= order.top.unwrap_or(usize::MAX));
    }

    #[test]
    fn backwards_it_is_the_reverse(before in any_report(), after in any_report(), order in any_order()) {
        let (there, back) = (between(&before, &after, order), between(&after, &before, order));
        let reverse = |change: Change| Change { before: change.after, after: change.before };
        let keys = |difference: &Difference| -> Vec<_> {
            difference.rows.iter().map(|row| row.keys.clone()).collect()
        };
        prop_assert_eq!(keys(&there), keys(&back));
        for (one, other) in there.rows.iter().zip(&back.rows) {
            prop_assert_eq!(one.change, reverse(other.change));
            prop_assert_eq!(one.growth_change(), -other.growth_change());
            prop_assert_eq!(one.change.bytes(), -other.change.bytes());
        }
        let rest = |difference: &Difference| difference.rest.unwrap_or_default();
        prop_assert_eq!(rest(&there).change, reverse(rest(&back).change));
        prop_assert_eq!(rest(&there).rows, rest(&back).rows);
        prop_assert_eq!(there.total, reverse(back.total));
        prop_assert_eq!(there.unchanged, back.unchanged);
        let caches = |difference: &Difference| -> Vec<_> {
            difference.caches.iter().map(|cache| cache.name.clone()).collect()
        };
        prop_assert_eq!(caches(&there), caches(&back));
    }

    #[test]
    fn greatest_changes_first(before in any_report(), after in any_report()) {
        let difference = between(&before, &after, ALL);
        prop_assert!(difference.rows.is_sorted_by_key(|row| Reverse(row.change.bytes().unsigned_abs())));
        let caches = &difference.caches;
        prop_assert!(caches.is_sorted_by_key(|cache| Reverse(cache.change.bytes().unsigned_abs())));
    }
}
