//! Files that stay: one of each version, and what the fuzzers begin with.

use std::{fs, sync::Arc};

use super::*;
use crate::{
    evidence::recording::{
        Block,
        tests::{
            entries::Owned,
            script::{self, Stretch},
        },
    },
    output,
    stream::event::ObjectId,
    view::Verified,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn session() -> Vec<Stretch> {
    script::session(31, 6, 700)
}

/// One whose objects were verified, and that knows what was there before.
fn verified_session() -> Vec<Stretch> {
    let mut stretches = session();
    for Stretch { entries, footer, .. } in &mut stretches {
        let allocs = entries.iter().filter_map(|entry| match entry {
            Owned::Alloc(alloc) => Some(ObjectId { ptr: alloc.ptr, time: alloc.time }),
            _ => None,
        });
        // Some of them are not there any more, and stay as they are.
        let refuted: Vec<Owned> = allocs.step_by(10).map(Owned::Refuted).collect();
        footer.checkpoint.trust.verified =
            Some(Verified { objects: 100, outstanding: 120, refuted: refuted.len() as u64, is_whole: false });
        entries.extend(refuted);
    }
    script::count_outstanding(&mut stretches);
    stretches[1].footer.checkpoint.census = Some(Arc::new(output::sample::census::wreck().as_recorded()));
    stretches
}

/// A reader of its version is kept for as long as there are such files.
#[test]
fn version_1_still_reads_the_same() {
    reads_the_same("v1.mt", &session());
}

#[test]
fn version_2_still_reads_the_same() {
    reads_the_same("v2.mt", &verified_session());
}

fn reads_the_same(name: &str, stretches: &[Stretch]) {
    let report = replay(&fixtures().join("recording").join(name), &ask(By::Comm));
    let mut direct = Ledger::new(script::header().ledger_bytes as usize);
    let entries = stretches.iter().flat_map(|stretch| &stretch.entries);
    entries.for_each(|entry| script::apply(&mut direct, &entry.entry()));
    assert_same(&report.state.ledger, &direct);
    assert_eq!(report.series.marks.len(), 1);
    let census = stretches.iter().find_map(|stretch| stretch.footer.checkpoint.census.clone());
    assert_eq!(report.snapshot.census, census);
}

/// For a new version: its file is made once, with its name, and never again.
#[test]
#[ignore = "it writes into the tree"]
fn make_fixtures() {
    let path = fixtures().join("recording/v2.mt");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    script::record_to(&path, None, &verified_session());
    let bytes = fs::read(&path).unwrap();
    let reader = Reader::open(&path).unwrap();
    let plain = reader.plain(&reader.places()[0]).unwrap();
    let small = script::session(32, 1, 40);
    let (_directory, small_path) = place();
    script::record_to(&small_path, None, &small);
    let small = Reader::open(&small_path).unwrap();
    let small_plain = small.plain(&small.places()[0]).unwrap();
    let mut definitions = Vec::new();
    Block::read(&plain).unwrap().definitions.put(&mut definitions);
    let mut index = Vec::new();
    crate::evidence::recording::index::put(reader.places(), &mut index);
    let in_order =
        [&[1][..], &(small_plain.len() as u16).to_le_bytes(), &small_plain, &[4, 0, 0, 0, 0, 0]].concat();
    for (target, name, bytes) in [
        ("block", "small", small_plain),
        ("definitions", "scripted", definitions),
        ("index", "scripted", index),
        ("header", "scripted", script::header().to_bytes()[20..].to_vec()),
        ("recording", "small", [&[0][..], &fs::read(&small_path).unwrap()].concat()),
        ("recording", "cut", [&[0][..], &bytes[..bytes.len() / 2]].concat()),
        ("recording", "in-order", in_order),
    ] {
        let directory = fixtures().join("fuzz").join(target);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), bytes).unwrap();
    }
}
