//! Dentries are shown by where they are and what they are called.

use crate::{
    Needs, Runs, Test,
    host::directory_on_disk,
    program::{NameStyle, Task},
    session::Session,
    snapshot::Row,
    ways::{LOOKED_UP, SAMPLE_NOTE, Way, Ways},
    workload::{Workload, unique},
};

const DENTRIES: u64 = 1000;

/// Each style of names, who makes them, and what their pattern is to be.
fn patterns() -> [(&'static str, NameStyle, String); 4] {
    [
        ("names", NameStyle::DoesNotExist, ".<n>_dOeSnotExist_.db".to_owned()),
        ("longest", NameStyle::Longest, format!(".<n>_{}", "x".repeat(247))),
        ("uuids", NameStyle::Uuid, "<n>.json".to_owned()),
        // Parsing the JSON gave the real characters back; what is not UTF-8 stays escaped.
        ("hostile", NameStyle::Hostile, "<n>\n\x1b[<n>J\"'\\\\xff".to_owned()),
    ]
}

pub fn tests(ways: &Ways) -> Vec<Test> {
    let test = |way: Way, run: fn(Way)| {
        let name = format!("names_have_their_directory_and_pattern_by_{}", way.name);
        Test::new(name, Needs::Disk, Runs::EachKernel, move || run(way))
    };
    let streamed = ways.names.iter().map(|&way| test(way, are_named_all));
    streamed.chain([test(LOOKED_UP, are_named_by_sample)]).collect()
}

/// A program that makes dentries of one style of names.
struct Flood {
    comm: String,
    pattern: String,
    /// Ended before its directory's parent is removed.
    workload: Workload,
    _disk: tempfile::TempDir,
}

/// A session over one program for each style of names.
fn floods(way: Way) -> (Session, [Flood; 4]) {
    let mut floods = patterns().map(|(who, names, pattern)| {
        let comm = unique(who);
        let disk = directory_on_disk();
        let within = disk.path().to_owned();
        let task = Task::NegativeDentries { within, count: DENTRIES as usize, names };
        Flood { workload: Workload::start(&comm, &task), comm, pattern, _disk: disk }
    });
    let comms = floods.iter().flat_map(|flood| ["--comm", &flood.comm]);
    let arguments: Vec<&str> =
        ["--cache", "dentry"].into_iter().chain(way.arguments()).chain(comms).collect();
    let session = Session::start(&arguments);
    floods.iter_mut().for_each(|flood| flood.workload.go());
    (session, floods)
}

fn are_named_all(way: Way) {
    let (mut session, floods) = floods(way);
    for mut flood in floods {
        let row = session.until_objects(&flood.comm, DENTRIES).row(&flood.comm);
        assert_eq!(named(&row), [("db", &*flood.pattern, DENTRIES)]);
        flood.workload.release();
        let row = session.until_objects(&flood.comm, 0).row(&flood.comm);
        assert_eq!(named(&row), []);
    }
    session.interrupt();
}

fn are_named_by_sample(way: Way) {
    let (mut session, floods) = floods(way);
    session.until("names of each", |report| {
        floods.iter().all(|flood| !report.row(&flood.comm).names.is_empty())
    });
    let last = session.interrupt();
    for Flood { comm, pattern, workload, _disk } in floods {
        let row = last.row(&comm);
        let [("db", found, objects)] = named(&row)[..] else { panic!("{:?}", row.names) };
        assert_eq!(found, pattern);
        assert!(objects <= DENTRIES);
        assert_eq!(row.objects, DENTRIES);
        workload.end();
    }
    assert!(last.notes.iter().any(|note| note.starts_with(SAMPLE_NOTE)), "{:?}", last.notes);
}

fn named(row: &Row) -> Vec<(&str, &str, u64)> {
    row.names.iter().map(|names| (&*names.parent, &*names.pattern, names.objects)).collect()
}
