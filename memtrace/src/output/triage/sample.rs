//! Pages for the tests of every output.

use std::time::{Duration, UNIX_EPOCH};

use crate::{
    output,
    procfs::{
        cgroup::{Limit, Version},
        dentry_state::DentryState,
    },
    triage::{
        advice::advise,
        filling::Filling,
        page::{DentryRow, NodeRow, Page, PartRow, Top},
        shortage::{FullCgroup, Shortage},
        signs::Signs,
        sum::Part,
        suspect::{Candidate, Charge, Kind, OTHER_KERNEL_PARTS},
        tracing::Tracing,
        window::{CacheRow, CgroupRow, Command, ProcessRow, TmpfsRow},
    },
    view::Snapshot,
};

const MIB: u64 = 1 << 20;

/// A host that is full of negative dentries, and of more each second.
pub fn dentries() -> Page {
    let tracing = traced();
    let candidates = vec![Candidate {
        charge: Some(Charge::Flood),
        claims: tracing.claims().unwrap_or_default(),
        caches: vec![
            cache("dentry", 39_000 * MIB, 12 * MIB as i64, 212_992_000, 60_200),
            CacheRow {
                aliases: vec!["a".to_owned()],
                ..cache("kmalloc-rcl-128", 31 * MIB, 2 << 20, 250_000, 15_000)
            },
        ],
        negative: Some((211_000_123, 59_880)),
        is_big: true,
        ..candidate(Kind::Slab(Filling::NegativeDentries), 39_400 * MIB, 14 * MIB as i64)
    }];
    Page { tracing, census: Some(output::sample::census::wreck()), ..page(candidates) }
}

fn traced() -> Tracing {
    let last = Snapshot { is_final: true, ..output::sample::verdict() };
    Tracing::done(vec!["all".to_owned()], true, last)
}

pub fn nothing() -> Page {
    let census = Some(output::sample::census::wreck());
    Page { signs: Signs::default(), nodes: Vec::new(), dentries: None, census, ..page(Vec::new()) }
}

/// Nothing but a leak of some KiB in a second.
pub fn slow_leak() -> Page {
    let last = Snapshot { is_final: true, ..output::sample::findings() };
    Page { tracing: Tracing::done(vec!["all".to_owned()], true, last), ..nothing() }
}

/// Somebody copies files, somebody else compiles, and a service has just been started.
pub fn at_work() -> Page {
    let harmless = |kind, growth: u64| Candidate {
        charge: None,
        caches: vec![cache("buffer_head", 157 * MIB, 28 << 20, 1_600_000, 284_934)],
        ..candidate(kind, 900 * MIB, growth as i64)
    };
    let files = Candidate {
        caches: vec![cache("filp", 12 * MIB, 9 << 20, 40_000, 36_000)],
        ..harmless(Kind::Slab(Filling::Files), 9 * MIB)
    };
    let rustc =
        Command { comm: b"rustc".to_vec(), processes: 3, pid: None, anon: 700 * MIB, growth: 387 << 20 };
    let candidates = vec![
        Candidate { commands: vec![rustc], caches: Vec::new(), ..harmless(Kind::Processes, 387 * MIB) },
        files,
        harmless(Kind::PageCache, 2700 * MIB),
    ];
    Page { tracing: traced(), nodes: Vec::new(), ..page(candidates) }
}

/// The host has little left, and a cgroup even less.
pub fn short() -> Page {
    let limit = Limit { bytes: 1024 * MIB, usage: 1010 * MIB, held: 990 * MIB };
    let full = FullCgroup { path: b"system.slice/nginx.service".to_vec(), limit };
    let java = Command {
        comm: b"java".to_vec(),
        processes: 1,
        pid: Some(4711),
        anon: 40_000 * MIB,
        growth: 40 << 20,
    };
    let cgroup =
        Candidate { cgroup: Some(full.clone()), grows: false, ..candidate(Kind::Cgroup, limit.usage, 0) };
    let candidates = vec![
        Candidate {
            commands: vec![java],
            is_big: true,
            ..candidate(Kind::Processes, 42_000 * MIB, 40 * MIB as i64)
        },
        cgroup,
    ];
    let short = Shortage { available: Some(0.03), stalled: Some(0.123), cgroups: vec![full] };
    Page { short, available: 2000 * MIB, ..page(candidates) }
}

/// Two leak at once, deep within a container; events were lost, and one page has to do.
pub fn much_to_say() -> Page {
    let tracing = Tracing::done(vec!["all".to_owned()], true, output::sample::findings());
    let mut claims = tracing.claims().unwrap_or_default();
    for claim in &mut claims {
        claim.started_by = vec![b"containerd-shim".to_vec(); 8];
        let place = claim.place.get_or_insert_with(|| output::sample::names("x", "<n>", 9, "1"));
        place.path = Some("/var/lib/docker/overlay2/0123456789abcdef".repeat(9).into_bytes());
    }
    let caches = ["filp", "sock_inode_cache", "UNIX", "kmalloc-1k"];
    let caches = caches.map(|name| cache(name, 900 * MIB, 10 << 20, 90_000, 40_000)).to_vec();
    let leak = Candidate {
        charge: Some(Charge::Leak),
        claims,
        caches,
        is_big: true,
        ..candidate(Kind::Slab(Filling::Sockets), 90_000 * MIB, 40 * MIB as i64)
    };
    let others = short().candidates.into_iter().chain(at_work().candidates);
    let notes = without_privileges().notes;
    Page { tracing, notes, ..page(std::iter::once(leak).chain(others).collect()) }
}

pub fn without_privileges() -> Page {
    Page {
        tracing: Tracing::failed(
            vec!["filp".to_owned()],
            "memtrace may not trace the kernel: it lacks CAP_BPF and CAP_PERFMON. Run it as root",
        ),
        caches: Top { rows: Vec::new(), of: 0, left_out: 0 },
        notes: vec![
            "/proc/slabinfo is readable by root only: run as root (sudo); the numbers of objects are unknown"
                .to_owned(),
        ],
        ..page(vec![candidate(Kind::Slab(Filling::Cache), 900 * MIB, 40 * MIB as i64)])
    }
}

/// Whatever can be hostile is.
pub fn hostile() -> Page {
    const EVIL: &[u8] = b"\x1b]0;x\x07\n`|_*<b>\xff";
    let name = String::from_utf8_lossy(EVIL).into_owned();
    let tmpfs = vec![TmpfsRow { at: EVIL.to_vec(), used: MIB, growth: 1 }];
    let commands = vec![Command { comm: EVIL.to_vec(), processes: 3, pid: None, anon: MIB, growth: -1 }];
    let caches = vec![CacheRow { name: name.clone(), ..cache("", 1, 1, 1, 1) }];
    let candidates = vec![
        Candidate { caches: caches.clone(), ..candidate(Kind::Slab(Filling::Cache), MIB, 9) },
        Candidate { commands, ..candidate(Kind::Processes, MIB, 9) },
        Candidate { tmpfs, ..candidate(Kind::Shared, MIB, 9) },
        Candidate {
            cgroup: Some(FullCgroup { path: EVIL.to_vec(), limit: Limit::default() }),
            ..candidate(Kind::Cgroup, MIB, 9)
        },
    ];
    let mut page = Page {
        host: name.clone(),
        kernel: name.clone(),
        caches: Top { rows: caches, of: 1, left_out: 0 },
        notes: vec![name.clone()],
        tracing: Tracing::failed(vec![name.clone()], name),
        census: Some(output::sample::census::hostile()),
        ..page(candidates)
    };
    page.processes.rows.truncate(1);
    page.processes.rows[0].comm = EVIL.to_vec();
    page.cgroups.rows.truncate(1);
    page.cgroups.rows[0].path = EVIL.to_vec();
    page
}

/// One page for each kind that there is.
pub fn all_kinds() -> Vec<Page> {
    let fillings = [
        Filling::NegativeDentries,
        Filling::Dentries,
        Filling::Inodes,
        Filling::Files,
        Filling::Sockets,
        Filling::Kmalloc,
        Filling::Cache,
    ];
    let kinds = [Kind::Processes, Kind::Shared, Kind::PageCache].into_iter();
    let kinds = kinds.chain(fillings.map(Kind::Slab)).chain(OTHER_KERNEL_PARTS.map(Kind::Kernel));
    let kinds = kinds.chain([Kind::Cgroup]);
    let of = |kind| {
        let commands = match kind {
            Kind::Processes => vec![Command {
                comm: b"java".to_vec(),
                processes: 1,
                pid: Some(4711),
                anon: 900 * MIB,
                growth: 40 * MIB as i64,
            }],
            _ => Vec::new(),
        };
        let caches = match kind {
            Kind::Slab(_) => vec![cache("ext4_inode_cache", 900 * MIB, 40 * MIB as i64, 900_000, 40_000)],
            _ => Vec::new(),
        };
        let name = match kind {
            Kind::Slab(Filling::Kmalloc) => "kmalloc-512",
            Kind::Slab(Filling::Cache) => "key_jar",
            _ => "ext4_inode_cache",
        };
        let caches = caches
            .into_iter()
            .map(|cache| CacheRow { name: name.to_owned(), reclaimable: None, ..cache })
            .collect();
        let limit = Limit { bytes: 1024 * MIB, usage: 1010 * MIB, held: 990 * MIB };
        let cgroup = (kind == Kind::Cgroup).then(|| FullCgroup { path: b"a/b".to_vec(), limit });
        let growth = if cgroup.is_some() { 0 } else { 40 * MIB as i64 };
        page(vec![Candidate { commands, caches, cgroup, ..candidate(kind, 900 * MIB, growth) }])
    };
    kinds.map(of).collect()
}

pub fn all() -> Vec<Page> {
    let mut pages = vec![
        dentries(),
        nothing(),
        slow_leak(),
        at_work(),
        short(),
        much_to_say(),
        without_privileges(),
        hostile(),
    ];
    pages.extend(all_kinds());
    pages
}

fn candidate(kind: Kind, bytes: u64, growth: i64) -> Candidate {
    Candidate {
        kind,
        charge: Some(Charge::Short),
        bytes,
        growth,
        usual_growth: 8 * MIB,
        usual_bytes: Some(13_107 * MIB),
        grows: growth > 0,
        goes_on: kind != Kind::PageCache,
        is_big: false,
        caches: Vec::new(),
        claims: Vec::new(),
        commands: Vec::new(),
        tmpfs: Vec::new(),
        negative: None,
        cgroup: None,
    }
}

fn cache(name: &str, bytes: u64, growth: i64, objects: u64, objects_growth: i64) -> CacheRow {
    CacheRow {
        name: name.to_owned(),
        aliases: Vec::new(),
        reclaimable: Some(true),
        bytes,
        growth,
        objects,
        objects_growth,
        ..CacheRow::default()
    }
}

fn page(candidates: Vec<Candidate>) -> Page {
    let process = |comm: &str, pid, mib: u64, growth: i64| ProcessRow {
        pid,
        comm: comm.into(),
        resident: mib * MIB,
        growth: growth << 20,
        anon: mib * MIB / 2,
        proportional: (mib > 100).then_some(mib * MIB / 3 * 2),
        proportional_growth: (mib > 100).then_some(growth << 19),
    };
    let cgroup = |path: &str, mib: u64, slab: Option<u64>| CgroupRow {
        path: path.into(),
        memory: mib * MIB,
        growth: (mib as i64 - 500) << 18,
        slab: slab.map(|mib| mib * MIB),
        slab_growth: slab.map(|mib| (mib << 12).cast_signed()),
    };
    let node = |number, free: u64| NodeRow {
        number,
        total: 32_768 * MIB,
        free: free * MIB,
        processes: 9000 * MIB,
        files: 700 * MIB,
        shared: 12 * MIB,
        slab: 19_000 * MIB,
    };
    let bytes: [i64; Part::ALL.len()] = [9000, 14_000, 500, 1500, 39_000, 400, 60, 20, 30, 40, 0, 0, 0, 986];
    let parts = Part::ALL.iter().zip(bytes).map(|(&part, mib)| PartRow {
        part,
        bytes: mib << 20,
        growth: if mib > 0 { (mib - 500) << 10 } else { 0 },
    });
    Page {
        host: "web-03".to_owned(),
        kernel: "6.12.57+deb12-amd64".to_owned(),
        time: UNIX_EPOCH + Duration::from_secs(1_764_000_000),
        length: Duration::from_millis(30_123),
        total: 65_536 * MIB,
        available: 50_000 * MIB,
        advice: advise(candidates.iter().find(|candidate| candidate.charge.is_some())),
        candidates,
        tracing: Tracing::failed(vec!["all".to_owned()], "memtrace may not trace the kernel"),
        short: Shortage::default(),
        census: None,
        parts: parts.collect(),
        nodes: vec![node(0, 8000), node(1, 1000)],
        signs: Signs {
            stalled: Some(0.123),
            all_stalled: Some(0.004),
            direct_reclaims: 1234,
            reclaimed_pages: 700_000,
            refaults: 90_000,
            swapped_in_pages: 300,
            swapped_out_pages: 9000,
            oom_kills: 1,
            oom_kills_ever: 3,
            large_blocks: Some(0.012),
            compactions: 7,
        },
        dentries: Some(DentryRow {
            now: DentryState { all: 212_992_000, unused: 212_000_000, negative: 211_000_123 },
            growth: 60_200,
            negative_growth: 59_880,
        }),
        processes: Top {
            rows: vec![process("java", 4711, 9000, -3), process("curl", 48_112, 12, 12)],
            of: 312,
            left_out: 0,
        },
        cgroups: Top {
            rows: vec![
                cgroup("system.slice/nginx.service", 41_000, Some(38_900)),
                cgroup(
                    "kubepods.slice/kubepods-besteffort.slice/cri-containerd-0123456789abcdef0123456789abcdef.scope",
                    300,
                    Some(1),
                ),
                cgroup("system.slice", 20, None),
            ],
            of: 4000,
            left_out: 96_000,
        },
        cgroup_version: Version::V2,
        caches: Top {
            rows: vec![
                cache("dentry", 39_000 * MIB, 12 << 20, 212_992_000, 60_200),
                cache("filp", 30 * MIB, -4096, 122_880, -16),
            ],
            of: 233,
            left_out: 0,
        },
        notes: Vec::new(),
    }
}
