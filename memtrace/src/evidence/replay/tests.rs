//! What is replayed is what was recorded: all of it, any part of it, and whatever damage leaves of it.

mod damage;
mod fixture;
mod follow;
mod key_series;
mod limits;
mod peak;
mod player;
mod ring;
mod round_trip;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Query, Report, report, window::When};
use crate::{
    evidence::recording::{
        Reader,
        block::{Contents, FRAME_LEN, Frame},
        tests::script::START_NS,
    },
    knowledge::incidents::Incidents,
    select::filter::Filter,
    stream::ledger::Ledger,
    view::{By, Sort, build::ReportOptions},
};

/// Of all that was recorded, by command name, or by all that allocations tell.
fn ask(by: By) -> Query {
    Query {
        report_options: ReportOptions { by: by.into(), sort: Sort::Bytes, older: None, top: 100 },
        filter: Filter::default(),
        incidents: Incidents::built_in(),
        from: None,
        to: None,
        call_sites: false,
        nodes: false,
    }
}

/// The time at which a block ends, as one would ask for it.
fn at(end: u64) -> When {
    When::After(Duration::from_nanos(end - START_NS))
}

fn replay(path: &Path, ask: &Query) -> Report {
    report(&Reader::open(path).unwrap(), ask, &mut |_| {}).unwrap()
}

/// An empty directory, and a file's name in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.mt");
    (directory, path)
}

/// All that a ledger says of the origins, in a fixed order.
fn figures(ledger: &Ledger) -> Vec<String> {
    let mut origins: Vec<String> = ledger
        .origins()
        .map(|origin| {
            let mut names: Vec<String> = ledger.names(origin).map(|named| format!("{named:?}")).collect();
            names.sort_unstable();
            let counts = (origin.allocs, origin.frees, origin.outstanding(), ledger.oldest(origin));
            format!("{:?} {counts:?} {names:?}", origin.key)
        })
        .collect();
    origins.sort_unstable();
    origins
}

#[track_caller]
fn assert_same(replayed: &Ledger, direct: &Ledger) {
    assert_eq!(replayed.tally(), direct.tally());
    assert_eq!(replayed.outstanding(), direct.outstanding());
    assert_eq!(figures(replayed), figures(direct));
}

/// Where frames are in a whole file, and where what is behind them ends.
fn frames(bytes: &[u8]) -> Vec<(Frame, u64, u64)> {
    let frame = |at: usize| Frame::read(bytes.get(at..at + FRAME_LEN)?.try_into().unwrap());
    let places = (0..bytes.len()).step_by(64);
    let found = places.filter_map(|at| frame(at).map(|frame| (frame, at as u64)));
    found.map(|(frame, at)| (frame, at, at + FRAME_LEN as u64 + u64::from(frame.packed_len))).collect()
}

fn blocks(bytes: &[u8]) -> Vec<(Frame, u64, u64)> {
    frames(bytes).into_iter().filter(|(frame, ..)| frame.contents == Contents::Block).collect()
}

fn flip(path: &Path, at: u64, mask: u8) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ mask], at).unwrap();
}
