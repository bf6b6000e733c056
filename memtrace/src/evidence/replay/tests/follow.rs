//! A recording that is followed shows what its session showed, however much of it is new each time.

use super::*;
use crate::{
    evidence::{
        recording::tests::script::{self, Chance, Stretch},
        replay::follow::Follower,
    },
    view::Snapshot,
};

/// Room for some blocks.
const ROOM: u64 = 64 << 10;

fn follower(path: &Path, query: &Query) -> Follower {
    Follower::start(Reader::open(path).unwrap(), query, &mut |_| {}).unwrap()
}

/// As if a recorder went on writing.
fn write(path: &Path, ring: Option<u64>, stretches: &[Stretch]) {
    let _ = fs::remove_file(path);
    script::record_to(path, ring, stretches);
}

/// The report behind each step, of which the last one is that of the whole.
fn followed(path: &Path, ring: Option<u64>, all: &[Stretch], steps: &[usize]) -> Vec<Option<Snapshot>> {
    write(path, ring, &all[..steps[0]]);
    let mut follower = follower(path, &ask(By::Comm));
    let mut reports = vec![follower.latest(&mut |_| {}).unwrap()];
    for step in &steps[1..] {
        write(path, ring, &all[..*step]);
        assert!(follower.read_on(Reader::open(path).unwrap()));
        reports.push(follower.latest(&mut |_| {}).unwrap());
    }
    reports
}

#[test]
fn steps_do_not_matter() {
    let (_directory, path) = place();
    let all = script::session(41, 14, 250);
    let one_by_one = followed(&path, None, &all, &(1..=14).collect::<Vec<_>>());
    let mut chance = Chance(42);
    for _ in 0..5 {
        let mut steps: Vec<usize> = (1..14).filter(|_| chance.below(3) == 0).chain([14]).collect();
        steps.insert(0, 1);
        steps.dedup();
        let reports = followed(&path, None, &all, &steps);
        assert_eq!(reports.last(), one_by_one.last(), "{steps:?}");
        // A step shows its last report.
        for (report, step) in reports.iter().zip(&steps) {
            let shown = one_by_one[..*step].iter().rev().find_map(Option::as_ref);
            assert!(report.is_none() || report.as_ref() == shown, "{steps:?}");
        }
    }
}

/// At its end it is the report.
#[test]
fn the_last_one_is_the_report() {
    let (_directory, path) = place();
    let all = script::session(43, 9, 250);
    let last = followed(&path, None, &all, &[3, 9]).pop().unwrap().unwrap();
    assert!(last.is_final);
    assert_eq!(last, replay(&path, &ask(By::Comm)).snapshot);
}

#[test]
fn a_block_that_is_half_written_is_waited_for() {
    let (_directory, path) = place();
    let all = script::session(44, 6, 250);
    write(&path, None, &all[..5]);
    let place = *Reader::open(&path).unwrap().places().last().unwrap();
    let mut follower = follower(&path, &ask(By::Comm));
    flip(&path, place.offset + FRAME_LEN as u64 + 20, 1);
    follower.latest(&mut |_| {}).unwrap();
    write(&path, None, &all);
    assert!(follower.read_on(Reader::open(&path).unwrap()));
    let last = follower.latest(&mut |_| {}).unwrap();
    assert_eq!(last, followed(&path, None, &all, &[6]).pop().unwrap());
}

#[test]
fn what_a_ring_still_has_is_read() {
    let (_directory, path) = place();
    let all = script::session(45, 80, 600);
    let reports = followed(&path, Some(ROOM), &all, &[5, 70, 80]);
    let notes = reports.into_iter().map(|report| report.unwrap().notes.concat()).collect::<Vec<_>>();
    let says_it = |notes: &String| notes.contains("the ring had overwritten them before they were read");
    assert_eq!(notes.iter().map(says_it).collect::<Vec<_>>(), [false, true, true], "{notes:?}");
}

#[test]
fn another_recording_is_another_one() {
    let (_directory, path) = place();
    let all = script::session(46, 3, 50);
    write(&path, None, &all);
    let mut follower = follower(&path, &ask(By::Comm));
    write(&path, Some(ROOM), &all);
    assert!(!follower.read_on(Reader::open(&path).unwrap()));
}
