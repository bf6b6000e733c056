//! What programs hold is what memtrace shows: to the object.

use crate::{
    Needs, Runs, Test,
    host::{self, directory_on_disk},
    program::{NameStyle, Task},
    session::Session,
    tests,
    ways::{Way, Ways},
    workload::{Workload, unique},
};

pub fn tests(ways: &Ways) -> Vec<Test> {
    let by_way = ways.cache.iter().map(|&way| {
        let name = format!("open_files_are_filp_until_they_are_closed_by_{}", way.name);
        Test::new(name, Needs::Tracing, Runs::EachKernel, move || open_files_are_filp(way))
    });
    by_way
        .chain(tests![Tracing, EachKernel:
            messages_are_of_the_cache_that_grows,
            messages_are_of_one_cache_among_all,
            pipes_are_of_three_caches,
            socket_pairs_are_sockets,
            watches_are_of_their_epoll,
            churn_leaves_nothing,
        ])
        .chain(tests![Tracing, Once: leakers_rank_by_size_above_churn])
        .chain(tests![Disk, EachKernel: negative_dentries_are_dentries_until_their_directory_goes])
        .collect()
}

/// The objects come all and go all, and nothing else does.
#[track_caller]
fn come_and_go(session: &[&str], comm: &str, task: &Task, objects: u64) {
    let mut workload = Workload::start(comm, task);
    let mut session = Session::start(&[session, &["--comm", comm]].concat());
    workload.go();
    let row = session.until_objects(comm, objects).row(comm);
    assert_eq!((row.allocs, row.frees, row.processes), (objects, 0, 1));
    assert_eq!(row.pid, Some(workload.pid()));
    workload.release();
    session.until_objects(comm, 0);
    let row = session.interrupt().row(comm);
    assert_eq!((row.objects, row.allocs, row.frees), (0, objects, objects));
    workload.end();
}

fn open_files_are_filp(way: Way) {
    let [avoid, ways] = way.arguments();
    come_and_go(&["--cache", "filp", avoid, ways], &unique("files"), &Task::OpenFiles(3000), 3000);
}

const MESSAGES: u64 = 3000;

/// With their header, 512 bytes.
fn messages() -> Task {
    Task::Messages { count: MESSAGES as usize, payload: 464 }
}

/// What these are allocated from depends on the kernel: kmalloc-512, kmalloc-cg-512 (since v5.14), msg_msg-512 (with
/// CONFIG_SLAB_BUCKETS). The kernel itself tells, without memtrace.
pub fn cache_of_512_bytes(task: &Task, objects: u64) -> String {
    let sized = || host::slabinfo().into_iter().filter(|(name, _)| name.ends_with("-512"));
    let mut workload = Workload::start(unique("first"), task);
    let before: Vec<_> = sized().collect();
    workload.go();
    let growth = sized().map(|(name, now)| {
        let (_, before) = before.iter().find(|(known, _)| *known == name).expect("no cache is new");
        (now.saturating_sub(*before), name)
    });
    let (grown, name) = growth.max().expect("every kernel has kmalloc-512");
    // Slabinfo counts some free objects as used.
    assert!(grown > objects / 2, "{name} grew most, by {grown}");
    name
}

fn messages_are_of_the_cache_that_grows() {
    come_and_go(
        &["--cache", &cache_of_512_bytes(&messages(), MESSAGES)],
        &unique("msgs"),
        &messages(),
        MESSAGES,
    );
}

fn messages_are_of_one_cache_among_all() {
    let cache = cache_of_512_bytes(&messages(), MESSAGES);
    let comm = unique("msgs");
    let mut workload = Workload::start(&comm, &messages());
    let mut session = Session::start(&["--cache", "all", "--by", "cache", "--comm", &comm]);
    workload.go();
    session.until_objects(&cache, MESSAGES);
    let row = session.interrupt().row(&cache);
    assert_eq!((row.objects, row.cache.as_ref(), row.pid), (MESSAGES, Some(&cache), Some(workload.pid())));
}

fn pipes_are_of_three_caches() {
    let comm = unique("pipes");
    let mut pipes = Workload::start(&comm, &Task::Pipes(1000));
    let mut session = Session::start(&["--cache", "all", "--by", "cache", "--comm", &comm]);
    let caches = [("filp", 2000), ("dentry", 1000), ("inode_cache", 1000)];
    pipes.go();
    for (cache, objects) in caches {
        session.until_objects(cache, objects);
    }
    pipes.release();
    for (cache, _) in caches {
        session.until_objects(cache, 0);
    }
    let last = session.interrupt();
    for (cache, objects) in caches {
        let row = last.row(cache);
        assert_eq!((row.objects, row.allocs), (0, objects), "{cache}");
    }
}

fn socket_pairs_are_sockets() {
    come_and_go(&["--cache", "sock_inode_cache"], &unique("socks"), &Task::SocketPairs(1000), 2000);
}

fn watches_are_of_their_epoll() {
    come_and_go(&["--cache", "eventpoll_pwq"], &unique("epoll"), &Task::Watches(2000), 2000);
}

/// A machine too slow for it may lose some of two million events, or of a fifth of them where it is emulated, but not their count.
fn churn_leaves_nothing() {
    let comm = unique("churn");
    // Each makes four objects.
    let pipes = if host::is_our_own() { 50_000 } else { 250_000 };
    let mut churn = Workload::start(&comm, &Task::PipeChurn(pipes));
    let caches = ["--cache", "filp", "--cache", "dentry", "--cache", "inode_cache"];
    let mut session = Session::start(&[&caches[..], &["--comm", &comm]].concat());
    churn.go();
    session.until("all objects, and none left but by a lost free", |report| {
        let (row, trust) = (report.row(&comm), report.trust);
        row.allocs + trust.lost_allocs == 4 * pipes as u64 && row.objects <= trust.lost_frees
    });
    let last = session.interrupt();
    assert!(last.objects(&comm) <= last.trust.lost_frees);
}

fn leakers_rank_by_size_above_churn() {
    let [big, small, busy] = ["big", "small", "busy"].map(unique);
    let mut leaks_much = Workload::start(&big, &Task::OpenFiles(3000));
    let mut leaks_little = Workload::start(&small, &Task::OpenFiles(1000));
    let mut churns = Workload::start(&busy, &Task::PipeChurn(20_000));
    let mut session = Session::start(&["--cache", "filp"]);
    leaks_little.go();
    churns.go();
    leaks_much.go();
    session.until("all three", |report| {
        let objects = [&big, &small, &busy].map(|comm| report.objects(comm));
        objects == [3000, 1000, 0] && report.row(&busy).allocs == 40_000
    });
    let last = session.interrupt();
    let ranks = [&big, &small, &busy].map(|comm| last.rank(comm));
    assert!(ranks.is_sorted(), "{ranks:?}");
    assert_eq!([&big, &small, &busy].map(|comm| last.objects(comm)), [3000, 1000, 0]);
}

fn negative_dentries_are_dentries_until_their_directory_goes() {
    let disk = directory_on_disk();
    let task = Task::NegativeDentries {
        within: disk.path().to_owned(),
        count: 3000,
        names: NameStyle::DoesNotExist,
    };
    come_and_go(&["--cache", "dentry"], &unique("names"), &task, 3000);
}
