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

/// What a pattern is to be: each style of names, and its pattern.
fn patterns() -> [(&'static str, NameStyle, String); 4] {
    [
        ("names", NameStyle::DoesNotExist, ".<n>_dOeSnotExist_.db".to_owned()),
        ("longest_names", NameStyle::Longest, format!(".<n>_{}", "x".repeat(247))),
        ("uuids", NameStyle::Uuid, "<n>.json".to_owned()),
        // Parsing the JSON gave the real characters back; what is not UTF-8 stays escaped.
        ("hostile_names", NameStyle::Hostile, "<n>\n\x1b[<n>J\"'\\\\xff".to_owned()),
    ]
}

pub fn tests(ways: &Ways) -> Vec<Test> {
    let streamed = ways.names.iter().flat_map(|&way| {
        patterns().map(|(what, style, pattern)| {
            let name = format!("{what}_have_their_directory_and_pattern_by_{}", way.name);
            Test::new(name, Needs::Disk, Runs::EachKernel, move || are_named_all(way, style, &pattern))
        })
    });
    let looked_up = patterns().map(|(what, style, pattern)| {
        let name = format!("{what}_have_their_directory_and_pattern_by_{}", LOOKED_UP.name);
        Test::new(name, Needs::Disk, Runs::EachKernel, move || are_named_by_sample(style, &pattern))
    });
    streamed.chain(looked_up).collect()
}

/// A session over a program that makes dentries of such names.
struct Flood {
    comm: String,
    session: Session,
    /// Ended before its directory's parent is removed.
    workload: Workload,
    _disk: tempfile::TempDir,
}

impl Flood {
    fn start(style: NameStyle, way: Way) -> Self {
        let comm = unique("names");
        let disk = directory_on_disk();
        let within = disk.path().to_owned();
        let task = Task::NegativeDentries { within, count: DENTRIES as usize, names: style };
        let mut workload = Workload::start(&comm, &task);
        let [avoid, ways] = way.arguments();
        let session = Session::start(&["--cache", "dentry", "--comm", &comm, avoid, ways]);
        workload.go();
        Self { comm, session, workload, _disk: disk }
    }
}

fn are_named_all(way: Way, style: NameStyle, pattern: &str) {
    let Flood { comm, mut session, mut workload, _disk } = Flood::start(style, way);
    let row = session.until_objects(&comm, DENTRIES).row(&comm);
    assert_eq!(named(&row), [("db", pattern, DENTRIES)]);
    workload.release();
    let row = session.until_objects(&comm, 0).row(&comm);
    assert_eq!(named(&row), []);
    session.interrupt();
}

fn are_named_by_sample(style: NameStyle, pattern: &str) {
    let Flood { comm, mut session, workload, _disk } = Flood::start(style, LOOKED_UP);
    session.until("a name", |report| !report.row(&comm).names.is_empty());
    let last = session.interrupt();
    let row = last.row(&comm);
    let [("db", found, objects)] = named(&row)[..] else { panic!("{:?}", row.names) };
    assert_eq!(found, pattern);
    assert!(objects <= DENTRIES);
    assert_eq!(row.objects, DENTRIES);
    assert!(last.notes.iter().any(|note| note.starts_with(SAMPLE_NOTE)), "{:?}", last.notes);
    workload.end();
}

fn named(row: &Row) -> Vec<(&str, &str, u64)> {
    row.names.iter().map(|names| (&*names.parent, &*names.pattern, names.objects)).collect()
}
