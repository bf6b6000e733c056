//! What was outstanding over time is, at each moment, what a report of that moment says; and all of it.

use super::*;
use crate::{
    evidence::{
        recording::tests::script,
        replay::key_series::{Gathered, MAX_KEYS, Peaks, key_series},
    },
    select::Select,
    view::{
        Checkpoint, Rest, Row, Snapshot,
        key_series::{Held, KeySeries},
    },
};

const BLOCKS: u64 = 12;

fn recorded() -> (tempfile::TempDir, PathBuf) {
    let (directory, path) = place();
    script::record_to(&path, None, &script::session(7, BLOCKS, 300));
    (directory, path)
}

fn series(path: &Path, query: &Query, keys: usize) -> KeySeries {
    key_series(&Reader::open(path).unwrap(), query, keys, &mut |_| {}).unwrap()
}

fn sum(held: impl Iterator<Item = (u64, u64)>) -> Held {
    held.fold(Held::default(), |sum, (objects, bytes)| Held {
        objects: sum.objects + objects,
        bytes: sum.bytes + bytes,
    })
}

/// All rows, shown or not.
fn total(snapshot: &Snapshot) -> Held {
    let rest = snapshot.rest.unwrap_or_default();
    sum(snapshot.rows.iter().map(|row| (row.objects, row.bytes)).chain([(rest.objects, rest.bytes)]))
}

#[track_caller]
fn is_as_reported(path: &Path, query: &Query, keys: usize) {
    let series = series(path, query, keys);
    let places = Reader::open(path).unwrap().places().to_vec();
    let first = places.len() - series.moments.len();
    for (at, place) in places[first..].iter().enumerate() {
        let query = Query { to: Some(super::at(place.end)), ..query.clone() };
        let report = replay(path, &query).snapshot;
        assert_eq!((series.moments[at].time, series.moments[at].elapsed), (report.time, report.elapsed));
        assert_eq!(series.total(at), total(&report), "moment {at}");
        let row = |keys: &Vec<Vec<u8>>| report.rows.iter().find(|row| row.keys == *keys);
        for line in &series.lines {
            let reported = row(&line.keys).map(|row| Held { objects: row.objects, bytes: row.bytes });
            assert_eq!(line.held[at], reported.unwrap_or_default(), "moment {at}");
        }
        let own = report.rows.iter().filter(|row| series.lines.iter().any(|line| line.keys == row.keys));
        assert_eq!(series.others[at].rows, report.rows.len() as u64 - own.count() as u64);
    }
}

#[test]
fn each_moment_is_as_its_report_says() {
    let (_directory, path) = recorded();
    let older = ReportOptions { older: Some(Duration::from_secs(2)), ..ask(By::Comm).report_options };
    let queries = [
        ask(By::Comm),
        ask(By::Pid),
        ask(By::CallSite),
        Query { report_options: older, ..ask(By::Comm) },
        Query {
            filter: Filter::new(&Select::of_caches(vec!["dentry".to_owned()])).unwrap(),
            ..ask(By::Cache)
        },
        Query { from: Some(When::After(Duration::from_secs(4))), ..ask(By::Comm) },
    ];
    for query in &queries {
        for keys in [1, 2, 100] {
            is_as_reported(&path, query, keys);
        }
    }
}

#[test]
fn the_biggest_have_lines_of_their_own() {
    let (_directory, path) = recorded();
    let all = series(&path, &ask(By::Pid), 1000);
    assert!(all.lines.len() > 2, "{}", all.lines.len());
    assert!(all.others.iter().all(|rest| *rest == Rest::default()));
    let peak = |line: &crate::view::key_series::Line| line.held.iter().map(|held| held.bytes).max().unwrap();
    assert!(all.lines.is_sorted_by_key(|line| std::cmp::Reverse(peak(line))));
    let few = series(&path, &ask(By::Pid), 2);
    assert_eq!(few.lines, all.lines[..2]);
}

#[test]
fn damage_is_said() {
    let (_directory, path) = recorded();
    let place = Reader::open(&path).unwrap().places()[5];
    flip(&path, place.offset + FRAME_LEN as u64 + 20, 1);
    let series = series(&path, &ask(By::Comm), 10);
    assert_eq!(series.moments.len() as u64, BLOCKS - 1);
    assert!(series.notes.iter().any(|note| note.contains("the file is damaged there")), "{:?}", series.notes);
}

fn row(key: u64, bytes: u64) -> Row {
    Row { keys: vec![key.to_string().into_bytes()], objects: 1, bytes, ..Row::default() }
}

/// Of more keys than are remembered, the biggest are still found.
#[test]
fn keys_without_end_take_no_memory_without_end() {
    let mut peaks = Peaks::default();
    let mut chance = script::Chance(11);
    let mut biggest: Vec<(u64, u64)> = (0..200_000).map(|key| (chance.below(1 << 40), key)).collect();
    biggest.iter().for_each(|(bytes, key)| peaks.add(&row(*key, *bytes)));
    biggest.sort_unstable_by_key(|(bytes, key)| (std::cmp::Reverse(*bytes), key.to_string()));
    let found =
        peaks.biggest(MAX_KEYS).into_iter().map(|(keys, _)| String::from_utf8(keys[0].clone()).unwrap());
    assert!(found.eq(biggest[..MAX_KEYS].iter().map(|(_, key)| key.to_string())));
}

/// What stays says what it said.
#[test]
fn moments_without_end_are_thinned() {
    let mut gathered = Gathered::new(vec![(vec![b"1".to_vec()], Held::default())], 20);
    let reader = recorded();
    let snapshot = replay(&reader.1, &ask(By::Comm)).snapshot;
    for second in 0..100 {
        let checkpoint = Checkpoint { elapsed: Duration::from_secs(second), ..Checkpoint::default() };
        let rows = vec![row(1, second), row(2, 1000 - second)];
        gathered.add(&checkpoint, &Snapshot { rows, ..snapshot.clone() });
    }
    let seconds: Vec<u64> = gathered.moments.iter().map(|moment| moment.elapsed.as_secs()).collect();
    assert!(seconds.len() <= 10 && seconds[0] == 0, "{seconds:?}");
    assert!(gathered.lines[0].held.iter().map(|held| held.bytes).eq(seconds.iter().copied()));
    assert!(gathered.others.iter().map(|rest| 1000 - rest.bytes).eq(seconds));
}
