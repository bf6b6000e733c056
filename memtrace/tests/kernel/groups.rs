//! Only some cgroups: by path, by glob, as units, containers and pods; with those in them, those that are made later, and those that
//! are removed.

use std::process::Command;

use crate::{
    Test,
    cgroup::Cgroup,
    host,
    program::Task,
    session::Session,
    snapshot::Snapshot,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, EachKernel:
        a_cgroup_counts_with_those_in_it,
        cgroups_of_milliseconds_count,
        cgroups_are_found_by_what_they_are_for,
    ];
    tests.extend(tests![Tracing, Once: a_recording_has_the_same_cgroups]);
    tests
}

/// A program in a cgroup.
fn member(comm: &str, cgroup: &Cgroup, files: usize) -> Workload {
    let workload = Workload::start(comm, &Task::OpenFiles(files));
    cgroup.add(workload.pid());
    workload
}

/// What is outstanding of our own programs, by their names.
fn ours(report: &Snapshot) -> Vec<(String, u64)> {
    let ours = report.rows.iter().filter(|row| row.key.starts_with("mt-") && row.objects > 0);
    let mut ours: Vec<_> = ours.map(|row| (row.key.clone(), row.objects)).collect();
    ours.sort();
    ours
}

fn a_cgroup_counts_with_those_in_it() {
    let [within, below, later, beside] = ["a", "b", "c", "d"].map(unique);
    let outer = Cgroup::new(&unique("outer"));
    let similar = Cgroup::new(&unique("outer2"));
    let inner = outer.beside("in");
    let mut programs =
        vec![member(&within, &outer, 100), member(&below, &inner, 200), member(&beside, &similar, 50)];
    let mut session = Session::start(&["--cache", "filp", "--cgroup", &outer.name()]);
    let deepest = inner.beside("later");
    programs.push(member(&later, &deepest, 300));
    programs.iter_mut().for_each(Workload::go);
    session.until_objects(&later, 300);
    // It is gone; what it has is not.
    deepest.leave(programs[3].pid());
    deepest.remove();
    let last = session.interrupt();
    let expected = [(within, 100), (below, 200), (later, 300)];
    assert_eq!(ours(&last), expected.map(|(comm, objects)| (comm, objects)));
    let off = "slabinfo is not compared: --cgroup follows only a part of each cache";
    assert!(last.notes.iter().any(|note| note == off), "{:?}", last.notes);
    drop(programs);
    drop(inner);
}

/// They are gone before memtrace can read their paths: the probes know whose children they are.
fn cgroups_of_milliseconds_count() {
    const ROUNDS: usize = 20;
    let comm = unique("short");
    let outer = Cgroup::new(&unique("outer"));
    let mut session = Session::start(&["--cache", "filp", "--cgroup", &outer.name()]);
    let mut programs = Vec::new();
    for round in 0..ROUNDS {
        let mut program = Workload::start(&comm, &Task::OpenFiles(10));
        let cgroup = outer.beside(&format!("{round}"));
        cgroup.add(program.pid());
        program.go();
        cgroup.leave(program.pid());
        outer.leave(program.pid());
        cgroup.remove();
        programs.push(program);
    }
    session.until_objects(&comm, 10 * ROUNDS as u64);
    let last = session.interrupt();
    assert_eq!(last.row(&comm).processes, ROUNDS as u64);
    assert!(!last.notes.iter().any(|note| note.contains("before memtrace could read")), "{:?}", last.notes);
}

const CONTAINER: &str = "3f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d5abcd";
const POD: &str = "0a1b2c3d-1111-2222-3333-444455556666";

/// There is none when the sessions start, but for the service.
fn cgroups_are_found_by_what_they_are_for() {
    let names = ["unit", "cont", "pod", "globb"].map(unique);
    let [unit, _, _, glob] = &names;
    let service = Cgroup::new(&format!("{unit}.service"));
    let of = |option: &str, value: &str| Session::start(&["--cache", "filp", option, value]);
    let sessions = [
        of("--unit", unit),
        of("--container", &CONTAINER[..12]),
        of("--pod", POD),
        of("--cgroup", &format!("{}*", &glob[..glob.len() - 1])),
    ];
    assert!(sessions[1].last.notes.iter().any(|note| {
        note == &format!("no cgroup matches --container {} yet: memtrace waits for one", &CONTAINER[..12])
    }));
    let scope = Cgroup::new(&format!("docker-{CONTAINER}.scope"));
    let besteffort = Cgroup::new(&format!("mt-pods-{:x}", std::process::id()));
    let in_pod = besteffort.beside(&format!("pod{POD}"));
    let globbed = Cgroup::new(glob);
    let cgroups = [&service, &scope, &in_pod, &globbed];
    let mut programs: Vec<Workload> =
        names.iter().zip(cgroups).map(|(comm, cgroup)| member(comm, cgroup, 100)).collect();
    programs.iter_mut().for_each(Workload::go);
    for (mut session, comm) in sessions.into_iter().zip(&names) {
        session.until_objects(comm, 100);
        let last = session.interrupt();
        assert_eq!(ours(&last), [(comm.clone(), 100)]);
        assert!(!last.notes.iter().any(|note| note.starts_with("no cgroup matches")), "{:?}", last.notes);
    }
    drop(programs);
    drop(in_pod);
}

/// Of one that was made without any filter; events too.
fn a_recording_has_the_same_cgroups() {
    let [within, below, beside] = ["a", "b", "c"].map(unique);
    let outer = Cgroup::new(&unique("outer"));
    let inner = outer.beside("in");
    let mut programs = [member(&within, &outer, 100), member(&below, &inner, 200)];
    let mut other = Workload::start(&beside, &Task::OpenFiles(50));
    let directory = tempfile::tempdir().expect("there is room");
    let file = directory.path().join("a.mt");
    let mut record = Command::new(host::memtrace())
        .args(["record", "-c", "filp", "-d", "3s", "-o"])
        .arg(&file)
        .spawn()
        .expect("memtrace starts");
    while !file.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
        assert!(record.try_wait().expect("it is our child").is_none(), "it has begun no recording");
    }
    programs.iter_mut().for_each(Workload::go);
    other.go();
    assert!(record.wait().expect("it is our child").success());
    let read = |arguments: &[&str]| {
        let output = Command::new(host::memtrace()).args(arguments).arg(&file).output();
        String::from_utf8(output.expect("memtrace starts").stdout).expect("it is text")
    };
    let report = |path: &str| {
        Snapshot::parse_and_check(&read(&["report", "-o", "json", "--top", "100000", "--cgroup", path]))
    };
    assert_eq!(ours(&report(&outer.name())), [(within.clone(), 100), (below.clone(), 200)]);
    let last = report(&inner.name());
    assert_eq!(ours(&last), [(below.clone(), 200)]);
    assert_eq!(last.filter, Some(format!("--cgroup {}", inner.name())));
    let events = read(&["events", "--kind", "alloc", "--cgroup", &inner.name()]);
    assert_eq!(events.lines().filter(|line| line.contains(&below)).count(), 200, "{events}");
    assert!(!events.contains(&within) && !events.contains(&beside), "{events}");
    drop(programs);
    drop(inner);
}
