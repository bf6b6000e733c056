//! A real incident as a whole document: a container's health check starts curl, whose NSS asks for names that do not exist.
//!
//! Ten minutes of it, with what else such a host does meanwhile; and the same grown too large, gone hostile, and all but empty.

use std::time::{Duration, UNIX_EPOCH};

use super::{cache, growth, names, row, seen};
use crate::{
    knowledge::incidents::Incidents,
    procfs::meminfo::SlabMemory,
    stream::event::FileType,
    view::{
        Ancestors, By, CacheShare, CacheTotals, CgroupShare, Class, Directory, NameGroup, Negatives, Row,
        Settled, Slope, Snapshot, StackShare, Trend, Trust, Verdict,
        ages::AgeBucket,
        judge::{self, Held, SessionFacts},
        lookups::CacheInfo,
        profile::{Profile, Sample},
        reconcile::{Partial, Sign},
        series::{Line, Mark, Point, Series},
        survival,
    },
};

const SECONDS: u64 = 600;
/// 2026-11-25 03:12:04 UTC.
const START: Duration = Duration::from_secs(1_795_576_324);
const CONTAINER: &str =
    "/system.slice/docker-3f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d53f2a9c1b04d5abcd.scope";

/// What a document borrows.
pub(crate) struct Incident {
    pub snapshot: Snapshot,
    pub series: Series,
    pub profile: Profile,
}

/// `(comm, objects, allocs, trend, growth per second, started by, cgroup)`.
type Bystander = (&'static str, u64, u64, Trend, f64, &'static str, &'static str);

const BYSTANDERS: [Bystander; 13] = [
    ("nginx", 41_208, 1_904_113, Trend::Churning, 3.1, "nginx", "/system.slice/nginx.service"),
    ("containerd-shim", 18_377, 22_950, Trend::Plateaued, 0.4, "systemd", "/system.slice/containerd.service"),
    ("runc", 12_940, 402_118, Trend::Churning, 1.9, "containerd-shim", "/system.slice/containerd.service"),
    ("rsyslogd", 9_482, 9_733, Trend::Burst, 0.0, "systemd", "/system.slice/rsyslog.service"),
    ("[kworker/0:1-ev]", 7_731, 88_015, Trend::Steady, 0.2, "", "/"),
    ("postgres", 5_120, 311_402, Trend::Churning, -0.8, "postgres", "/system.slice/postgresql.service"),
    ("node_exporter", 3_304, 190_118, Trend::Steady, 0.0, "systemd", "/system.slice/node-exporter.service"),
    ("dockerd", 2_877, 48_111, Trend::Steady, 0.1, "systemd", "/system.slice/docker.service"),
    (
        "systemd-journal",
        1_904,
        77_018,
        Trend::Churning,
        -0.3,
        "systemd",
        "/system.slice/systemd-journald.service",
    ),
    ("sshd", 1_233, 4_104, Trend::Plateaued, 0.0, "sshd", "/system.slice/ssh.service"),
    ("cron", 640, 8_822, Trend::Churning, 0.0, "systemd", "/system.slice/cron.service"),
    ("bash", 212, 19_480, Trend::Churning, 0.0, "sshd", "/user.slice/user-1000.slice/session-4.scope"),
    ("[swapper]", 96, 61_804, Trend::Churning, 0.0, "", "/"),
];

pub(crate) fn incident() -> Incident {
    let rows: Vec<Row> = std::iter::once(curl()).chain(BYSTANDERS.map(bystander)).collect();
    let caches = caches();
    let meminfo = SlabMemory {
        slab: 39_213_506_560,
        sreclaimable: 38_104_137_728,
        sunreclaim: 1_109_368_832,
        available: Some(24_480_333_824),
    };
    let trust = Trust {
        emitted: 8_412_774,
        applied: 8_412_774,
        unknown_frees: 118_402,
        reused_pointers: 214,
        slabinfo_agreement: Some(0.991),
        ..Trust::default()
    };
    let verdict = verdict(&rows[0], &caches, meminfo, &trust);
    let snapshot = Snapshot {
        is_final: true,
        time: UNIX_EPOCH + START + Duration::from_secs(SECONDS),
        elapsed: Duration::from_secs(SECONDS),
        settled: Some(Settled { time: Duration::from_millis(500), freed: 1_312 }),
        host: "lb-07.fra.example.net".to_owned(),
        kernel: "5.10.0-34-amd64".to_owned(),
        filter: String::new(),
        by: By::Comm.into(),
        stacks_period: Some(32),
        meminfo: Some(meminfo),
        caches,
        rows,
        verdict,
        directories: directories(),
        ages: ages(),
        trust,
        notes: vec![
            "maple_node is partial: its objects are freed in bulk, which this kernel does not let memtrace see".to_owned(),
            "stacks are of one allocation in 32; curl keeps no frame pointers, so some stacks end early".to_owned(),
        ],
        ..super::dentry()
    };
    let series = series(300, &snapshot);
    Incident { snapshot, series, profile: profile() }
}

const HELD_BY_CURL: u64 = 1_188_402;

fn curl() -> Row {
    let negative = |path: &str, group: NameGroup| NameGroup {
        negatives: Some(Negatives { looked_at: 4_900, dentries: 4_900, negative: 4_900 }),
        name_bytes: 0,
        ..seen(path, group)
    };
    let positive = |path: &str, group: NameGroup| NameGroup {
        negatives: Some(Negatives { looked_at: 59, dentries: 59, negative: 0 }),
        filesystem: Some(b"overlay".to_vec()),
        ..seen(path, group)
    };
    let slope = Slope { per_s: 1980.6, low: 1968.2, high: 1993.1 };
    Row {
        trend: Trend::Growing(slope),
        started_by: vec![
            Ancestors { comms: comms(&["readiness.sh", "runc", "containerd-shim"]), objects: 1_176_518 },
            Ancestors { comms: comms(&["bash", "sshd"]), objects: 11_884 },
        ],
        cgroups: vec![
            cgroup(4_711, CONTAINER, 1_176_518),
            cgroup(88, "/user.slice/user-1000.slice/session-4.scope", 11_884),
        ],
        caches: vec![
            CacheShare {
                name: "dentry".to_owned(),
                objects: 1_187_960,
                bytes: 1_187_960 * 192,
                allocs: 1_189_011,
            },
            CacheShare { name: "filp".to_owned(), objects: 442, bytes: 442 * 256, allocs: 98_412 },
        ],
        cache: None,
        stacked_objects: 37_138,
        stacks: vec![
            StackShare { frames: stack(MEASURE, LOOKUP), objects: 24_512 },
            StackShare { frames: stack(TEMPORARY, LOOKUP), objects: 12_470 },
            StackShare { frames: stack(LIBRARIES, OPEN), objects: 156 },
        ],
        processes: 1_204,
        named_objects: 4_959,
        placed_objects: 4_959,
        negatives: Some(Negatives { looked_at: 4_959, dentries: 4_959, negative: 4_900 }),
        names: vec![
            negative(
                "/etc/pki/nssdb",
                names("nssdb", ".<n>_dOeSnotExist_.db", 3_266, ".28812904_dOeSnotExist_.db"),
            ),
            negative("/tmp", names("tmp", ".<n>_dOeSnotExist_.db", 1_634, ".28812911_dOeSnotExist_.db")),
            positive("/usr/lib64", names("lib64", "libnss<n>.so", 59, "libnss3.so")),
        ],
        oldest: Some(Duration::from_secs(SECONDS)),
        ..row_of("curl", HELD_BY_CURL, 1_214_930, 1980.6)
    }
}

fn row_of(key: &str, objects: u64, allocs: u64, growth_per_s: f64) -> Row {
    Row {
        allocs_per_s: allocs as f64 / SECONDS as f64,
        frees_per_s: (allocs - objects) as f64 / SECONDS as f64,
        ..row(key, objects, allocs, allocs - objects, growth_per_s)
    }
}

fn bystander((key, objects, allocs, trend, growth_per_s, started_by, in_cgroup): Bystander) -> Row {
    let file = NameGroup {
        file_type: Some(FileType::Regular),
        kind: Some(Class::File),
        filesystem: Some(b"ext4".to_vec()),
        path: Some(b"/var/log/nginx".to_vec()),
        ..names("nginx", "access.log.<n>", 41, "access.log.3")
    };
    Row {
        trend,
        started_by: vec![Ancestors {
            comms: comms(&started_by.split(' ').filter(|comm| !comm.is_empty()).collect::<Vec<_>>()),
            objects,
        }],
        cgroups: vec![cgroup(objects, in_cgroup, objects)],
        processes: 1 + objects % 17,
        named_objects: 400,
        placed_objects: 400,
        names: match key {
            "nginx" => vec![file],
            "rsyslogd" => vec![seen("/var/log", names("log", "messages-<n>", 380, "messages-20261124"))],
            "postgres" => vec![seen(
                "/var/lib/postgresql/15/main/base/16384",
                names("16384", "<n>_fsm", 311, "2619_fsm"),
            )],
            _ => Vec::new(),
        },
        bytes: objects * if key == "nginx" { 640 } else { 192 },
        partial_objects: if key == "[swapper]" { 40 } else { 0 },
        oldest: Some(Duration::from_secs(objects % SECONDS)),
        ..row_of(key, objects, allocs, growth_per_s)
    }
}

fn comms(comms: &[&str]) -> Vec<Vec<u8>> {
    comms.iter().map(|comm| comm.as_bytes().to_vec()).collect()
}

fn cgroup(id: u64, path: &str, objects: u64) -> CgroupShare {
    CgroupShare { id, path: Some(path.as_bytes().to_vec()), objects }
}

fn caches() -> Vec<CacheTotals> {
    let of = |name: &str, size, outstanding, frees, slabinfo, per_s| CacheTotals {
        slabinfo_objects: Some(slabinfo),
        slabinfo_objects_per_s: Some(per_s),
        ..cache(name, size, outstanding, frees)
    };
    let fixed = |cache: CacheTotals| CacheTotals { reclaimable: Some(false), ..cache };
    vec![
        CacheTotals {
            growth: Some(growth(1_222_310, 1_221_948)),
            ..of("dentry", 192, 1_221_948, 3_402_118, 198_340_112, 1_994.0)
        },
        of("ext4_inode_cache", 1_088, 18_402, 12_330, 204_118, 30.2),
        fixed(CacheTotals {
            aliases: vec!["anon_vma_chain".to_owned(), "pid_3".to_owned(), "task_delay_info".to_owned()],
            ..of("kmalloc-64", 64, 40_211, 802_114, 1_204_992, -3.5)
        }),
        of("proc_inode_cache", 680, 3_304, 188_011, 48_200, 0.4),
        fixed(of("filp", 256, 6_120, 1_902_774, 18_112, 0.0)),
        fixed(of("skbuff_head_cache", 256, 4_096, 2_011_830, 8_160, 0.0)),
        fixed(CacheTotals {
            partial: Some(Partial { sign: Sign::Reused, unseen_frees_share: 0.913 }),
            ..of("maple_node", 256, 2_118, 21_465, 1_071, 0.0)
        }),
        fixed(of("sock_inode_cache", 832, 212, 8_011, 1_400, 0.0)),
    ]
}

fn directories() -> Vec<Directory> {
    let all = 1_221_948.0;
    let directory = |path: &str, within, depth, objects: u64, negative, filesystem: &str| Directory {
        path: path.as_bytes().to_vec(),
        within,
        depth,
        objects,
        share: objects as f64 / all,
        negatives: Negatives { looked_at: 100, dentries: 100, negative },
        filesystem: Some(filesystem.as_bytes().to_vec()),
    };
    vec![
        directory("/etc/pki", 0, 0, 782_411, 100, "overlay"),
        directory("/etc/pki/nssdb", 8, 1, 782_208, 100, "overlay"),
        directory("/etc/pki/tls/certs", 8, 1, 203, 2, "overlay"),
        directory("/tmp", 0, 0, 391_520, 99, "overlay"),
        directory("/var", 0, 0, 28_114, 11, "ext4"),
        directory("/var/lib/docker/overlay2", 4, 1, 19_228, 14, "ext4"),
        directory("/var/lib/docker/overlay2/l", 24, 2, 4_102, 0, "ext4"),
        directory("/var/log", 4, 1, 8_640, 3, "ext4"),
        directory("/usr/lib64", 0, 0, 14_205, 41, "overlay"),
        directory("/proc", 0, 0, 3_310, 0, "proc"),
        directory("pipefs:", 0, 0, 812, 0, "pipefs"),
    ]
}

/// Fairly random, and the same each time.
struct Noise(u64);

impl Noise {
    /// 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }
}

/// Ends where the snapshot does.
fn series(points: usize, snapshot: &Snapshot) -> Series {
    let at = |index: usize| Duration::from_millis(SECONDS * 1000 * (index as u64 + 1) / points as u64);
    let share = |index: usize| (index + 1) as f64 / points as f64;
    let mut noise = Noise(7);
    let mut line = |name: &[u8], objects: u64, size: u64, trend: Trend| {
        let end = objects as f64;
        let mut objects: Vec<u64> = (0..points)
            .map(|index| {
                let (t, wobble) = (share(index), noise.next());
                let level = match trend {
                    Trend::Growing(_) => t * (1.0 - 0.004 * wobble),
                    Trend::Plateaued => (t * 4.0).min(1.0) * (0.99 + 0.01 * wobble),
                    Trend::Burst if t < 0.62 => 0.05,
                    Trend::Burst => 1.0,
                    Trend::Churning => 0.5 + 0.5 * wobble,
                    Trend::Steady | Trend::TooEarly => 0.94 + 0.06 * wobble,
                };
                (end * level) as u64
            })
            .collect();
        if let Some(last) = objects.last_mut() {
            *last = end as u64;
        }
        Line { name: name.to_vec(), bytes: objects.iter().map(|n| n * size).collect(), objects }
    };
    let rows = snapshot.rows.iter().take(20).map(|row| {
        line(
            row.keys.first().map_or(&[], Vec::as_slice),
            row.objects,
            row.bytes / row.objects.max(1),
            row.trend,
        )
    });
    let rows = rows.collect();
    let caches = snapshot.caches.iter().map(|cache| {
        let trend = if cache.name == "dentry" { snapshot.rows[0].trend } else { Trend::Churning };
        line(cache.name.as_bytes(), cache.outstanding_objects, cache.object_size, trend)
    });
    Series {
        caches: caches.collect(),
        rows,
        points: (0..points)
            .map(|index| Point {
                time: UNIX_EPOCH + START + at(index),
                elapsed: at(index),
                slab: snapshot.meminfo.map(|meminfo| meminfo.slab - ((1.0 - share(index)) * 2.4e8) as u64),
                available: None,
            })
            .collect(),
        marks: vec![
            Mark { elapsed: Duration::from_secs(241), label: b"health check every 1 s".to_vec() },
            Mark { elapsed: Duration::from_secs(372), label: b"logrotate".to_vec() },
        ],
    }
}

fn verdict(leaker: &Row, caches: &[CacheTotals], meminfo: SlabMemory, trust: &Trust) -> Option<Verdict> {
    let session = SessionFacts {
        caches,
        meminfo: Some(meminfo),
        trust,
        incidents: &Incidents::built_in(),
        period: 1,
        elapsed: Duration::from_secs(SECONDS),
    };
    let cache = CacheInfo {
        object_size: 192,
        reclaimable: Some(true),
        name: "dentry".to_owned(),
        ..CacheInfo::default()
    };
    let survival = survival::steady(leaker.objects / SECONDS, SECONDS);
    judge::verdict([(leaker, &[Held { cache: &cache, survival }][..])].into_iter(), &session)
}

/// Outermost first.
const MEASURE: &str = "_start [curl]|__libc_start_main [libc-2.17.so]|main [curl]|operate [curl]|curl_easy_perform [libcurl.so.4.3.0]|Curl_connect [libcurl.so.4.3.0]|nss_init_core [libcurl.so.4.3.0]|NSS_InitContext [libnss3.so]|SECMOD_LoadModule [libnss3.so]|NSC_Initialize [libsoftokn3.so]|sftk_DBInit [libsoftokn3.so]|s_open [libsoftokn3.so]|sdb_init [libsoftokn3.so]|sdb_measureAccess [libsoftokn3.so]|access [libc-2.17.so]";
const TEMPORARY: &str = "_start [curl]|__libc_start_main [libc-2.17.so]|main [curl]|operate [curl]|curl_easy_perform [libcurl.so.4.3.0]|Curl_connect [libcurl.so.4.3.0]|nss_init_core [libcurl.so.4.3.0]|NSS_InitContext [libnss3.so]|SECMOD_LoadModule [libnss3.so]|NSC_Initialize [libsoftokn3.so]|sftk_DBInit [libsoftokn3.so]|s_open [libsoftokn3.so]|sdb_init [libsoftokn3.so]|sdb_getTempDir [libsoftokn3.so]|sdb_measureAccess [libsoftokn3.so]|access [libc-2.17.so]";
const LIBRARIES: &str = "_dl_start_user [ld-2.17.so]|_dl_main [ld-2.17.so]|_dl_map_object [ld-2.17.so]|open_path [ld-2.17.so]|open64 [ld-2.17.so]";
const LOOKUP: &str = "entry_SYSCALL_64_after_hwframe|do_syscall_64|__x64_sys_access|do_faccessat|user_path_at_empty|filename_lookup|path_lookupat|walk_component|__lookup_slow|d_alloc_parallel|d_alloc|__d_alloc|kmem_cache_alloc";
const OPEN: &str = "entry_SYSCALL_64_after_hwframe|do_syscall_64|__x64_sys_openat|do_sys_openat2|do_filp_open|path_openat|lookup_open|d_alloc_parallel|d_alloc|__d_alloc|kmem_cache_alloc";
const FILES: &str = "entry_SYSCALL_64_after_hwframe|do_syscall_64|__x64_sys_openat|do_sys_openat2|do_filp_open|path_openat|alloc_empty_file|__alloc_file|kmem_cache_alloc";
const OVERLAY: &str = "entry_SYSCALL_64_after_hwframe|do_syscall_64|__x64_sys_newstat|vfs_statx|filename_lookup|path_lookupat|walk_component|__lookup_slow|ovl_lookup [overlay]|ovl_get_inode [overlay]|ovl_alloc_inode [overlay]|kmem_cache_alloc";
const NETWORK: &str = "entry_SYSCALL_64_after_hwframe|do_syscall_64|__x64_sys_sendto|tcp_sendmsg|tcp_sendmsg_locked|sk_stream_alloc_skb|__alloc_skb|kmem_cache_alloc_node";
const WORKER: &str = "ret_from_fork|kthread|worker_thread|process_one_work|wb_workfn|ext4_writepages|ext4_init_io_end|kmem_cache_alloc";

/// Innermost first, as a profile has them.
fn stack(user: &str, kernel: &str) -> Vec<String> {
    let outermost_first = user.split('|').chain(kernel.split('|')).filter(|frame| !frame.is_empty());
    let mut frames: Vec<String> = outermost_first.map(str::to_owned).collect();
    frames.reverse();
    frames
}

fn profile() -> Profile {
    let sample = |comm: &str, cache: &str, size: u64, objects: u64, user: &str, kernel: &str| Sample {
        frames: stack(user, kernel),
        comm: comm.as_bytes().to_vec(),
        cgroup: None,
        node: None,
        cache: cache.to_owned(),
        allocs: objects * 2,
        alloc_bytes: objects * size * 2,
        objects,
        bytes: objects * size,
    };
    let nginx = "_start [nginx]|main [nginx]|ngx_worker_process_cycle [nginx]|ngx_process_events_and_timers [nginx]|ngx_http_process_request [nginx]";
    let samples = vec![
        sample("curl", "dentry", 192, 784_384, MEASURE, LOOKUP),
        sample("curl", "dentry", 192, 399_040, TEMPORARY, LOOKUP),
        sample("curl", "dentry", 192, 4_536, LIBRARIES, OPEN),
        sample("curl", "filp", 256, 442, LIBRARIES, FILES),
        sample(
            "nginx",
            "filp",
            256,
            2_240,
            &format!("{nginx}|ngx_open_cached_file [nginx]|open64 [libc.so.6]"),
            FILES,
        ),
        sample(
            "nginx",
            "dentry",
            192,
            17_312,
            &format!("{nginx}|ngx_open_cached_file [nginx]|open64 [libc.so.6]"),
            OPEN,
        ),
        sample(
            "nginx",
            "skbuff_head_cache",
            256,
            4_096,
            &format!("{nginx}|ngx_http_write_filter [nginx]|send [libc.so.6]"),
            NETWORK,
        ),
        sample(
            "containerd-shim",
            "dentry",
            192,
            9_312,
            "runtime.goexit [containerd-shim]|main.main [containerd-shim]|(no frame pointer)",
            OVERLAY,
        ),
        sample(
            "runc",
            "ovl_inode",
            704,
            12_940,
            "runtime.goexit [runc]|main.main [runc]|os.Stat [runc]",
            OVERLAY,
        ),
        sample("rsyslogd", "dentry", 192, 9_482, "(the process ended)", OPEN),
        sample("[kworker/0:1-ev]", "ext4_io_end", 64, 7_731, "", WORKER),
        sample(
            "postgres",
            "dentry",
            192,
            5_120,
            "PostgresMain [postgres]|mdopenfork [postgres]|open64 [libc.so.6]",
            OPEN,
        ),
        sample(
            "node_exporter",
            "proc_inode_cache",
            680,
            3_304,
            "runtime.goexit [node_exporter]|(no frame pointer)",
            OPEN,
        ),
    ];
    Profile { stacks_period: Some(32), samples }
}

fn ages() -> Vec<AgeBucket> {
    let bounds = [0, 1, 3, 10, 30, 60, 180, 300, 600];
    let bucket = |at: usize| {
        let (from, to) = (bounds[at], bounds[at + 1]);
        let objects = (to - from) * 2_036;
        AgeBucket {
            at_least: Duration::from_secs(from),
            less_than: Some(Duration::from_secs(to)),
            objects,
            bytes: objects * 197,
        }
    };
    (0..bounds.len() - 1).map(bucket).collect()
}

/// As large as pages get: 10,000 stacks, 3,600 points of 20 lines, 1,000 rows.
pub(crate) fn large() -> Incident {
    let mut large = incident();
    let workers = (0..986_u64).map(|n| {
        let objects = 90_000 / (n + 1);
        Row {
            trend: Trend::Steady,
            bytes: objects * 640,
            ..row_of(&format!("worker-{n:03}"), objects, objects * 3, n as f64 / 100.0)
        }
    });
    large.snapshot.rows.extend(workers);
    large.snapshot.rows.sort_by_key(|row| std::cmp::Reverse(row.bytes));
    large.series = series(3_600, &large.snapshot);
    let mut noise = Noise(3);
    large.profile.samples.extend((0..10_000).map(|n| {
        let depth = 6 + (noise.next() * 24.0) as usize;
        let user =
            (0..depth).map(|level| format!("function_{level}_{} [service]", (noise.next() * 4.0) as u32));
        let user = user.collect::<Vec<_>>().join("|");
        let objects = 1 + (noise.next() * 900.0) as u64;
        Sample {
            frames: stack(&user, OPEN),
            comm: format!("worker-{:03}", n % 400).into_bytes(),
            objects,
            bytes: objects * 192,
            ..Sample::default()
        }
    }));
    large
}

/// What somebody calls a process who wants to run a script in the reader's browser.
pub(crate) const EVIL: &[u8] =
    b"</script><img src=x onerror=\"window.pwned=1\">&amp;'\"<!--\xe2\x80\xa8\xe2\x80\xae\x1b[31m{{script}}\xff";

/// Every text that is the host's is hostile.
pub(crate) fn hostile() -> Incident {
    let evil = String::from_utf8_lossy(EVIL).into_owned();
    let mut hostile = incident();
    let snapshot = &mut hostile.snapshot;
    snapshot.host = evil.clone();
    snapshot.kernel = evil.clone();
    snapshot.notes = vec![evil.clone()];
    snapshot.caches[0].name = evil.clone();
    snapshot.caches[0].aliases = vec![evil.clone()];
    let row = &mut snapshot.rows[0];
    row.keys = vec![EVIL.to_vec()];
    row.comm = Some(EVIL.to_vec());
    row.process = Some(crate::view::ProcessInfo {
        program: EVIL.to_vec(),
        command_line: EVIL.to_vec(),
        has_ended: true,
    });
    row.started_by[0].comms = vec![EVIL.to_vec(), EVIL.to_vec()];
    row.cgroups[0].path = Some(EVIL.to_vec());
    row.caches[0].name = evil.clone();
    row.stacks[0].frames = vec![evil.clone()];
    let name = &mut row.names[0];
    (name.parent, name.path, name.pattern) = (EVIL.to_vec(), Some(EVIL.to_vec()), EVIL.to_vec());
    (name.example, name.filesystem) = (EVIL.to_vec(), Some(EVIL.to_vec()));
    let name = name.clone();
    snapshot.directories[0].path = EVIL.to_vec();
    snapshot.directories[0].filesystem = Some(EVIL.to_vec());
    snapshot.directories[1].within = 0;
    for suspect in snapshot.verdict.iter_mut().flat_map(|verdict| &mut verdict.findings) {
        (suspect.keys, suspect.comm) = (vec![EVIL.to_vec()], Some(EVIL.to_vec()));
        suspect.started_by = vec![EVIL.to_vec()];
        (suspect.cache, suspect.place) = (evil.clone(), Some(name.clone()));
        for known in &mut suspect.known {
            (known.title, known.cause) = (evil.clone(), evil.clone());
            (known.now, known.references) =
                (vec![evil.clone()], vec![format!("javascript:{evil}"), format!("https://{evil}")]);
        }
    }
    hostile.series.caches[0].name = EVIL.to_vec();
    hostile.series.rows[0].name = EVIL.to_vec();
    hostile.series.marks[0].label = EVIL.to_vec();
    hostile.profile.samples[0].comm = EVIL.to_vec();
    hostile.profile.samples[0].frames = vec![evil.clone(), evil];
    hostile
}

/// A session that ended before it saw anything.
pub(crate) fn empty() -> Incident {
    Incident {
        snapshot: Snapshot { is_final: true, ages: Vec::new(), ..super::empty() },
        series: Series::default(),
        profile: Profile::default(),
    }
}
