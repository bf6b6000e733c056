//! Snapshots for the tests of every output.

pub(crate) mod census;
pub(crate) mod difference;
mod findings;
pub(crate) mod incident;
mod profiles;

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

pub(crate) use self::{
    findings::{ended, findings, only_caches, too_few, verdict},
    profiles::{any_profile, hostile_profile, profile},
};

use crate::{
    procfs::meminfo::SlabMemory,
    view::{
        AgeBucket, AllocContext, Ancestors, By, CacheShare, CacheTotals, CallSite, CgroupShare, Class,
        Cohort, Context, Directory, GfpFlags, Keys, NameGroup, Negatives, OwnCost, ProcessInfo, Rest, Row,
        Sampling, Settled, Snapshot, Sort, StackShare, Trend, Trust, Verdict, Verified,
        census::UnseenAllocations,
        reconcile::{self, Growth, Partial, Reading, Sign, Traced},
    },
};

/// A busy host twelve seconds into a session on `dentry`: one leaker with names, some bystanders.
pub(crate) fn dentry() -> Snapshot {
    Snapshot {
        is_final: false,
        time: UNIX_EPOCH + Duration::from_millis(1_764_000_000_123),
        elapsed: Duration::from_millis(12_345),
        settled: None,
        host: "web-03".to_owned(),
        kernel: "6.12.57+deb12-amd64".to_owned(),
        filter: String::new(),
        by: By::Comm.into(),
        sort: Sort::Bytes,
        older: None,
        sampling: Sampling::NONE,
        stacks_period: None,
        meminfo: Some(SlabMemory {
            slab: 1_288_490_188,
            sreclaimable: 943_718_400,
            sunreclaim: 344_771_788,
            available: Some(4 << 30),
        }),
        own_cost: OwnCost {
            probe_ns_per_event: Some(78.4),
            probes_cpu: Some(0.008),
            userspace_cpu: Some(0.004),
            resident_bytes: Some(14_680_064),
            kernel_bytes: Some(67_239_936),
            max_memory: Some(192 << 20),
            max_cpu: None,
        },
        caches: vec![cache("dentry", 192, 24_116, 1_210_451)],
        rows: vec![
            Row {
                processes: 212,
                negatives: Some(Negatives { looked_at: 4_980, dentries: 4_980, negative: 4_921 }),
                names: vec![
                    NameGroup {
                        negatives: Some(Negatives { looked_at: 4_921, dentries: 4_921, negative: 4_921 }),
                        ..seen(
                            "/etc/pki/nssdb",
                            names("nssdb", ".<n>_dOeSnotExist_.db", 23_101, ".8812_dOeSnotExist_.db"),
                        )
                    },
                    NameGroup {
                        negatives: Some(Negatives { looked_at: 59, dentries: 59, negative: 0 }),
                        ..seen("/usr/lib", names("lib", "libnss<n>.so", 311, "libnss3.so"))
                    },
                ],
                cohorts: cohorts(&[
                    (3_702, 3_702),
                    (3_896, 3_896),
                    (3_896, 3_895),
                    (4_120, 4_119),
                    (3_896, 3_895),
                    (3_960, 3_949),
                ]),
                ..row("curl", 23_456, 23_470, 14, 1948.2)
            },
            Row {
                named_objects: 400,
                placed_objects: 400,
                names: vec![names("/", "tmp.<n>", 310, "tmp.X7faQ2")],
                cohorts: cohorts(&[(6_702, 0), (6_702, 0), (0, 0), (13_404, 1), (6_702, 1), (6_703, 510)]),
                ..row("postgres", 512, 40_213, 39_701, 2.5)
            },
            Row {
                cohorts: cohorts(&[
                    (194_984, 0),
                    (194_984, 0),
                    (194_984, 1),
                    (194_984, 0),
                    (194_983, 0),
                    (194_984, 147),
                ]),
                ..row("[kworker/0:1-ev]", 148, 1_169_903, 1_169_755, -12.25)
            },
        ],
        rest: None,
        verdict: None,
        ages: ages(&[1_948, 3_896, 13_637, 4_635]),
        cohorts: cohorts(&[
            (205_761, 3_702),
            (205_761, 3_896),
            (205_761, 3_896),
            (205_761, 4_119),
            (205_761, 3_896),
            (205_762, 4_607),
        ]),
        directories: Vec::new(),
        census: None,
        latest_census: None,
        trust: Trust { emitted: 2_444_938, applied: 2_444_938, unknown_frees: 12, ..Trust::default() },
        notes: Vec::new(),
    }
}

pub(crate) fn cache(name: &str, object_size: u64, outstanding_objects: u64, frees: u64) -> CacheTotals {
    CacheTotals {
        name: name.to_owned(),
        aliases: Vec::new(),
        object_size,
        reclaimable: Some(true),
        allocs: outstanding_objects + frees,
        frees,
        outstanding_objects,
        outstanding_bytes: outstanding_objects * object_size,
        lost_allocs: 0,
        lost_frees: 0,
        slabinfo_objects: Some(1_948_211),
        slabinfo_objects_per_s: Some(1932.0),
        partial: None,
        growth: None,
    }
}

pub(crate) fn row(key: &str, objects: u64, allocs: u64, frees: u64, growth_per_s: f64) -> Row {
    Row {
        keys: vec![key.as_bytes().to_vec()],
        comm: Some(key.as_bytes().to_vec()),
        pid: None,
        process: None,
        cache: Some("dentry".to_owned()),
        caches: vec![CacheShare { name: "dentry".to_owned(), objects, bytes: objects * 192, allocs }],
        trend: Trend::TooEarly,
        started_by: Vec::new(),
        cgroups: Vec::new(),
        stacked_objects: 0,
        stacks: Vec::new(),
        call_site: None,
        alloc_context: AllocContext::default(),
        processes: 1,
        objects,
        bytes: objects * 192,
        partial_objects: 0,
        objects_until_end: 0,
        allocs,
        frees,
        allocs_per_s: allocs as f64 / 12.0,
        frees_per_s: (allocs as f64 / 12.0 - growth_per_s).max(0.0),
        growth_per_s,
        oldest: Some(Duration::from_millis(11_200)),
        ages: ages(&[objects / 10, objects / 5, objects - objects / 10 - objects / 5]),
        cohorts: Vec::new(),
        named_objects: objects,
        placed_objects: objects,
        negatives: None,
        names: Vec::new(),
    }
}

fn ages(objects: &[u64]) -> Vec<AgeBucket> {
    let ends = [1, 3, 10, 30].map(Duration::from_secs);
    let starts = [Duration::ZERO].into_iter().chain(ends);
    let buckets = objects.iter().zip(starts).zip(ends).map(|((&objects, at_least), end)| AgeBucket {
        at_least,
        less_than: Some(end),
        objects,
        bytes: objects * 192,
    });
    buckets.collect()
}

/// Parts of two seconds, and what is left of each.
fn cohorts(parts: &[(u64, u64)]) -> Vec<Cohort> {
    let part = |(from, &(allocs, survivors))| Cohort {
        from: Duration::from_secs(from),
        to: Duration::from_secs(from + 2),
        allocs,
        survivors,
    };
    (0..).step_by(2).zip(parts).map(part).collect()
}

pub(crate) fn names(parent: &str, pattern: &str, objects: u64, example: &str) -> NameGroup {
    NameGroup {
        parent: parent.as_bytes().to_vec(),
        pattern: pattern.as_bytes().to_vec(),
        objects,
        example: example.as_bytes().to_vec(),
        ..NameGroup::default()
    }
}

/// Dentries that were looked at.
pub(crate) fn seen(path: &str, group: NameGroup) -> NameGroup {
    NameGroup {
        path: Some(path.as_bytes().to_vec()),
        filesystem: Some(b"ext4".to_vec()),
        kind: Some(Class::Dentry),
        ..group
    }
}

/// Growth by slabinfo and by what was traced, where slabinfo may be wrong by 100.
pub(crate) fn growth(slabinfo: i64, traced: i64) -> Growth {
    const START: u64 = 1_000_000;
    let reading = |slabinfo: i64, traced: i64| {
        let (allocs, frees) = (traced.max(0).unsigned_abs(), traced.min(0).unsigned_abs());
        let traced = Traced { allocs, unknown_frees: frees, ..Traced::default() };
        Reading { objects: START.saturating_add_signed(slabinfo), slack: 100, before: traced, after: traced }
    };
    Growth::between(&reading(0, 0), &reading(slabinfo, traced))
}

/// `maple_node` among others, grouped by cache or not: the kernel frees its objects untraced.
pub(crate) fn partial(by: By) -> Snapshot {
    let mut snapshot = caches(by);
    let maple_node = CacheTotals {
        reclaimable: Some(false),
        slabinfo_objects: Some(1_071),
        slabinfo_objects_per_s: Some(0.0),
        partial: Some(Partial { sign: Sign::Reused, unseen_frees_share: 0.913 }),
        growth: Some(growth(540, 21_185)),
        ..cache("maple_node", 256, 21_185, 214_659)
    };
    if by == By::Cache {
        let row = row("maple_node", 21_185, 235_844, 214_659, 1765.4);
        snapshot.rows.insert(0, Row { cache: Some("maple_node".to_owned()), partial_objects: 21_185, ..row });
    } else {
        // A few of curl's objects are of that cache, and most of postgres's.
        snapshot.rows[0].partial_objects = 40;
        snapshot.rows[1].partial_objects = 400;
    }
    snapshot.caches.insert(0, maple_node);
    snapshot.notes.extend(reconcile::note(&snapshot.caches));
    snapshot
}

fn directory(path: &str, within: usize, depth: usize, objects: u64, negative: u64) -> Directory {
    Directory {
        path: path.as_bytes().to_vec(),
        within,
        depth,
        objects,
        share: objects as f64 / 24_116.0,
        negatives: Negatives { looked_at: 100, dentries: 100, negative },
        filesystem: Some(b"ext4".to_vec()),
    }
}

/// The end of the session on `dentry`.
pub(crate) fn final_dentry() -> Snapshot {
    Snapshot {
        is_final: true,
        elapsed: Duration::from_secs(30),
        settled: Some(Settled { time: Duration::from_millis(500), freed: 1_312 }),
        directories: vec![
            directory("/etc/pki/nssdb", 0, 0, 23_101, 100),
            directory("/usr/lib", 0, 0, 703, 4),
            directory("/usr/lib/x86_64-linux-gnu", 8, 1, 392, 0),
            directory(
                "/usr/lib/x86_64-linux-gnu/very/deep/inside/of/it/so/that/it/has/to/be/cut",
                25,
                2,
                301,
                0,
            ),
            directory("pipefs:", 0, 0, 12, 0),
        ],
        ..dentry()
    }
}

/// Twenty rows and thirty more that `--top` cut.
pub(crate) fn crowd() -> Snapshot {
    let rows =
        (1..=20).map(|n| row(&format!("worker-{n}"), 2_000 / n, 4_000, 4_000 - 2_000 / n, 10.0 / n as f64));
    Snapshot {
        rows: rows.collect(),
        rest: Some(Rest { rows: 30, objects: 1_234, bytes: 1_234 * 192 }),
        ..dentry()
    }
}

/// Several caches, one of them merged, grouped by cache or not.
pub(crate) fn caches(by: By) -> Snapshot {
    let caches = vec![
        cache("dentry", 192, 24_116, 1_210_451),
        CacheTotals {
            aliases: vec!["io_kiocb".to_owned(), "pid_3".to_owned(), "task_delay_info".to_owned()],
            reclaimable: Some(false),
            slabinfo_objects: Some(81_920),
            slabinfo_objects_per_s: Some(-3.5),
            ..cache("kmalloc-64", 64, 901, 55)
        },
        CacheTotals {
            slabinfo_objects: None,
            slabinfo_objects_per_s: None,
            reclaimable: None,
            ..cache("filp", 256, 12, 0)
        },
        cache("inode_cache", 608, 3, 1),
    ];
    let keyed = |cache: &CacheTotals| Row {
        comm: None,
        cache: Some(cache.name.clone()),
        bytes: cache.outstanding_bytes,
        processes: 7,
        ..row(&cache.name, cache.outstanding_objects, cache.allocs, cache.frees, 3.0)
    };
    let rows = if by == By::Cache { caches.iter().map(keyed).collect() } else { dentry().rows };
    Snapshot { by: by.into(), caches, rows, ..dentry() }
}

pub(crate) fn by_pid() -> Snapshot {
    let mut snapshot = Snapshot { by: By::Pid.into(), ..dentry() };
    for (row, pid) in snapshot.rows.iter_mut().zip([48_112, 4_194_303, 7]) {
        row.keys = vec![pid.to_string().into_bytes()];
        row.pid = Some(pid);
        row.processes = 1;
    }
    // A process that changed its name by exec.
    snapshot.rows[1].comm = None;
    snapshot
}

/// A container's probe script that starts the leaker again and again, and somebody who is started in several ways.
pub(crate) fn started() -> Snapshot {
    let mut snapshot = dentry();
    let ancestors = |comms: &[&str], objects| Ancestors {
        comms: comms.iter().map(|comm| comm.as_bytes().to_vec()).collect(),
        objects,
    };
    let container = format!("/system.slice/docker-{}.scope", "3f2a9c1b04d5".repeat(6).get(..64).unwrap());
    let cgroup = |id, path: &str, objects| CgroupShare { id, path: Some(path.as_bytes().to_vec()), objects };
    snapshot.rows[0].started_by = vec![ancestors(&["probe.sh", "containerd-shim"], 23_456)];
    snapshot.rows[0].cgroups = vec![cgroup(4711, &container, 23_456)];
    snapshot.rows[1].started_by = vec![ancestors(&["postgres"], 400), ancestors(&[], 112)];
    snapshot.rows[1].cgroups = vec![cgroup(52, "/system.slice/postgresql.service", 512)];
    snapshot.rows[1].process = Some(ProcessInfo {
        program: b"/usr/lib/postgresql/15/bin/postgres".to_vec(),
        command_line: b"postgres: checkpointer".to_vec(),
        has_ended: false,
    });
    snapshot.rows[2].cgroups = vec![cgroup(1, "/", 140), CgroupShare { id: 9_999, path: None, objects: 8 }];
    snapshot
}

/// One allocation in 16 tells its stack.
pub(crate) fn stacks() -> Snapshot {
    let mut snapshot = Snapshot { stacks_period: Some(16), ..started() };
    let share = |frames: &str, objects| StackShare {
        frames: frames.split(' ').map(|frame| frame.replace('[', " [")).collect(),
        objects,
    };
    let kernel = "kmem_cache_alloc_lru_noprof __d_alloc d_alloc_parallel lookup_slow walk_component path_lookupat filename_lookup do_faccessat do_syscall_64";
    let user = "access[libc.so.6] sdb_measureAccess[libsoftokn3.so] s_open[libsoftokn3.so] main[curl]";
    snapshot.rows[0].stacked_objects = 1466;
    snapshot.rows[0].stacks =
        vec![share(&format!("{kernel} {user}"), 1440), share("kmem_cache_alloc_lru_noprof (gone)", 26)];
    snapshot.rows[1].stacked_objects = 3;
    snapshot.rows[1].stacks = vec![share("evil\x1b[2J", 3)];
    snapshot
}

/// The same, grouped by several things.
pub(crate) fn by_several() -> Snapshot {
    let keys = [By::Cgroup, By::Ancestors, By::CallSite];
    let mut snapshot = Snapshot { by: Keys::new(keys).expect("some"), ..started() };
    let chains = ["curl < probe.sh < containerd-shim", "postgres < postgres", "[kworker/0:1-ev]"];
    let sites = [("__d_alloc+0x2b", 0xffff_ffff_8123_458b), ("ovl_alloc_inode+0x1c [overlay]", 1), ("", 0)];
    let cgroups = ["docker 3f2a9c1b04d5", "postgresql.service", "/"];
    for (((row, chain), (symbol, address)), cgroup) in
        snapshot.rows.iter_mut().zip(chains).zip(sites).zip(cgroups)
    {
        let site = if symbol.is_empty() { "(unknown)" } else { symbol };
        row.keys = [cgroup, chain, site].map(|key| key.as_bytes().to_vec()).to_vec();
        row.call_site = (address != 0).then(|| CallSite { address, symbol: Some(symbol.to_owned()) });
    }
    snapshot
}

/// The same, grouped by how objects were allocated.
pub(crate) fn by_circumstances() -> Snapshot {
    let keys = [By::Context, By::Gfp, By::Node];
    let mut snapshot = Snapshot { by: Keys::new(keys).expect("some"), ..started() };
    let gfp = |flags, names: Option<&str>| Some(GfpFlags { flags, names: names.map(str::to_owned) });
    let long = "GFP_NOFS|__GFP_NOFAIL|__GFP_NOWARN|__GFP_ZERO|__GFP_NOMEMALLOC";
    let alloc_context = [
        (Some(Context::Process), gfp(0xdc0, Some("GFP_KERNEL|__GFP_ZERO")), Some(1)),
        (Some(Context::IoWorker), gfp(0x8a940, Some(long)), Some(0)),
        (None, gfp(0x820, None), None),
    ];
    let keys = [
        ["process", "GFP_KERNEL|__GFP_ZERO", "1"],
        ["io_uring worker", long, "0"],
        ["(unknown)", "0x820", "(unknown)"],
    ];
    for ((row, keys), (context, gfp, node)) in snapshot.rows.iter_mut().zip(keys).zip(alloc_context) {
        row.keys = keys.map(|key| key.as_bytes().to_vec()).to_vec();
        row.alloc_context = AllocContext { context, gfp, node };
    }
    snapshot
}

/// A session that is over and lost something of every kind.
pub(crate) fn lossy() -> Snapshot {
    Snapshot {
        is_final: true,
        elapsed: Duration::from_secs(30),
        settled: Some(Settled { time: Duration::from_millis(500), freed: 312 }),
        trust: Trust {
            emitted: 2_444_938,
            applied: 2_444_888,
            lost_allocs: 12,
            lost_frees: 31,
            lost_names: 5,
            unknown_frees: 1_212,
            reused_pointers: 7,
            recursion_misses: 3,
            refused: 9,
            unresolved: 1,
            verified: Some(Verified { objects: 9_000, outstanding: 9_412, refuted: 271, is_whole: false }),
            unseen_allocations: Some(UnseenAllocations { objects: 1_204, ci95: (880, 1_530) }),
            slabinfo_agreement: Some(0.875),
        },
        notes: vec![
            "names are unavailable on this host: fexit is refused (EPERM) and there are no kprobes"
                .to_owned(),
            "process 48112 ended".to_owned(),
        ],
        ..dentry()
    }
}

/// Whatever can be hostile is.
pub(crate) fn hostile() -> Snapshot {
    let evil = b"\x1b]0;pwned\x07\n\xff\"\\".to_vec();
    Snapshot {
        host: "ho\x1b[2Jst\n".to_owned(),
        kernel: "6.1\u{202e}2".to_owned(),
        notes: vec!["process `e\x1b[31mvil\n` ended".to_owned()],
        caches: vec![CacheTotals { aliases: vec!["a\x1bb".to_owned()], ..cache("de\x1bntry", 192, 3, 0) }],
        rows: vec![
            Row {
                keys: vec![evil.clone()],
                comm: Some(evil.clone()),
                process: Some(ProcessInfo {
                    program: evil.clone(),
                    command_line: evil.clone(),
                    has_ended: true,
                }),
                started_by: vec![Ancestors { comms: vec![evil.clone(), evil.clone()], objects: 2 }],
                cgroups: vec![CgroupShare { id: 7, path: Some(evil.clone()), objects: 2 }],
                names: vec![NameGroup {
                    parent: evil.clone(),
                    path: Some(evil.clone()),
                    pattern: evil.clone(),
                    objects: 1,
                    filesystem: Some(evil.clone()),
                    example: evil,
                    ..NameGroup::default()
                }],
                ..row("", 2, 2, 0, f64::NAN)
            },
            Row {
                names: vec![names("日本", "データ<n>\u{200b}\u{301}.db", 1, "x")],
                ..row("日本語コマンド", 1, 0, 9, f64::INFINITY)
            },
        ],
        ..dentry()
    }
}

/// The slab was full when the session began.
pub(crate) fn after_a_wreck() -> Snapshot {
    Snapshot { census: Some(Arc::new(census::wreck())), ..verdict() }
}

pub(crate) fn empty() -> Snapshot {
    Snapshot {
        own_cost: OwnCost {
            probe_ns_per_event: None,
            probes_cpu: None,
            userspace_cpu: None,
            ..dentry().own_cost
        },
        rows: Vec::new(),
        caches: vec![CacheTotals { slabinfo_objects_per_s: None, ..cache("dentry", 192, 0, 0) }],
        trust: Trust::default(),
        elapsed: Duration::from_millis(850),
        ..dentry()
    }
}

/// One object in 64 is followed, since it would have taken too much CPU time.
pub(crate) fn sampled() -> Snapshot {
    let mut snapshot = crowd();
    snapshot.sampling = Sampling { period: 64 };
    snapshot.own_cost.max_cpu = Some(0.05);
    for row in &mut snapshot.rows {
        row.objects = snapshot.sampling.estimate(row.objects);
        row.bytes = row.objects * 192;
    }
    snapshot.notes = vec!["sampling 1 in 64 objects since 8 s: memtrace exceeded --max-cpu 5%".to_owned()];
    snapshot
}

pub(crate) fn all() -> Vec<Snapshot> {
    let older = Snapshot { older: Some(Duration::from_secs(10)), sort: Sort::Age, ..dentry() };
    let bare = Snapshot { caches: Vec::new(), meminfo: None, own_cost: OwnCost::default(), ..empty() };
    vec![
        dentry(),
        final_dentry(),
        crowd(),
        caches(By::Comm),
        caches(By::Cache),
        by_pid(),
        started(),
        after_a_wreck(),
        stacks(),
        verdict(),
        Snapshot { verdict: Some(Verdict::default()), ..verdict() },
        findings(),
        too_few(),
        ended(),
        only_caches(),
        by_several(),
        sampled(),
        lossy(),
        hostile(),
        empty(),
        older,
        bare,
        partial(By::Comm),
        partial(By::Cache),
    ]
}

/// A terminal in memory.
pub(crate) fn terminal(rows: u16, columns: u16) -> vt100::Parser {
    let size = |n| std::num::NonZero::new(n).expect("a window has rows and columns");
    vt100::Parser::new(size(rows), size(columns), 1000)
}
