//! Scripts of what processes do, and the rows that come of it.

pub(in crate::view) mod script;

use proptest::{collection::vec, prelude::*};

use self::script::{Session, check, report_options};
use super::{
    rows::{MAX_NAMES, by_rank},
    *,
};
use crate::view::{
    By, CacheTotals, Rest, Row,
    checkpoint::{Losses, Slabinfo},
    finding::Kind,
    reconcile::{Partial, Sign},
};

/// Each start of a process allocates and frees many kinds of objects.
#[test]
fn who_leaks_in_one_cache_may_churn_in_others() {
    let mut session = Session::new(report_options(By::Comm));
    for second in 1..=10 {
        for _ in 0..5 {
            session.run("alloc curl:10 inode x100; free curl:10 inode x100; alloc curl:10 filp x20");
        }
        session.run(&format!("at {second}s"));
        session.snapshot();
    }
    let Some(verdict) = session.snapshot().verdict else { panic!("it leaks") };
    let found: Vec<_> =
        verdict.findings.iter().map(|it| (it.kind, it.comm.as_deref(), it.cache.as_str())).collect();
    assert_eq!(found, [(Kind::Leak, Some(&b"curl"[..]), "filp")]);
    assert_eq!((verdict.findings[0].kept, verdict.findings[0].objects), (1.0, 1000));
}

/// Whatever happens later in the session.
#[test]
fn who_frees_what_it_kept_is_not_accused() {
    let mut session = Session::new(report_options(By::Comm));
    for second in 1..=20 {
        session.run("alloc sh:11 filp x1000");
        if second % 4 == 0 {
            session.run("free sh:11 filp x4000");
        }
        session.run(&format!("at {second}s"));
        let verdict = session.snapshot().verdict;
        assert!(second < 5 || verdict.is_none_or(|it| it.findings.is_empty()), "{second}");
    }
}

#[test]
fn by_command_name() {
    check(
        report_options(By::Comm),
        "alloc curl:10 dentry x3; alloc curl:11 dentry x2; alloc bash:20 inode x1; free curl:10 dentry x1",
        "key objects bytes allocs frees processes",
        &["bash 1 1000 1 0 1", "curl 4 768 5 1 2"],
    );
}

#[test]
fn by_process() {
    check(
        report_options(By::Pid),
        "alloc curl:10 dentry x3; alloc curl:11 dentry x2; alloc bash:11 dentry x3",
        "key pid comm objects processes",
        // A process that changed its name goes by the one that holds most.
        &["11 11 bash 5 1", "10 10 curl 3 1"],
    );
}

#[test]
fn by_cache() {
    check(
        report_options(By::Cache),
        "alloc curl:10 dentry x3; alloc bash:11 dentry x2; alloc bash:11 inode x1",
        "key cache comm pid objects bytes processes",
        &["inode inode bash 11 1 1000 1", "dentry dentry - - 5 960 2"],
    );
}

#[test]
fn a_row_says_what_it_has_only_one_of() {
    check(
        report_options(By::Comm),
        "alloc curl:10 dentry x1; alloc bash:20 dentry x2; alloc bash:20 inode x1; alloc sh:30 dentry x1; alloc sh:31 dentry x1",
        "key comm pid cache",
        &["bash bash 20 -", "sh sh - dentry", "curl curl 10 dentry"],
    );
}

#[test]
fn what_the_tracer_itself_allocates_is_not_shown() {
    let script = "alloc curl:10 dentry x3; alloc memtrace:999 dentry x5; free memtrace:999 dentry x1; alloc memtrace:999 inode x2";
    let mut session = Session::new(report_options(By::Comm));
    session.run(script);
    session.expect("key objects allocs", &["curl 3 3"]);
    assert_eq!(session.show_caches(), ["dentry +3 -0 = 3, 576 B", "asked-for +0 -0 = 0, 0 B"]);
}

/// Its objects may be free: the kernel frees some without telling.
#[test]
fn rows_say_how_much_of_them_is_of_partial_caches() {
    let script =
        "alloc curl:10 dentry x3; alloc bash:20 dentry x5; alloc curl:10 inode x4; reuse curl:10 inode x20";
    check(report_options(By::Comm), script, "key objects partial", &["curl 7 4", "bash 5 0"]);
    check(report_options(By::Cache), script, "key objects partial", &["inode 4 4", "dentry 8 0"]);
    let mut session = Session::new(report_options(By::Comm));
    session.run(script);
    let Snapshot { caches, notes, .. } = session.snapshot();
    let partial: Vec<_> = caches.iter().map(|cache| (cache.name.as_str(), cache.partial)).collect();
    let inode = Partial { sign: Sign::Reused, unseen_frees_share: 1.0 };
    assert_eq!(partial, [("inode", Some(inode)), ("dentry", None), ("asked-for", None)]);
    insta::assert_snapshot!(notes.join("\n"), @"partial: some frees fire no event on this kernel: over 99% of inode's; what looks outstanding there may be free");
}

/// Who holds nothing any more is not among those whom a row is about.
#[test]
fn a_row_is_about_those_who_hold_something() {
    let script = "alloc curl:10 dentry x2; alloc bash:20 dentry x1; alloc bash:20 inode x1; free bash:20 dentry x1; \
                  free bash:20 inode x1";
    check(
        report_options(By::Cache),
        script,
        "key cache comm pid processes objects allocs frees",
        &["dentry dentry curl 10 1 2 3 1", "inode inode - - 0 0 1 1"],
    );
    check(
        report_options(By::Comm),
        script,
        "key cache comm pid processes objects",
        &["curl dentry curl 10 1 2", "bash - bash - 0 0"],
    );
    check(
        report_options(By::Pid),
        script,
        "key cache comm pid processes objects",
        &["10 dentry curl 10 1 2", "20 - bash 20 0 0"],
    );
}

#[test]
fn kernel_threads_stand_in_brackets_and_idle_tasks_are_one() {
    let script = "alloc [kswapd0]:40 dentry x3; alloc kswapd0:41 dentry x2; alloc swapper/0:0 dentry x1; alloc swapper/7:0 dentry x3";
    check(
        report_options(By::Comm),
        script,
        "key comm pid objects",
        &["[swapper] [swapper] 0 4", "[kswapd0] [kswapd0] 40 3", "kswapd0 kswapd0 41 2"],
    );
    check(
        report_options(By::Pid),
        script,
        "key comm objects",
        &["0 [swapper] 4", "40 [kswapd0] 3", "41 kswapd0 2"],
    );
}

#[test]
fn orders() {
    let script = "alloc old:1 dentry x1; at 5s; alloc many:2 kmalloc-64 x9; alloc big:3 inode x2; at 9s; alloc busy:4 dentry x8; \
                  free busy:4 dentry x7; alloc grows:5 kmalloc-64 x5; alloc gone:6 dentry x1; free gone:6 dentry x1";
    for (sort, expected) in [
        (Sort::Bytes, ["big", "many", "grows", "busy", "old", "gone"]),
        (Sort::Objects, ["many", "grows", "big", "busy", "old", "gone"]),
        (Sort::Growth, ["many", "grows", "big", "busy", "old", "gone"]),
        (Sort::Age, ["old", "big", "many", "grows", "busy", "gone"]),
    ] {
        check(ReportOptions { sort, ..report_options(By::Comm) }, script, "key", &expected);
    }
}

/// Since the last report `many` and `big` stood still.
#[test]
fn growth_orders_by_the_last_interval() {
    let report_options = ReportOptions { sort: Sort::Growth, ..report_options(By::Comm) };
    let mut session = Session::new(report_options);
    session.run("alloc many:2 dentry x9; alloc shrinks:3 dentry x5; at 2s");
    session.snapshot();
    session.run("alloc grows:5 dentry x2; free shrinks:3 dentry x1; at 4s");
    session.expect("key growth", &["grows 1", "many 0", "shrinks -0.5"]);
}

#[test]
fn equals_stand_still() {
    check(
        report_options(By::Comm),
        "alloc c:3 dentry x1; alloc a:1 dentry x1; alloc b:2 dentry x1; alloc d:4 dentry x2; free d:4 dentry x1",
        "key objects",
        &["d 1", "a 1", "b 1", "c 1"],
    );
}

#[test]
fn rates_are_over_the_interval_and_at_the_end_over_the_session() {
    let mut session = Session::new(report_options(By::Comm));
    session.run("alloc curl:10 dentry x4; free curl:10 dentry x2; at 2s");
    session.expect("key allocs/s frees/s growth", &["curl 2 1 1"]);
    session.run("alloc curl:10 dentry x2; alloc bash:20 dentry x1; at 4s");
    session.expect("key allocs/s frees/s growth", &["curl 1 0 1", "bash 0.5 0 0.5"]);
    session.run("at 8s");
    session.expect("key allocs/s frees/s growth", &["curl 0 0 0", "bash 0 0 0"]);
    session.finish();
    session.expect("key allocs/s frees/s growth", &["curl 0.75 0.25 0.5", "bash 0.125 0 0.125"]);
}

#[test]
fn a_report_at_the_same_moment_has_no_rates() {
    let mut session = Session::new(report_options(By::Comm));
    session.run("alloc curl:10 dentry x4");
    session.expect("key allocs/s frees/s growth", &["curl 0 0 0"]);
    session.expect("key allocs/s frees/s growth", &["curl 0 0 0"]);
}

#[test]
fn older_counts_only_what_is_that_old() {
    let script = "alloc curl:10 dentry x1 db/a.1; at 2s; alloc curl:10 dentry x2 db/a.2; at 5s; alloc curl:11 dentry x4 db/b; \
                  alloc bash:20 inode x1; at 6s";
    let older =
        |seconds| ReportOptions { older: Some(Duration::from_secs(seconds)), ..report_options(By::Comm) };
    for (seconds, expected) in [
        (1, ["curl 7 1344 7 0 2 2", "bash 1 1000 1 0 1 0"]),
        (2, ["curl 3 576 7 0 1 1", "bash 0 0 1 0 0 0"]),
        (4, ["curl 3 576 7 0 1 1", "bash 0 0 1 0 0 0"]),
        (5, ["curl 1 192 7 0 1 1", "bash 0 0 1 0 0 0"]),
        (7, ["curl 0 0 7 0 0 0", "bash 0 0 1 0 0 0"]),
    ] {
        check(older(seconds), script, "key objects bytes allocs frees processes places", &expected);
    }
    // A session younger than the age, on a host that just started.
    check(older(60 * 60), "alloc curl:10 dentry x1", "key objects", &["curl 0"]);
}

#[test]
fn top_cuts_and_the_rest_is_added_up() {
    let script = "alloc a:1 dentry x5; alloc b:2 dentry x4; alloc c:3 dentry x3; alloc d:4 inode x1";
    let rest_of = |top| {
        let mut session = Session::new(ReportOptions { top, ..report_options(By::Comm) });
        session.run(script);
        let snapshot = session.snapshot();
        (snapshot.rows.len(), snapshot.rest)
    };
    assert_eq!(rest_of(1), (1, Some(Rest { rows: 3, objects: 12, bytes: 12 * 192 })));
    assert_eq!(rest_of(3), (3, Some(Rest { rows: 1, objects: 3, bytes: 3 * 192 })));
    assert_eq!(rest_of(4), (4, None));
    assert_eq!(rest_of(5), (4, None));
}

#[test]
fn names_add_up_over_processes_and_caches() {
    check(
        report_options(By::Comm),
        "alloc curl:10 dentry x2 db/.1_x.db; alloc curl:11 dentry#2 x3 db/.2_x.db; alloc curl:10 dentry x1 db/y; alloc curl:10 dentry x1",
        "key objects named names",
        &["curl 7 6 db/.<n>_x.db=5,db/y=1"],
    );
}

#[test]
fn names_are_the_most_frequent_ones() {
    let mut session = Session::new(report_options(By::Comm));
    for n in 0..MAX_NAMES + 5 {
        let letter = char::from(b'a' + n as u8);
        session.run(&format!("alloc curl:10 dentry x{} db/{letter}", n + 1));
    }
    let snapshot = session.snapshot();
    let names = &snapshot.rows[0].names;
    assert_eq!(names.len(), MAX_NAMES);
    assert_eq!(snapshot.rows[0].named_objects, snapshot.rows[0].objects, "also those that are not listed");
    assert_eq!((&names[0].pattern[..], names[0].objects), (&b"y"[..], 25));
    assert_eq!((&names[MAX_NAMES - 1].pattern[..], names[MAX_NAMES - 1].objects), (&b"f"[..], 6));
}

#[test]
fn age_is_that_of_the_oldest_outstanding_object() {
    check(
        report_options(By::Comm),
        "at 1s; alloc curl:10 dentry x1; at 3s; alloc curl:11 dentry x2; alloc bash:20 dentry x1; free bash:20 dentry x1; \
         free curl:10 dentry x1; at 10s",
        "key age",
        &["curl 7s", "bash -"],
    );
}

/// Before v5.9 each cgroup had its own cache of a name; `dentry#2` is one.
#[test]
fn several_caches_of_one_name_are_one() {
    let script = "alloc curl:10 dentry x3; alloc curl:10 dentry#2 x2; alloc bash:20 dentry#2 x1";
    check(report_options(By::Cache), script, "key objects bytes", &["dentry 6 1152"]);
    check(report_options(By::Comm), script, "key cache objects", &["curl dentry 5", "bash dentry 1"]);
    let mut session = Session::new(report_options(By::Cache));
    session.run(script);
    assert_eq!(session.show_caches(), ["dentry +6 -0 = 6, 1152 B", "asked-for +0 -0 = 0, 0 B"]);
}

#[test]
fn circumstances_tell_rows_apart_where_they_are_asked_for() {
    let script = "gfp 3264; node 1; alloc curl:10 dentry x3; node 0; alloc curl:10 dentry x2; io_worker true; \
                  alloc curl:10 dentry x1; io_worker false; gfp 2080; alloc [ksoftirqd/0]:14 dentry x7; \
                  node 65535; gfp 4294967295; alloc [swapper/0]:0 dentry x9";
    let alloc_context = "key objects circumstances";
    check(report_options(By::Node), script, alloc_context, &["0 10 -/-/0", "(unknown) 9 -/-/-", "1 3 -/-/1"]);
    check(
        report_options(By::Gfp),
        script,
        alloc_context,
        &["(unknown) 9 -/-/-", "0x820 7 -/0x820/-", "0xcc0 6 -/0xcc0/-"],
    );
    check(
        report_options(By::Context),
        script,
        alloc_context,
        &[
            "interrupt 9 Interrupt/-/-",
            "softirq 7 Softirq/-/-",
            "process 5 Process/-/-",
            "io_uring worker 1 IoWorker/-/-",
        ],
    );
    // Nobody asked, so there is one origin for each task.
    let mut session = Session::new(report_options(By::Comm));
    session.run(script);
    assert_eq!(session.ledger().origins().count(), 3);
}

#[test]
fn caches_that_were_asked_for_are_there_from_the_start() {
    let mut session = Session::new(report_options(By::Comm));
    assert_eq!(session.show_caches(), ["asked-for +0 -0 = 0, 0 B"]);
    session.run("alloc curl:10 dentry x1; alloc curl:10 inode x2; free curl:10 inode x2");
    assert_eq!(
        session.show_caches(),
        ["dentry +1 -0 = 1, 192 B", "asked-for +0 -0 = 0, 0 B", "inode +2 -2 = 0, 0 B"]
    );
    session.expect("key objects", &["curl 1"]);
}

#[test]
fn caches_bring_what_the_kernel_says_of_them() {
    let mut session = Session::new(report_options(By::Comm));
    session.slabinfo("dentry", Slabinfo { objects: 1000, objects_per_s: Some(2.5), inexact: 0 });
    session.run("alloc curl:10 dentry x1; alloc curl:10 inode x1");
    let caches = session.snapshot().caches;
    let said: Vec<_> = caches
        .iter()
        .map(|cache| (cache.name.as_str(), cache.slabinfo_objects, cache.slabinfo_objects_per_s))
        .collect();
    assert_eq!(said, [("inode", None, None), ("dentry", Some(1000), Some(2.5)), ("asked-for", None, None)]);
}

/// The ledger keeps two processes apart here.
#[test]
fn processes_that_are_not_told_apart() {
    let script = "alloc curl:10 dentry x1; free curl:10 dentry x1; alloc curl:11 dentry x1; free curl:11 dentry x1; \
                  alloc curl:12 dentry x1; alloc bash:20 dentry x2; alloc sh:30 dentry x4; alloc zsh:31 dentry x4";
    let rows = |by| {
        let mut session = Session::of_two_processes(report_options(by));
        session.run(script);
        session.show("key comm pid objects allocs frees")
    };
    assert_eq!(rows(By::Comm), ["(others) (others) - 8 8 0", "bash bash 20 2 2 0", "curl curl 12 1 3 2"]);
    assert_eq!(rows(By::Pid), ["(others) - - 8 10 2", "20 bash 20 2 2 0", "12 curl 12 1 1 0"]);
}

#[test]
fn losses_are_of_their_cache_by_name() {
    let mut session = Session::new(report_options(By::Comm));
    session.run("alloc curl:10 dentry x3");
    session.lose("dentry", Losses { allocs: 1, frees: 2 });
    session.lose("dentry#2", Losses { allocs: 10, frees: 20 });
    // Nothing of this one arrived.
    session.lose("inode", Losses { allocs: 5, frees: 0 });
    let caches = session.snapshot().caches;
    let lost = |name: &str| {
        let cache = caches.iter().find(|cache| cache.name == name).expect("it is shown");
        (cache.lost_allocs, cache.lost_frees)
    };
    assert_eq!([lost("dentry"), lost("inode"), lost("asked-for")], [(11, 22), (5, 0), (0, 0)]);
}

proptest! {
    /// Whatever is asked for, each outstanding object is in one row or in the rest.
    #[test]
    fn rows_and_rest_add_up_to_the_ledger(
        steps in vec((0..2u32, 0..4u32, 0..3usize, 0..4usize, 1..5u32), 0..40),
        by in prop_oneof![Just(By::Comm), Just(By::Pid), Just(By::Cache)],
        sort in prop_oneof![Just(Sort::Bytes), Just(Sort::Objects), Just(Sort::Growth), Just(Sort::Age)],
        top in 1..6usize,
        two_processes in any::<bool>(),
    ) {
        let report_options = ReportOptions { by: by.into(), sort, top, ..report_options(by) };
        let mut session = if two_processes { Session::of_two_processes(report_options) } else { Session::new(report_options) };
        for (what, tgid, comm, cache, count) in steps {
            let verb = ["alloc", "free"][what as usize];
            let comm = ["curl", "bash", "[kswapd0]"][comm];
            let cache = ["dentry", "dentry#2", "inode", "kmalloc-64"][cache];
            session.run(&format!("{verb} {comm}:{tgid} {cache} x{count}"));
        }
        let snapshot = session.snapshot();
        let rest = snapshot.rest.unwrap_or_default();
        let sum = |of: fn(&Row) -> u64| snapshot.rows.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|row| row.objects) + rest.objects, session.ledger().outstanding() as u64);
        let sum_of_caches = |of: fn(&CacheTotals) -> u64| snapshot.caches.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|row| row.objects) + rest.objects, sum_of_caches(|cache| cache.outstanding_objects));
        prop_assert_eq!(sum(|row| row.bytes) + rest.bytes, sum_of_caches(|cache| cache.outstanding_bytes));
        for row in &snapshot.rows {
            prop_assert_eq!(row.allocs - row.frees, row.objects);
            prop_assert!(row.names.is_empty());
        }
        prop_assert!(snapshot.rows.len() <= top && snapshot.rows.is_sorted_by(|a, b| by_rank(a, b, sort).is_lt()));
    }
}

#[test]
fn rows_tell_who_started_whom() {
    let script = "exec cron:100 1; fork cron:200 100; exec probe.sh:200 100; fork probe.sh:300 200; exec curl:300 200; \
                  exec curl:400 1; alloc curl:300 dentry x3; alloc curl:400 dentry x2; alloc probe.sh:200 dentry x1";
    check(
        report_options(By::Ancestors),
        script,
        "key objects processes",
        &["curl < probe.sh < cron 3 1", "curl 2 1", "probe.sh < cron 1 1"],
    );
    check(
        report_options(By::Comm),
        script,
        "key started_by command",
        &["curl probe.sh<cron=3,=2 -", "probe.sh cron=1 it -v"],
    );
}

#[test]
fn rows_are_told_apart_by_all_keys() {
    let script = "alloc curl:3 dentry x1; cgroup 2; alloc curl:4 dentry x2; alloc cron:5 dentry x4; cgroup 3; \
                  alloc curl:4 dentry x3; cgroup 99; alloc curl:4 dentry x5; cgroup 0; alloc curl:4 dentry x6";
    let by = |keys: &[By]| ReportOptions {
        by: Keys::new(keys.iter().copied()).unwrap(),
        ..report_options(By::Comm)
    };
    check(
        by(&[By::Cgroup, By::Comm]),
        script,
        "key objects",
        &[
            "(unknown), curl 6",
            "(cgroup 99), curl 5",
            "cron.service, cron 4",
            "/jobs/7, curl 3",
            "cron.service, curl 2",
            "/, curl 1",
        ],
    );
    check(
        by(&[By::Comm]),
        script,
        "key cgroups",
        &["curl -=6,-=5,/jobs/7=3,/system.slice/cron.service=2,/=1", "cron /system.slice/cron.service=4"],
    );
    check(
        by(&[By::Cache, By::Pid]),
        "alloc curl:3 dentry x1",
        "key pid cache comm",
        &["dentry, 3 3 dentry curl"],
    );
}
