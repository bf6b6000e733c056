//! Frees that fire no event: the caches that have them are marked, and no others.

use crate::{
    Needs, Runs, Test,
    host::{self, directory_on_disk},
    program::{NameStyle, Task},
    session::Session,
    snapshot::Snapshot,
    tests,
    ways::{Way, Ways},
    workload::{Workload, unique},
};

pub fn tests(ways: &Ways) -> Vec<Test> {
    let by_way = ways.cache.iter().map(|&way| {
        let name = format!("churn_and_leaks_mark_no_cache_by_{}", way.name);
        Test::new(name, Needs::Tracing, Runs::EachKernel, move || churn_and_leaks_mark_no_cache(way))
    });
    let of_sheaves = if host::has_sheaves() {
        tests![Tracing, EachKernel: untraced_frees_mark_their_cache_or_are_found]
    } else {
        vec![]
    };
    by_way
        .chain(of_sheaves)
        .chain(tests![Tracing, EachKernel: buffers_are_few])
        .chain(tests![Tracing, Once: a_part_of_a_cache_is_not_compared, allocations_that_fire_nothing_are_counted])
        .chain(tests![Disk, EachKernel: dentries_that_pile_up_are_no_untraced_frees])
        .collect()
}

/// As on a host that lets nothing else be attached.
const TRACEPOINTS_ONLY: [&str; 2] = ["--avoid", "trampolines,kprobes"];
/// Nor asks the kernel's memory.
const UNVERIFIED: [&str; 2] = ["--avoid", "trampolines,kprobes,verify"];

const MAPPINGS: usize = 20_000;

/// A kernel with sheaves frees the nodes of maple trees by `kfree_rcu`, which fires nothing.
fn untraced_frees_mark_their_cache_or_are_found() {
    let comm = unique("maps");
    let mut workload = Workload::start(&comm, &Task::Mappings(MAPPINGS));
    let mut session = Session::start(&[["--cache", "maple_node"], UNVERIFIED].concat());
    workload.go();
    let report = session.until("maple_node is marked", |report| report.is_partial("maple_node"));
    let share = report.cache("maple_node").partial.expect("it is marked").unseen_frees_share;
    assert!(share > 0.5, "{share}");
    assert!(report.notes.iter().any(|note| note.starts_with("partial: ")), "{:?}", report.notes);
    let row = report.row(&comm);
    assert!(row.objects > 0 && row.partial_objects == row.objects, "{row:?}");
    session.interrupt();
    workload.end();

    let mut workload = Workload::start(&comm, &Task::Mappings(MAPPINGS));
    let session = Session::start(&[["--cache", "maple_node"], TRACEPOINTS_ONLY].concat());
    workload.go();
    let last = session.interrupt();
    let (cache, trust) = (last.cache("maple_node"), last.trust);
    assert!(trust.is_verified && cache.partial.is_none(), "{last}");
    assert!(trust.refuted_objects > Some(0), "{trust:?}");
    // As many as there are; what processors have at hand is among them.
    let there = host::slabinfo().into_iter().find(|(name, _)| name == "maple_node").expect("it is there").1;
    assert!(last.objects(&comm) > 0 && cache.outstanding_objects <= there, "{there} there, {last}");
    workload.end();
}

/// Requests of io_uring come in bulk, which fires nothing. Page frames that were drawn before tell how many came.
fn allocations_that_fire_nothing_are_counted() {
    const REQUESTS: u64 = 16_384;
    /// After the census page frames are drawn for so long at most, by the clock.
    const DRAWS_NS: u64 = 5_000_000_000;
    let unseen = |wait_ns: u64| {
        let mut workload = Workload::start(unique("asks"), &Task::Requests(REQUESTS as usize));
        let mut session =
            Session::start(&[&["--cache", "io_kiocb", "--census"], &TRACEPOINTS_ONLY[..]].concat());
        session.until("so much time", |report| report.elapsed_ns >= wait_ns);
        workload.go();
        let last = session.interrupt();
        workload.end();
        let drawn_ns = last.census.as_ref().map(|census| census.elapsed_ns + DRAWS_NS);
        drawn_ns.filter(|drawn_ns| *drawn_ns <= wait_ns).map(|_| last)
    };
    let last = [8, 20, 60].into_iter().find_map(|seconds| unseen(seconds * 1_000_000_000));
    let trust = last.expect("a census ends").trust;
    let (low, high) = trust.unseen_allocations_ci95.unwrap_or_else(|| panic!("{trust:?}"));
    // One interval in twenty does not hold them: twice as wide it does.
    let beside = (high - low) / 2;
    assert!(low.saturating_sub(beside) <= REQUESTS && REQUESTS <= high + beside, "{trust:?}");
    assert!(low > 0 && trust.unseen_allocations > Some(REQUESTS / 4), "{trust:?}");
}

/// Everybody's, system-wide: some of it is older than the session and freed in it, too.
fn churn_and_leaks_mark_no_cache(way: Way) {
    let caches = ["--cache", "filp", "--cache", "dentry", "--cache", "vm_area_struct"];
    let mut before = Workload::start(unique("before"), &Task::Pipes(1000));
    let tasks = [Task::PipeChurn(5000), Task::Pipes(2000), Task::Mappings(MAPPINGS)];
    let mut workloads = tasks.map(|task| Workload::start(unique("after"), &task));
    before.go();
    let session = Session::start(&[&caches[..], &way.arguments()].concat());
    workloads.iter_mut().for_each(Workload::go);
    before.release();
    let last = session.interrupt();
    for cache in &last.caches {
        assert!(cache.partial.is_none(), "{cache:?}");
        assert_eq!(cache.slabinfo_growth.is_some(), is_compared(&last), "{cache:?}");
    }
    workloads.into_iter().chain([before]).for_each(Workload::end);
}

fn dentries_that_pile_up_are_no_untraced_frees() {
    let disk = directory_on_disk();
    let within = disk.path().to_owned();
    let task = Task::NegativeDentries { within, count: 20_000, names: NameStyle::DoesNotExist };
    let mut workload = Workload::start(unique("names"), &task);
    let session = Session::start(&["--cache", "dentry"]);
    workload.go();
    let last = session.interrupt();
    let dentry = last.cache("dentry");
    assert!(dentry.partial.is_none(), "{dentry:?}");
    if is_compared(&last) {
        let growth =
            [dentry.slabinfo_growth, dentry.traced_growth].map(|growth| growth.expect("it is compared"));
        assert!(growth.iter().all(|&growth| growth > 10_000), "{growth:?}");
    }
    workload.end();
}

/// Network buffers are freed one by one, or in bulk, or kept by a CPU for the next one, as the kernel likes.
fn buffers_are_few() {
    const CACHE: &str = "skbuff_head_cache";
    let comm = unique("sends");
    let mut workload = Workload::start(&comm, &Task::Datagrams(20_000));
    let session = Session::start(&[["--cache", CACHE], TRACEPOINTS_ONLY].concat());
    workload.go();
    let last = session.interrupt();
    assert!(last.trust.is_verified && !last.is_partial(CACHE), "{last:#?}");
    assert!(last.objects(&comm) < 1000, "{last:#?}");
    workload.end();
}

fn a_part_of_a_cache_is_not_compared() {
    let session = Session::start(&["--cache", "filp", "--comm", &unique("nobody")]);
    let last = session.interrupt();
    assert!(!is_compared(&last));
    assert_eq!(last.cache("filp").slabinfo_growth, None);
}

/// Frees that come too late to tell their cache cannot be told from others'.
fn is_compared(report: &Snapshot) -> bool {
    !report.notes.iter().any(|note| note.starts_with("slabinfo is not compared"))
}
