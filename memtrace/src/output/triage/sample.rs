//! Pages for the tests of every output.

use std::time::{Duration, UNIX_EPOCH};

use crate::{
    output,
    procfs::{cgroup::Version, dentry_state::DentryState},
    triage::tracing::Tracing,
    triage::{
        advice::advise,
        page::{DentryRow, NodeRow, Page, PartRow, Signs, Top},
        sum::Part,
        suspect::{Filling, Finding, Kind, OTHER_KERNEL_PARTS},
        window::{CacheRow, CgroupRow, Command, ProcessRow, TmpfsRow},
    },
    view::Snapshot,
};

const MIB: u64 = 1 << 20;

/// A host that is full of negative dentries, and of more each second.
pub fn dentries() -> Page {
    let findings = vec![Finding {
        caches: vec![
            cache("dentry", 39_000 * MIB, 12 * MIB as i64, 212_992_000, 60_200),
            CacheRow {
                aliases: vec!["a".to_owned()],
                ..cache("kmalloc-rcl-128", 31 * MIB, 2 << 20, 250_000, 15_000)
            },
        ],
        negative: Some((211_000_123, 59_880)),
        is_big: true,
        ..finding(Kind::Slab(Filling::NegativeDentries), 39_400 * MIB, 14 * MIB as i64)
    }];
    Page {
        tracing: Tracing::Done {
            caches: vec!["dentry".to_owned(), "kmalloc-rcl-128".to_owned()],
            last: Box::new(Snapshot { is_final: true, ..output::sample::verdict() }),
        },
        ..page(findings)
    }
}

pub fn nothing() -> Page {
    Page { signs: Signs::default(), nodes: Vec::new(), dentries: None, ..page(Vec::new()) }
}

pub fn without_privileges() -> Page {
    Page {
        tracing: Tracing::Failed {
            caches: vec!["filp".to_owned()],
            why: "memtrace may not trace the kernel: it lacks CAP_BPF and CAP_PERFMON. Run it as root"
                .to_owned(),
        },
        caches: Top { rows: Vec::new(), of: 0, left_out: 0 },
        notes: vec![
            "/proc/slabinfo is readable by root only: run as root (sudo); the numbers of objects are unknown"
                .to_owned(),
        ],
        ..page(vec![finding(Kind::Slab(Filling::Cache), 900 * MIB, 40 * MIB as i64)])
    }
}

/// Whatever can be hostile is.
pub fn hostile() -> Page {
    const EVIL: &[u8] = b"\x1b]0;x\x07\n`|_*<b>\xff";
    let name = String::from_utf8_lossy(EVIL).into_owned();
    let tmpfs = vec![TmpfsRow { at: EVIL.to_vec(), used: MIB, growth: 1 }];
    let commands = vec![Command { comm: EVIL.to_vec(), processes: 3, pid: None, anon: MIB, growth: -1 }];
    let caches = vec![CacheRow { name: name.clone(), ..cache("", 1, 1, 1, 1) }];
    let findings = vec![
        Finding { caches: caches.clone(), ..finding(Kind::Slab(Filling::Cache), MIB, 9) },
        Finding { commands, ..finding(Kind::Processes, MIB, 9) },
        Finding { tmpfs, ..finding(Kind::Shared, MIB, 9) },
    ];
    let mut page = Page {
        host: name.clone(),
        kernel: name.clone(),
        caches: Top { rows: caches, of: 1, left_out: 0 },
        notes: vec![name.clone()],
        tracing: Tracing::Failed { caches: vec![name.clone()], why: name },
        ..page(findings)
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
        page(vec![Finding { commands, caches, ..finding(kind, 900 * MIB, 40 * MIB as i64) }])
    };
    kinds.map(of).collect()
}

pub fn all() -> Vec<Page> {
    let mut pages = vec![dentries(), nothing(), without_privileges(), hostile()];
    pages.extend(all_kinds());
    pages
}

fn finding(kind: Kind, bytes: u64, growth: i64) -> Finding {
    Finding {
        kind,
        bytes,
        growth,
        usual_growth: 8 * MIB,
        usual_bytes: Some(13_107 * MIB),
        grows: growth > 0,
        is_big: false,
        caches: Vec::new(),
        commands: Vec::new(),
        tmpfs: Vec::new(),
        negative: None,
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
    }
}

fn page(findings: Vec<Finding>) -> Page {
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
        advice: advise(findings.first()),
        findings,
        tracing: Tracing::NotNeeded,
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
