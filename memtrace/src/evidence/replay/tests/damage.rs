//! A file that was cut, or changed at one place: what is outside the damage is read, and what is missing is said.

use std::fs;

use super::*;
use crate::evidence::recording::{
    Place, ReadError,
    header::HeaderError,
    index,
    tests::script::{self, Chance},
};

const BLOCKS: u64 = 8;

/// The times in a note on what is missing: `events from X to Y are missing: ...`.
fn missing(notes: &[String]) -> Vec<(String, String)> {
    let range = |note: &String| {
        let (range, _) = note.strip_prefix("events from ")?.split_once(" are missing: ")?;
        let (from, to) = range.split_once(" to ")?;
        Some((from.to_owned(), to.to_owned()))
    };
    notes.iter().filter_map(range).collect()
}

/// As notes tell it: the start of the n-th block.
fn told(block: u64) -> String {
    let time = std::time::SystemTime::UNIX_EPOCH + script::STARTED + Duration::from_secs(block);
    humantime::format_rfc3339_millis(time).to_string()
}

/// Events that blocks outside the damage have.
fn events(bytes: &[u8], kept: impl Fn(&(Frame, u64, u64)) -> bool, stretches: &[script::Stretch]) -> u64 {
    let kept = blocks(bytes).into_iter().filter(kept).map(|(frame, ..)| frame.sequence as usize);
    kept.map(|sequence| script::events(&stretches[sequence..=sequence])).sum()
}

#[test]
fn a_file_that_was_cut_reads_up_to_there() {
    let stretches = script::session(11, BLOCKS, 400);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    let mut chance = Chance(12);
    let header_len = script::header().to_bytes().len() as u64;
    for _ in 0..200 {
        let len = chance.below(bytes.len() as u64);
        fs::write(&path, &bytes[..len as usize]).unwrap();
        let whole = blocks(&bytes).iter().filter(|(.., end)| *end <= len).count();
        match Reader::open(&path) {
            Ok(reader) => {
                assert_eq!(reader.places().len(), whole, "cut to {len}");
                let report = report(&reader, &ask(By::Comm), &mut |_| {}).unwrap();
                let expected = script::events(&stretches[..whole]);
                assert_eq!(report.state.ledger.tally().total(), expected, "cut to {len}");
                assert!(report.snapshot.is_final);
                let notes = &report.snapshot.notes;
                assert!(notes.iter().any(|note| note.contains(&told(whole as u64))), "{notes:?}");
            }
            Err(ReadError::NoBlocks(_)) => assert!(whole == 0 && len >= header_len, "cut to {len}"),
            Err(ReadError::Header { source, .. }) => {
                assert!(len < header_len, "cut to {len}: {source}");
                assert_eq!(source == HeaderError::Empty, len == 0);
            }
            Err(error) => panic!("cut to {len}: {error}"),
        }
    }
}

#[test]
fn a_changed_bit_costs_one_block_at_most() {
    let stretches = script::session(13, BLOCKS, 400);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    let all = script::events(&stretches);
    let mut chance = Chance(14);
    for _ in 0..200 {
        let (at, bit) = (chance.below(bytes.len() as u64), chance.below(8));
        fs::write(&path, &bytes).unwrap();
        flip(&path, at, 1 << bit);
        let report = replay(&path, &ask(By::Comm));
        let is_hit = |(_, start, end): &(Frame, u64, u64)| (*start..*end).contains(&at);
        let expected = events(&bytes, |block| !is_hit(block), &stretches);
        assert_eq!(report.state.ledger.tally().total(), expected, "bit {bit} of {at}");
        let hit = blocks(&bytes).into_iter().find(is_hit);
        let lost: Vec<_> =
            hit.iter().map(|(frame, ..)| (told(frame.sequence), told(frame.sequence + 1))).collect();
        assert_eq!(missing(&report.snapshot.notes), lost, "bit {bit} of {at}: {:?}", report.snapshot.notes);
        assert_eq!(expected == all, hit.is_none());
    }
}

/// Without its index, what has no whole frame is not known; its neighbours tell that it is missing.
#[test]
fn without_an_index_a_damaged_frame_is_a_gap() {
    let stretches = script::session(15, BLOCKS, 300);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    for (hit, (frame, start, _)) in blocks(&bytes).into_iter().enumerate() {
        fs::write(&path, &bytes).unwrap();
        flip(&path, bytes.len() as u64 - 1, 0xff);
        flip(&path, start + 20, 1);
        let report = replay(&path, &ask(By::Comm));
        let expected = events(&bytes, |(other, ..)| other.sequence != frame.sequence, &stretches);
        assert_eq!(report.state.ledger.tally().total(), expected);
        let notes = report.snapshot.notes.join("\n");
        match hit as u64 {
            0 => assert!(notes.contains(&format!("events before {}", told(1))), "{notes}"),
            last if last + 1 == BLOCKS => assert!(notes.contains(&told(last)), "{notes}"),
            hit => assert_eq!(missing(&report.snapshot.notes), [(told(hit), told(hit + 1))]),
        }
        assert!(notes.contains("not closed cleanly"), "{notes}");
    }
}

/// Killed, or still being written: the last events that the probes sent are in no block, and that is no fault.
#[test]
fn what_was_on_its_way_at_the_end_is_not_unaccounted_for() {
    let mut stretches = script::session(17, BLOCKS, 300);
    for stretch in &mut stretches {
        stretch.footer.checkpoint.is_final = false;
        stretch.footer.checkpoint.trust.emitted += 8;
    }
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    let (_, _, end) = blocks(&bytes)[1];
    for length in [bytes.len() as u64, bytes.len() as u64 - 1, end] {
        fs::write(&path, &bytes[..length as usize]).unwrap();
        let report = replay(&path, &ask(By::Comm));
        let trust = &report.snapshot.trust;
        assert_eq!((report.snapshot.is_final, trust.emitted), (true, trust.applied), "{length}");
    }
    // Of a session that ended, what is missing is said.
    stretches[BLOCKS as usize - 1].footer.checkpoint.is_final = true;
    fs::remove_file(&path).unwrap();
    script::record_to(&path, None, &stretches);
    let trust = replay(&path, &ask(By::Comm)).snapshot.trust;
    assert_eq!(trust.emitted, trust.applied + 8);
}

#[test]
fn a_damaged_beginning_is_read_from_its_copy() {
    let stretches = script::session(16, 3, 300);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    let header = Reader::open(&path).unwrap().header;
    for at in 0..script::header().to_bytes().len() as u64 {
        fs::write(&path, &bytes).unwrap();
        flip(&path, at, 0x80);
        let reader = Reader::open(&path).unwrap();
        assert!(reader.is_mended && reader.header == header, "{at}");
    }
    let report = replay(&path, &ask(By::Comm));
    assert_eq!(report.state.ledger.tally().total(), script::events(&stretches));
    assert_eq!(report.snapshot.notes, ["the file's header is damaged; its copy was read instead"]);
    // Both.
    let copy = frames(&bytes).into_iter().find(|(frame, ..)| frame.contents == Contents::Header).unwrap();
    flip(&path, copy.2 - 1, 1);
    assert!(matches!(Reader::open(&path), Err(ReadError::Header { .. })));
}

#[test]
fn an_index_that_says_what_is_not_there_costs_nothing_else() {
    let stretches = script::session(17, 3, 300);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    let reader = Reader::open(&path).unwrap();
    let index = frames(&bytes).into_iter().find(|(frame, ..)| frame.contents == Contents::Index).unwrap();
    let with = |change: &dyn Fn(&mut Vec<Place>)| {
        let mut places = reader.places().to_vec();
        change(&mut places);
        let mut plain = Vec::new();
        index::put(&places, &mut plain);
        let mut made_up = bytes[..index.1 as usize].to_vec();
        let about = crate::evidence::recording::block::About {
            contents: Contents::Index,
            sequence: 0,
            start: 0,
            end: 0,
            entries: 0,
        };
        crate::evidence::recording::block::Packer::new().unwrap().pack(&plain, about, &mut made_up).unwrap();
        made_up.extend(index::trailer(index.1));
        fs::write(&path, made_up).unwrap();
        replay(&path, &ask(By::Comm)).state.ledger.tally().total()
    };
    let all = script::events(&stretches);
    assert_eq!(with(&|_| {}), all);
    // Not believed: blocks are searched.
    assert_eq!(with(&|places| places[1].offset = u64::MAX - 5), all);
    assert_eq!(with(&|places| places.swap(0, 1)), all);
    assert_eq!(with(&|places| places[0].start = u64::MAX), all);
    assert_eq!(with(&|places| places.clear()), all);
    let many = |places: &mut Vec<Place>| {
        let last = places[2];
        places.extend((3..100_000).map(|sequence| Place { sequence, ..last }));
    };
    assert_eq!(with(&many), all);
    // A block that is elsewhere is missing.
    let without_second = all - script::events(&stretches[1..2]);
    assert_eq!(with(&|places| places[1].offset = places[0].offset), without_second);
    // The trailer leads anywhere.
    for offset in [0, 64, u64::MAX, bytes.len() as u64, index.1 + 1] {
        let mut made_up = bytes[..bytes.len() - 16].to_vec();
        made_up.extend(index::trailer(offset));
        fs::write(&path, made_up).unwrap();
        assert_eq!(replay(&path, &ask(By::Comm)).state.ledger.tally().total(), all, "{offset}");
    }
}

/// A window that begins behind a damaged block is compared with the last moment that can be read.
#[test]
fn a_window_behind_damage_has_its_own_figures() {
    let stretches = script::session(18, 5, 300);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    flip(&path, blocks(&bytes)[2].2 - 1, 1);
    let from = Some(When::After(Duration::from_secs(3)));
    let report = replay(&path, &Query { from, ..ask(By::Comm) });
    assert_eq!(report.snapshot.trust.applied, script::events(&stretches[3..]));
    assert!(report.snapshot.elapsed <= Duration::from_secs(3), "{:?}", report.snapshot.elapsed);
}

/// Nothing but holes.
#[test]
fn a_huge_file_with_nothing_in_it_takes_no_time() {
    let (_directory, path) = place();
    fs::write(&path, script::header().to_bytes()).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(Reader::open(&path), Err(ReadError::NoBlocks(_))));
}
