//! What fires no tracepoint and is seen all the same, where the host lets memtrace hook functions.

use crate::{
    Test, host,
    objects::cache_of_512_bytes,
    program::Task,
    session::Session,
    snapshot::Snapshot,
    tests,
    ways::Ways,
    workload::{Workload, unique},
};

pub fn tests(ways: &Ways) -> Vec<Test> {
    if !ways.bulk {
        return vec![];
    }
    let of_maple_nodes = if host::has_cache("maple_node") {
        tests![Tracing, EachKernel: bulk_nodes_go_with_their_process]
    } else {
        vec![]
    };
    tests![Tracing, EachKernel: bulk_frees_by_rcu_are_seen, bulk_requests_are_seen, bulk_requests_tell_their_flags, bulk_buffers_leave_nothing]
        .into_iter()
        .chain(of_maple_nodes)
        .collect()
}

const UNDOS: u64 = 3000;

/// They come one by one, by tracepoint, and go by `kfree_rcu`.
fn bulk_frees_by_rcu_are_seen() {
    let undos = Task::Undos(UNDOS as usize);
    let cache = cache_of_512_bytes(&undos, UNDOS);
    let comm = unique("undos");
    let mut workload = Workload::start(&comm, &undos);
    let mut session = Session::start(&["--cache", &cache]);
    let blind = Session::start(&["--cache", &cache, "--avoid", "bulk,verify"]);
    workload.go();
    session.until("all undo operations", |report| report.row(&comm).allocs >= UNDOS);
    workload.release();
    session.until_objects(&comm, 0);
    // All but those whose addresses were handed out again.
    assert!(blind.interrupt().objects(&comm) > UNDOS / 2);
    let last = session.interrupt();
    assert_eq!(last.row(&comm).frees, last.row(&comm).allocs);
    assert_all_is_seen(&last, &cache);
    workload.end();
}

const REQUESTS: u64 = 1024;

/// They come in bulk, eight at a time, and go one by one when nobody has their ring any more.
fn bulk_requests_are_seen() {
    let comm = unique("asks");
    let mut workload = Workload::start(&comm, &Task::Requests(REQUESTS as usize));
    let mut session = Session::start(&["--cache", "io_kiocb"]);
    workload.go();
    // The kernel keeps some at hand.
    session.until("all requests", |report| (REQUESTS..REQUESTS + 64).contains(&report.objects(&comm)));
    workload.end();
    session.until_objects(&comm, 0);
    assert!(session.interrupt().row(&comm).frees >= REQUESTS);
}

fn bulk_requests_tell_their_flags() {
    let comm = unique("asks");
    let mut workload = Workload::start(&comm, &Task::Requests(REQUESTS as usize));
    let mut session = Session::start(&["--cache", "io_kiocb", "--comm", &comm, "--by", "gfp,comm"]);
    workload.go();
    let of_them = |report: &Snapshot| report.rows.iter().find(|row| row.objects >= REQUESTS).cloned();
    session.until("all requests", |report| of_them(report).is_some());
    let last = session.interrupt();
    let names = of_them(&last).and_then(|row| row.gfp?.names).unwrap_or_else(|| panic!("{last}"));
    assert!(names.split('|').any(|name| name == "GFP_KERNEL"), "{names}");
    assert!(names.split('|').any(|name| name == "__GFP_NOWARN"), "{names}");
    workload.end();
}

/// They come one by one and in bulk, and go in all ways there are.
fn bulk_nodes_go_with_their_process() {
    const AREAS: u64 = 5000;
    const AREAS_IN_A_NODE: u64 = 16;
    let comm = unique("areas");
    let mut churn = Workload::start(unique("maps"), &Task::Mappings(20_000));
    let mut workload = Workload::start(&comm, &Task::Areas(AREAS as usize));
    let mut session = Session::start(&["--cache", "maple_node"]);
    churn.go();
    // An emulated machine is behind by then, and what comes while its rings are full is lost.
    session.until("all that churned is read", |report| report.trust.waiting() < 1000);
    workload.go();
    session.until("its nodes", |report| report.objects(&comm) > AREAS / AREAS_IN_A_NODE);
    workload.end();
    session.until_objects(&comm, 0);
    assert_all_is_seen(&session.interrupt(), "maple_node");
    churn.end();
}

/// The kernel keeps some at hand, for each CPU: one of these may change hands without an event.
fn bulk_buffers_leave_nothing() {
    const CACHE: &str = "skbuff_head_cache";
    let comm = unique("sends");
    let mut workload = Workload::start(&comm, &Task::Datagrams(20_000));
    let session = Session::start(&["--cache", CACHE]);
    workload.go();
    let last = session.interrupt();
    assert!(last.objects(&comm) < 1000, "{last:#?}");
    assert!(!last.is_partial(CACHE), "{:?}", last.cache(CACHE));
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    assert!(last.trust.reused_pointers <= last.trust.recursion_misses + cpus, "{:?}", last.trust);
    workload.end();
}

/// But for what the kernel skipped a probe for.
#[track_caller]
fn assert_all_is_seen(report: &Snapshot, cache: &str) {
    assert!(!report.is_partial(cache), "{:?}", report.cache(cache));
    assert!(report.trust.reused_pointers <= report.trust.recursion_misses, "{:?}", report.trust);
}
