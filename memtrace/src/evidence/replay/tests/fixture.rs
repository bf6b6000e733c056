//! Files that stay: one of each version, and what the fuzzers begin with.

use std::fs;

use super::*;
use crate::evidence::recording::{
    Block,
    tests::script::{self, Stretch},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn session() -> Vec<Stretch> {
    script::session(31, 6, 700)
}

/// A reader of its version is kept for as long as there are such files.
#[test]
fn version_1_still_reads_the_same() {
    let stretches = session();
    let report = replay(&fixtures().join("recording/v1.mt"), &ask(By::Comm));
    let mut direct = Ledger::new(script::header().ledger_bytes as usize);
    let entries = stretches.iter().flat_map(|stretch| &stretch.entries);
    entries.for_each(|entry| script::apply(&mut direct, &entry.entry()));
    assert_same(&report.state.ledger, &direct);
    assert_eq!(report.series.marks.len(), 1);
}

/// For a new version: its file is made once, with its name, and never again.
#[test]
#[ignore = "it writes into the tree"]
fn make_fixtures() {
    let stretches = session();
    let path = fixtures().join("recording/v1.mt");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    script::record_to(&path, None, &stretches);
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
