use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;

use super::*;
use crate::{
    output::sample,
    view::{Keys, Row, Snapshot},
};

fn process() -> Process {
    Process {
        started: UNIX_EPOCH,
        cpu: Duration::from_millis(1_250),
        config: Some(Config { is_good: true, taken: UNIX_EPOCH }),
        recordings: Some(Recordings {
            made: [("available lasts < 10m".to_owned(), 1), ("finding".to_owned(), 2)].into(),
            failed: 1,
            bytes: 3_100_000,
            last: Some(UNIX_EPOCH + Duration::from_secs(86_400)),
        }),
    }
}

fn served(rows: Vec<Row>) -> Snapshot {
    Snapshot { by: Keys::new(KEYS).expect("there are keys"), rows, ..sample::lossy() }
}

fn row(cache: &str, comm: &[u8], bytes: u64) -> Row {
    let keys = vec![cache.as_bytes().to_vec(), comm.to_vec()];
    Row { keys, bytes, objects: bytes / 192, ..Row::default() }
}

fn text(snapshot: Snapshot, places: &mut Places, format: Format) -> String {
    format.text(&Arc::new(Exposed::new(snapshot, places, process()))).expect("it is only text")
}

fn sample_rows() -> Vec<Row> {
    let oldest = Some(Duration::from_millis(90_500));
    vec![
        Row { oldest, ..row("dentry", b"curl", 8_214_528) },
        row("filp", b"nginx \"1\"\n\x1b[31m\\", 19_200),
        row("dentry", b"", 4),
    ]
}

#[test]
fn a_report_as_openmetrics() {
    insta::assert_snapshot!(text(served(sample_rows()), &mut Places::new(200), Format::OpenMetrics));
}

#[test]
fn a_report_as_older_text() {
    insta::assert_snapshot!(text(served(sample_rows()), &mut Places::new(200), Format::Prometheus));
}

#[test]
fn a_census_is_what_was_already_there() {
    let text = text(sample::after_a_wreck(), &mut Places::new(200), Format::OpenMetrics);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("memtrace_already_there_")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_census_tells_whose_the_slab_is() {
    let mut snapshot = sample::after_a_wreck();
    snapshot.latest_census = snapshot.census.clone();
    let text = text(snapshot, &mut Places::new(200), Format::OpenMetrics);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("memtrace_census_")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Whatever the cap, all of the slab is in the sums.
#[test]
fn a_census_keeps_within_its_places() {
    let mut snapshot = sample::after_a_wreck();
    snapshot.latest_census = snapshot.census.clone();
    let all: u64 = snapshot.census.as_ref().expect("there is one").rows.iter().map(|row| row.bytes).sum();
    for max in 1..12 {
        let exposed = Exposed::new(snapshot.clone(), &mut Places::new(max), process());
        assert!(exposed.census.len() <= max, "{:?}", exposed.census);
        assert_eq!(exposed.census.iter().map(|group| group.bytes).sum::<u64>(), all);
    }
}

#[test]
fn who_leaks_has_a_series_of_its_own() {
    let mut places = Places::new(8);
    // Everybody has a place.
    let crowd: Vec<_> = (0..100).map(|n| row("filp", format!("worker-{n}").as_bytes(), 1 << 20)).collect();
    Exposed::new(served(crowd.clone()), &mut places, process());
    let mut leaking = sample::findings();
    leaking.elapsed = Duration::from_secs(1_000_000);
    leaking.by = Keys::new(KEYS).expect("there are keys");
    let finding = &mut leaking.verdict.as_mut().expect("it leaks").findings[0];
    finding.keys = vec![b"dentry".to_vec(), b"curl".to_vec()];
    leaking.rows = crowd[50..].iter().cloned().chain([row("dentry", b"curl", 4_096)]).collect();
    let exposed = Exposed::new(leaking, &mut places, process());
    let curl = vec![("cache", "dentry".to_owned()), ("comm", "curl".to_owned())];
    assert!(exposed.groups.iter().any(|group| group.labels == curl), "{:?}", exposed.groups);
    assert!(exposed.groups.len() <= 8);
}

/// An hour of names that never come again.
#[test]
fn a_thousand_short_lived_names_are_no_thousand_series() {
    let mut places = Places::new(50);
    let mut seen = HashSet::new();
    for second in 0..3_600 {
        let name = |n: u64| row("dentry", format!("{second}-{n}").as_bytes(), 192 * (1 + n % 7));
        let steady = row("filp", b"server", 1 << 20);
        let mut snapshot = served((0..40).map(name).chain([steady]).collect());
        snapshot.elapsed = Duration::from_secs(second);
        let exposed = Exposed::new(snapshot, &mut places, process());
        seen.extend(exposed.groups.into_iter().map(|group| group.labels));
    }
    assert!(seen.len() <= 50, "{}", seen.len());
    assert!(seen.contains(&vec![("cache", "filp".to_owned()), ("comm", "server".to_owned())]));
}

#[test]
fn a_place_that_nobody_used_for_an_hour_is_free() {
    let mut places = Places::new(4);
    let of = |name: &str, elapsed: u64| {
        let mut snapshot = served(vec![row("dentry", name.as_bytes(), 1 << 20)]);
        snapshot.elapsed = Duration::from_secs(elapsed);
        snapshot
    };
    for name in ["a", "b", "c"] {
        Exposed::new(of(name, 0), &mut places, process());
    }
    let has_its_own = |exposed: Exposed| exposed.groups[0].labels[1].1 == "new";
    assert!(!has_its_own(Exposed::new(of("new", 3_599), &mut places, process())));
    assert!(has_its_own(Exposed::new(of("new", 3_601), &mut places, process())));
}

#[test]
fn fewer_series_are_given_anew_and_more_are_added() {
    let mut places = Places::new(8);
    let crowd: Vec<_> = (0..20).map(|n| row("filp", format!("worker-{n}").as_bytes(), 1 << 20)).collect();
    let labels =
        |exposed: Exposed| exposed.groups.into_iter().map(|group| group.labels).collect::<BTreeSet<_>>();
    let eight = labels(Exposed::new(served(crowd.clone()), &mut places, process()));
    places.allow(12);
    let twelve = labels(Exposed::new(served(crowd.clone()), &mut places, process()));
    assert!(eight.is_subset(&twelve) && twelve.len() > eight.len(), "{eight:?} {twelve:?}");
    places.allow(4);
    assert!(labels(Exposed::new(served(crowd), &mut places, process())).len() <= 4);
}

#[test]
fn other_labels_are_other_series() {
    let mut places = Places::new(4);
    let crowd: Vec<_> = (0..20).map(|n| row("filp", format!("worker-{n}").as_bytes(), 1 << 20)).collect();
    Exposed::new(served(crowd), &mut places, process());
    let by = Keys::new(KEYS.into_iter().chain([By::Cgroup])).expect("there are keys");
    let mut row = row("dentry", b"curl", 1 << 20);
    row.keys.push(b"/a".to_vec());
    let exposed = Exposed::new(Snapshot { by, ..served(vec![row]) }, &mut places, process());
    assert_eq!(exposed.groups[0].labels[1].1, "curl");
}

proptest! {
    /// Whatever comes, in whatever order: no more series than asked for, none twice, and nothing is left out of the sums.
    #[test]
    fn series_are_bounded_and_add_up(
        max in 1_usize..12,
        reports in proptest::collection::vec(proptest::collection::vec((0_u8..6, 0_u16..40, 0_u64..1 << 40), 0..40), 1..8),
    ) {
        let mut places = Places::new(max);
        for (at, report) in reports.into_iter().enumerate() {
            let rows: Vec<_> = report
                .iter()
                .map(|(cache, comm, bytes)| row(&format!("cache-{cache}"), format!("{comm}").as_bytes(), *bytes))
                .collect();
            let mut snapshot = served(rows);
            snapshot.rest = None;
            snapshot.elapsed = Duration::from_secs(at as u64 * 1_000);
            let exposed = Exposed::new(snapshot, &mut places, process());
            let distinct: BTreeSet<_> = exposed.groups.iter().map(|group| &group.labels).collect();
            prop_assert!(exposed.groups.len() <= max, "{:?}", exposed.groups);
            prop_assert_eq!(distinct.len(), exposed.groups.len());
            let bytes: u64 = exposed.groups.iter().map(|group| group.bytes).sum();
            prop_assert_eq!(bytes, report.iter().map(|(_, _, bytes)| bytes).sum::<u64>());
        }
    }
}
