//! What is asked for is shown, and nothing else.

use std::process::Command;

use crate::{
    Test, host,
    program::Task,
    session::Session,
    snapshot::Snapshot,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, Once: in_a_pid_namespace_ids_are_its_own];
    tests.extend(tests![Tracing, EachKernel:
        rows_by_pid_are_one_process_each,
        only_the_given_processes_are_shown,
        only_the_given_command_names_are_shown,
        what_is_excluded_is_left_out,
        only_the_given_users_are_shown,
        several_caches_are_traced,
        a_glob_is_all_caches_that_match,
        a_merged_cache_is_found_by_its_alias,
    ]);
    tests
}

fn keys(report: &Snapshot) -> Vec<&str> {
    let mut keys: Vec<_> = report.rows.iter().map(|row| row.key.as_str()).collect();
    keys.sort_unstable();
    keys
}

/// Two programs with open files: of one command name, of two processes.
fn two_programs(comm: &str) -> [Workload; 2] {
    [500, 800].map(|files| Workload::start(comm, &Task::OpenFiles(files)))
}

fn rows_by_pid_are_one_process_each() {
    let mut programs = two_programs(&unique("twins"));
    let [small, big] = programs.each_ref().map(|program| program.pid().to_string());
    let mut session = Session::start(&["--cache", "filp", "--by", "pid"]);
    programs.iter_mut().for_each(Workload::go);
    session.until_objects(&small, 500);
    session.until_objects(&big, 800);
    let last = session.interrupt();
    assert_eq!([last.objects(&small), last.objects(&big)], [500, 800]);
    assert_eq!(last.row(&small).pid.map(|pid| pid.to_string()), Some(small));
}

fn only_the_given_processes_are_shown() {
    let comm = unique("twins");
    let mut programs = two_programs(&comm);
    let mut bystander = Workload::start(unique("other"), &Task::OpenFiles(100));
    let [one, other] = programs.each_ref().map(|program| program.pid().to_string());
    let mut session = Session::start(&["--cache", "filp", "--pid", &one, "--pid", &other]);
    bystander.go();
    programs.iter_mut().for_each(Workload::go);
    session.until_objects(&comm, 1300);
    let last = session.interrupt();
    assert_eq!(keys(&last), [&comm]);
    assert_eq!((last.objects(&comm), last.row(&comm).processes), (1300, 2));
}

/// With --pid, what is followed is the process of that id there, and no other; without, all ids are those of that namespace, memtrace
/// is left out, and processes outside are told from those inside.
fn in_a_pid_namespace_ids_are_its_own() {
    const OUTSIDE: u32 = 1 << 31;
    let mut bystander = Workload::start(unique("outside"), &Task::Churn);
    bystander.go();
    let sessions = "\"$1\" --workload churn & churn=$!; echo $churn; \
        \"$0\" -c filp --by pid --pid $churn -n 3 -i 300ms -o json | tail -n 1; \
        \"$0\" -c filp --by pid -n 3 -i 300ms --top 100000 -o json | tail -n 1; kill $churn";
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "sh", "-c", sessions])
        .arg(host::memtrace())
        .arg(std::env::current_exe().expect("/proc is mounted"))
        .output()
        .expect("util-linux is installed");
    let said = String::from_utf8(output.stdout).expect("it is text");
    let [churn, one, all] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    let [one, all] = [one, all].map(Snapshot::parse);
    assert_eq!(keys(&one), [churn]);
    assert!(one.row(churn).allocs > 0);
    assert!(all.row(churn).allocs > 0);
    let outside = (bystander.pid() | OUTSIDE).to_string();
    assert!(all.row(&outside).allocs > 0, "{:?}", keys(&all));
    // The shell, its programs and the kernel's idle task; memtrace itself would have more files than all of these.
    let inside = all.rows.iter().filter(|row| row.pid.is_some_and(|pid| pid < OUTSIDE));
    assert!(inside.clone().all(|row| row.key == churn || row.objects < 20), "{:?}", all.rows);
    bystander.end();
}

fn only_the_given_command_names_are_shown() {
    let [one, other, bystander] = ["one", "two", "three"].map(unique);
    let mut programs = [&one, &other, &bystander].map(|comm| Workload::start(comm, &Task::OpenFiles(400)));
    let mut session =
        Session::start(&["--cache", "filp", "--comm", &one, "--comm", &other, "--comm", "mt-nobody"]);
    // The probes do not know globs: they send everything.
    let glob = format!("{}*", &one[..one.len() - 1]);
    let globs = ["--comm", &glob, "--comm", "no[b]ody"];
    let mut by_glob =
        Session::start(&[&["--cache", "filp,dentry", "--by", "comm,cache"], &globs[..]].concat());
    programs.iter_mut().rev().for_each(Workload::go);
    session.until_objects(&one, 400);
    session.until_objects(&other, 400);
    let nothing_yet = "nothing was allocated under the name 'mt-nobody' yet (";
    assert!(session.last.notes.iter().any(|note| note.starts_with(nothing_yet)), "{:?}", session.last.notes);
    let last = session.interrupt();
    assert_eq!(keys(&last), [&one, &other]);
    by_glob.until_objects(&format!("{one}, filp"), 400);
    let globbed = by_glob.interrupt();
    assert!(globbed.rows.iter().all(|row| row.key.starts_with(&one)), "{:?}", keys(&globbed));
    let nothing = "nothing was allocated under the name 'no[b]ody' (";
    assert!(globbed.notes.iter().any(|note| note.starts_with(nothing)), "{:?}", globbed.notes);
    let about_filters = last.notes.iter().filter(|note| note.starts_with("nothing was allocated"));
    let about_filters: Vec<&String> = about_filters.collect();
    assert!(
        matches!(about_filters[..], [note] if note.contains("under the name 'mt-nobody' (")),
        "{about_filters:?}"
    );
}

/// Whole names are for the probes, globs for memtrace; and of all caches but some, new ones are traced.
fn what_is_excluded_is_left_out() {
    let [one, other, kept] = ["one", "two", "kept"].map(unique);
    let mut programs = [&one, &other, &kept].map(|comm| Workload::start(comm, &Task::Pipes(400)));
    let glob = format!("{}*", &other[..other.len() - 1]);
    let filters = ["--cache", "filp,inode_cache", "--exclude-cache", "[i]node_cache", "--exclude-comm", &one];
    let mut session =
        Session::start(&[&filters[..], &["--exclude-comm", &glob, "--by", "comm,cache"]].concat());
    let mut all_but = Session::start(&["--exclude-cache", "filp", "--comm", &kept, "--by", "cache"]);
    programs.iter_mut().for_each(Workload::go);
    session.until_objects(&format!("{kept}, filp"), 800);
    all_but.until_objects("inode_cache", 400);
    let last = session.interrupt();
    let is_ours = |row: &&str| row.starts_with("mt-");
    assert_eq!(keys(&last).into_iter().filter(is_ours).collect::<Vec<_>>(), [format!("{kept}, filp")]);
    assert!(last.rows.iter().all(|row| row.key.ends_with(", filp")), "{:?}", keys(&last));
    let filter = last.filter.as_deref().unwrap_or_default();
    assert!(filter.contains("--exclude-cache [i]node_cache") && filter.contains(&glob), "{filter}");
    let off = "slabinfo is not compared: --exclude-comm follows only a part of each cache";
    assert!(last.notes.iter().any(|note| note == off), "{:?}", last.notes);
    let last = all_but.interrupt();
    assert_eq!((last.objects("filp"), last.objects("inode_cache")), (0, 400));
    assert!(last.objects("dentry") >= 400, "{last}");
}

fn only_the_given_users_are_shown() {
    const UID: u32 = 61_234;
    let [theirs, ours] = ["their", "our"].map(unique);
    let task = Task::As { uid: UID, task: Box::new(Task::OpenFiles(300)) };
    let mut programs = [Workload::start(&theirs, &task), Workload::start(&ours, &Task::OpenFiles(200))];
    let of = |uid: &str| Session::start(&["--cache", "filp", "--uid", uid]);
    let (mut one, mut both, mut root) = (of(&UID.to_string()), of(&format!("{UID},0")), of("0"));
    programs.iter_mut().for_each(Workload::go);
    one.until_objects(&theirs, 300);
    both.until_objects(&theirs, 300);
    both.until_objects(&ours, 200);
    root.until_objects(&ours, 200);
    assert_eq!(keys(&one.interrupt()), [&theirs]);
    both.interrupt();
    assert_eq!(root.interrupt().objects(&theirs), 0);
}

fn several_caches_are_traced() {
    let comm = unique("pipes");
    let mut pipes = Workload::start(&comm, &Task::Pipes(600));
    let mut session =
        Session::start(&["--cache", "filp", "--cache", "inode_cache", "--by", "cache", "--comm", &comm]);
    pipes.go();
    session.until_objects("filp", 1200);
    session.until_objects("inode_cache", 600);
    assert_eq!(keys(&session.interrupt()), ["filp", "inode_cache"]);
}

fn a_glob_is_all_caches_that_match() {
    let comm = unique("pipes");
    let mut pipes = Workload::start(&comm, &Task::Pipes(600));
    // `filp`, and not `inode_cache`.
    let mut session = Session::start(&["--cache", "[f]il?", "--by", "cache", "--comm", &comm]);
    pipes.go();
    session.until_objects("filp", 1200);
    assert_eq!(keys(&session.interrupt()), ["filp"]);
}

fn a_merged_cache_is_found_by_its_alias() {
    let objects = 500;
    let candidates = [
        ("fasync_cache", Task::AsyncSockets(objects)),
        ("eventpoll_pwq", Task::Watches(objects)),
        ("eventpoll_epi", Task::Watches(objects)),
    ];
    // Which caches the kernel merges is its own choice, and so is whose name the merged one bears.
    let merged = candidates.into_iter().find(|(name, _)| host::is_alias(name));
    let (alias, task) = merged.expect("one of these is merged on every kernel that was seen");
    let comm = unique("alias");
    let mut workload = Workload::start(&comm, &task);
    let mut session = Session::start(&["--cache", alias, "--comm", &comm]);
    workload.go();
    session.until_objects(&comm, objects as u64);
    let last = session.interrupt();
    let cache = &last.caches[0];
    assert!(cache.aliases.iter().any(|name| name == alias), "{cache:?}");
    assert_eq!((last.objects(&comm), last.row(&comm).cache.as_ref()), (objects as u64, Some(&cache.name)));
}
