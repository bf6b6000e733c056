//! Files whose blocks go round.

use std::{
    fs,
    sync::{Arc, mpsc::channel},
};

use super::*;
use crate::evidence::recording::{
    Progress, Recorder,
    copy::Order,
    file::{Sink, WriteError},
    tests::script::{self, Chance, Stretch},
};

/// Room for some blocks; a live one has more.
const ROOM: u64 = 64 << 10;

fn record(path: &Path, stretches: &[Stretch]) {
    let written = script::record_to(path, Some(ROOM), stretches);
    assert_eq!(written.blocks + written.overwritten, stretches.len() as u64);
    // The index is behind the ring.
    assert!(written.bytes < ROOM + 4096, "{written:?}");
}

/// Stretches of different lengths, so that blocks do not end where others did.
fn stretches(seed: u64, count: u64) -> Vec<Stretch> {
    let mut chance = Chance(seed);
    let mut stretches = script::session(seed, count, 900);
    stretches.iter_mut().for_each(|stretch| stretch.entries.truncate(200 + chance.below(700) as usize));
    stretches
}

#[test]
fn the_newest_blocks_are_kept_and_what_is_gone_is_said() {
    for count in [3, 12, 25, 60, 97] {
        let stretches = stretches(21, count);
        let (_directory, path) = place();
        record(&path, &stretches);
        let bytes = fs::read(&path).unwrap();
        // By the index, and without it.
        for is_whole in [true, false] {
            if !is_whole {
                fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
            }
            let reader = Reader::open(&path).unwrap();
            assert_eq!(reader.is_finished, is_whole);
            let sequences: Vec<u64> = reader.places().iter().map(|place| place.sequence).collect();
            let first = count - sequences.len() as u64;
            assert_eq!(sequences, (first..count).collect::<Vec<_>>());
            let report = replay(&path, &ask(By::Comm));
            let kept = script::events(&stretches[first as usize..]);
            assert_eq!(report.state.ledger.tally().total(), kept);
            let notes = report.snapshot.notes.join("\n");
            assert_eq!(notes.contains("the ring keeps only the end"), first > 0, "{notes}");
            assert!(count < 25 || first > 0 && sequences.len() > 4, "{count}: {sequences:?}");
        }
    }
}

/// As when it is killed: without an index, with a block half written over an older one.
#[test]
fn a_ring_that_was_left_at_any_block_reads_to_there() {
    let all = stretches(22, 40);
    let mut chance = Chance(23);
    for count in 1..all.len() {
        let (_directory, path) = place();
        record(&path, &all[..count]);
        let bytes = fs::read(&path).unwrap();
        let reader = Reader::open(&path).unwrap();
        let newest = *reader.places().last().unwrap();
        let oldest = reader.places()[0].sequence;
        let (.., end) = *blocks(&bytes).iter().find(|(_, start, _)| *start == newest.offset).unwrap();
        // The index goes, and the newest block ends in what was there before.
        let mut torn = bytes[..bytes.len() - 1].to_vec();
        let from = newest.offset + 64 + chance.below(end - newest.offset - 64);
        torn[from as usize..end as usize].fill(0xa5);
        fs::write(&path, torn).unwrap();
        let report = replay(&path, &ask(By::Comm));
        let expected = script::events(&all[oldest as usize..count - 1]);
        assert_eq!(report.state.ledger.tally().total(), expected, "{count}");
        let notes = report.snapshot.notes.join("\n");
        assert!(notes.contains("the file is damaged there"), "{count}: {notes}");
    }
}

#[test]
fn a_changed_or_cut_ring_is_read_around_the_damage() {
    let stretches = stretches(24, 50);
    let (_directory, path) = place();
    record(&path, &stretches);
    let bytes = fs::read(&path).unwrap();
    let kept = Reader::open(&path).unwrap().places().len();
    let all = blocks(&bytes);
    let first_end = all[0].2;
    let mut chance = Chance(25);
    for round in 0..400 {
        let at = chance.below(bytes.len() as u64);
        if round % 2 == 0 {
            fs::write(&path, &bytes).unwrap();
            flip(&path, at, 1 << chance.below(8));
        } else {
            fs::write(&path, &bytes[..at as usize]).unwrap();
        }
        let Ok(reader) = Reader::open(&path) else {
            assert!(round % 2 == 1 && at < first_end, "{at}");
            continue;
        };
        let report = report(&reader, &ask(By::Comm), &mut |_| {}).unwrap();
        let is_whole = |(_, start, end): &(Frame, u64, u64)| {
            if round % 2 == 0 { !(*start..*end).contains(&at) } else { *end <= at }
        };
        let there = all.iter().filter(|block| is_whole(block)).count();
        assert!(there + 1 >= kept || round % 2 == 1);
        let sequences = reader.places().iter().map(|place| place.sequence as usize);
        let readable = sequences.filter(|sequence| {
            all.iter().any(|block| block.0.sequence as usize == *sequence && is_whole(block))
        });
        let expected: u64 = readable.map(|sequence| script::events(&stretches[sequence..=sequence])).sum();
        assert_eq!(report.state.ledger.tally().total(), expected, "{round}: {at}");
        assert_eq!(there, reader.places().iter().filter(|place| reader.plain(place).is_ok()).count());
    }
}

#[test]
fn what_has_no_room_in_the_ring_is_refused() {
    let (_directory, path) = place();
    let sink = Sink::create(&path, false, Some(8 << 10)).unwrap();
    let error = script::record(sink, &script::session(26, 3, 4000)).unwrap_err();
    assert!(matches!(error, WriteError::NoRoom(_)), "{error}");
}

/// Records all stretches, and orders a copy behind the first `before`. Where `waits`, nothing is recorded until it is made.
fn copied(path: &Path, copy: &Path, stretches: &[Stretch], before: usize, waits: bool) {
    let sink = Sink::create(path, false, Some(ROOM)).unwrap();
    let mut recorder = Recorder::start(script::header(), sink, None, Arc::new(Progress::default())).unwrap();
    let (tell, told) = channel();
    script::push(&mut recorder, &stretches[..before]);
    let done = Box::new(move |copied| tell.send(copied).unwrap());
    recorder.copy(Order { path: copy.to_owned(), replace: false, done });
    let early = waits.then(|| told.recv().unwrap());
    script::push(&mut recorder, &stretches[before..]);
    recorder.finish().unwrap();
    early.unwrap_or_else(|| told.recv().unwrap()).unwrap();
}

#[test]
fn a_copy_has_what_the_ring_had() {
    let stretches = stretches(27, 70);
    for before in [2, 30, 55] {
        let (_directory, path) = place();
        let (copy, alone) = (path.with_extension("copy"), path.with_extension("alone"));
        copied(&path, &copy, &stretches, before, true);
        record(&alone, &stretches[..before]);
        let [copy, alone] = [&copy, &alone].map(|path| {
            assert!(Reader::open(path).unwrap().is_finished);
            replay(path, &ask(By::Comm))
        });
        assert_eq!(copy.snapshot, alone.snapshot);
        assert_eq!(copy.series, alone.series);
    }
}

/// What is written over meanwhile is the oldest.
#[test]
fn a_copy_that_is_made_meanwhile_is_whole() {
    for before in 40..60 {
        let stretches = stretches(28, before as u64 + 3);
        let (_directory, path) = place();
        let copy = path.with_extension("copy");
        copied(&path, &copy, &stretches, before, false);
        let reader = Reader::open(&copy).unwrap();
        let sequences: Vec<usize> = reader.places().iter().map(|place| place.sequence as usize).collect();
        assert_eq!(sequences, (sequences[0]..before).collect::<Vec<_>>());
        let report = replay(&copy, &ask(By::Comm));
        assert_eq!(report.state.ledger.tally().total(), script::events(&stretches[sequences[0]..before]));
        assert!(
            !report.snapshot.notes.iter().any(|note| note.contains("damaged")),
            "{:?}",
            report.snapshot.notes
        );
    }
}

#[test]
fn a_copy_replaces_nothing() {
    let stretches = stretches(29, 3);
    let (_directory, path) = place();
    let sink = Sink::create(&path, false, Some(ROOM)).unwrap();
    let mut recorder = Recorder::start(script::header(), sink, None, Arc::new(Progress::default())).unwrap();
    script::push(&mut recorder, &stretches);
    let (tell, told) = channel();
    let done = Box::new(move |copied| tell.send(copied).unwrap());
    recorder.copy(Order { path: path.clone(), replace: false, done });
    recorder.finish().unwrap();
    assert!(told.recv().unwrap().is_err());
    assert!(Reader::open(&path).is_ok());
}
