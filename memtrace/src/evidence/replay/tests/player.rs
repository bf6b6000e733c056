//! A moment that is stepped to, from whatever other one, is what a report of it says.

use super::*;
use crate::{
    evidence::{
        recording::tests::script::{self, Chance},
        replay::player::Player,
    },
    select::Select,
    stream::comm_pattern::CommPattern,
    view::Snapshot,
};

const BLOCKS: usize = 14;

/// By `report --at`.
fn reported(path: &Path, query: &Query, block: usize) -> Snapshot {
    let end = Reader::open(path).unwrap().places()[block].end;
    replay(path, &Query { to: Some(at(end)), ..query.clone() }).snapshot
}

/// Steps to and fro, and compares each moment with its report.
#[track_caller]
fn check(path: &Path, query: &Query, first: usize, seed: u64) {
    let mut player = Player::new(Reader::open(path).unwrap(), query.clone()).unwrap();
    // Small enough to be used, and to be thinned.
    player.keep_checkpoints(300, 200_000);
    let moments = player.places().len();
    let mut chance = Chance(seed);
    for _ in 0..25 {
        let moment = chance.below(moments as u64) as usize;
        let shown = player.show(moment, &mut |_| {}).unwrap();
        assert_eq!(shown, reported(path, query, first + moment), "moment {moment}");
    }
}

fn recorded(path: &Path) {
    script::record_to(path, None, &script::session(5, BLOCKS as u64, 250));
}

#[test]
fn any_moment_is_as_its_report_says() {
    let (_directory, path) = place();
    recorded(&path);
    let comm = CommPattern::parse("curl").unwrap();
    let curl =
        Filter::new(&Select { caches: vec!["dentry".to_owned()], comms: vec![comm], ..Select::default() })
            .unwrap();
    let older = Query {
        report_options: ReportOptions { older: Some(Duration::from_secs(2)), ..ask(By::Pid).report_options },
        ..ask(By::Pid)
    };
    let queries =
        [ask(By::Comm), ask(By::CallSite), older, Query { filter: curl, call_sites: true, ..ask(By::Cache) }];
    queries.iter().zip(1..).for_each(|(query, seed)| check(&path, query, 0, seed));
    let from = Query { from: Some(When::After(Duration::from_secs(4))), ..ask(By::Comm) };
    check(&path, &from, 4, 9);
}

#[test]
fn damage_is_where_it_was() {
    let (_directory, path) = place();
    recorded(&path);
    let places = Reader::open(&path).unwrap().places().to_vec();
    let file = File::options().write(true).open(&path).unwrap();
    for block in [0, 6, BLOCKS - 1] {
        file.write_all_at(b"damage", places[block].offset + FRAME_LEN as u64 + 20).unwrap();
    }
    check(&path, &ask(By::Comm), 0, 3);
}

#[test]
fn another_question_begins_anew() {
    let (_directory, path) = place();
    recorded(&path);
    let mut player = Player::new(Reader::open(&path).unwrap(), ask(By::Comm)).unwrap();
    player.show(9, &mut |_| {}).unwrap();
    player.ask(ask(By::Cache));
    assert_eq!(player.show(9, &mut |_| {}).unwrap(), reported(&path, &ask(By::Cache), 9));
    assert_eq!(player.outstanding().len(), 10);
    assert_eq!(player.marks().len(), 1);
}

#[test]
fn what_is_written_meanwhile_is_read_on() {
    let (_directory, path) = place();
    let stretches = script::session(5, BLOCKS as u64, 250);
    script::record_to(&path, None, &stretches[..5]);
    let mut player = Player::new(Reader::open(&path).unwrap(), ask(By::Comm)).unwrap();
    player.show(4, &mut |_| {}).unwrap();
    fs::remove_file(&path).unwrap();
    script::record_to(&path, None, &stretches);
    player.read_on(Reader::open(&path).unwrap());
    assert_eq!(player.places().len(), BLOCKS);
    for moment in [13, 2, 5] {
        assert_eq!(player.show(moment, &mut |_| {}).unwrap(), reported(&path, &ask(By::Comm), moment));
    }
}
