use std::{collections::HashMap, time::Instant};

use proptest::prelude::*;

use super::*;
use crate::{
    procfs::{
        dentry_state::DentryState,
        meminfo::Meminfo,
        process::{
            ProcessId,
            memory::{ProcessList, ProcessMemory},
        },
        slab::{Counts, SlabCache, SlabCaches},
        vmstat::Vmstat,
    },
    triage::{
        sample::{Glance, Sample, page_size},
        sum::Sum,
    },
};

const GIB: u64 = 1 << 30;

/// A host of 64 GiB at a moment, in MiB.
#[derive(Clone, Debug)]
struct Checkpoint {
    anon: u64,
    shmem: u64,
    cached: u64,
    reclaimable: u64,
    unreclaimable: u64,
    page_tables: u64,
    available: u64,
    negative: u64,
    /// Name, MiB, objects.
    caches: Vec<(&'static str, u64, u64)>,
    /// Name, id, MiB.
    processes: Vec<(&'static str, u32, u64)>,
}

const USUAL: Checkpoint = Checkpoint {
    anon: 8000,
    shmem: 500,
    cached: 20_000,
    reclaimable: 900,
    unreclaimable: 400,
    page_tables: 50,
    available: 50_000,
    negative: 10_000,
    caches: Vec::new(),
    processes: Vec::new(),
};

impl Checkpoint {
    fn glance(&self) -> Glance {
        let of_slab = self.reclaimable + self.unreclaimable;
        let free = 65_536 - self.anon - self.cached - of_slab - self.page_tables;
        let lines = [
            ("MemTotal", 65_536),
            ("MemFree", free),
            ("MemAvailable", self.available),
            ("AnonPages", self.anon),
            ("Shmem", self.shmem),
            ("Cached", self.cached),
            ("SReclaimable", self.reclaimable),
            ("SUnreclaim", self.unreclaimable),
            ("PageTables", self.page_tables),
        ];
        let text: String = lines.map(|(key, mib)| format!("{key}: {} kB\n", mib << 10)).concat();
        let meminfo = Meminfo::parse(text.as_bytes());
        Glance { at: Instant::now(), sum: Sum::new(&meminfo, &Vmstat::default(), 0, page_size()), meminfo }
    }

    fn sample(&self) -> Sample {
        let cache = |&(name, mib, objects): &(&str, u64, u64)| SlabCache {
            name: name.to_owned(),
            name_is_certain: true,
            counts: Some(Counts {
                active_objects: objects,
                pages: mib * MIB / page_size(),
                ..Counts::default()
            }),
            ..SlabCache::default()
        };
        let process = |&(comm, pid, mib): &(&str, u32, u64)| {
            let process = ProcessMemory { comm: comm.into(), resident: mib * MIB, anon: mib * MIB };
            (ProcessId { tgid: pid, started: 1 }, process)
        };
        let mut caches: Vec<_> = self.caches.iter().map(cache).collect();
        caches.sort_by(|a, b| a.name.cmp(&b.name));
        Sample {
            glance: self.glance(),
            vmstat: Vmstat::default(),
            nodes: Vec::new(),
            pressure: None,
            free_blocks: None,
            dentries: Some(DentryState { all: 0, unused: 0, negative: self.negative }),
            tmpfs: Vec::new(),
            processes: ProcessList { list: self.processes.iter().map(process).collect(), left_out: 0 },
            cgroups: Default::default(),
            caches: Ok(SlabCaches { caches, missing: None }),
        }
    }
}

fn window(moments: &[Checkpoint]) -> Window {
    let [first, between @ .., last] = moments else { panic!("a window has two ends") };
    Window {
        before: first.sample(),
        between: between.iter().map(Checkpoint::glance).collect(),
        after: last.sample(),
        own_pid: 7,
        proportional: HashMap::new(),
    }
}

/// What is found when the host goes from one moment to another.
fn found(before: &Checkpoint, after: &Checkpoint) -> Vec<Finding> {
    judge(&window(&[before.clone(), after.clone()]))
}

fn kinds(findings: &[Finding]) -> Vec<Kind> {
    findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_host_at_work_has_no_suspect() {
    let after =
        Checkpoint { anon: 8080, shmem: 510, cached: 20_800, reclaimable: 905, unreclaimable: 401, ..USUAL };
    assert_eq!(found(&USUAL, &USUAL), []);
    assert_eq!(found(&USUAL, &after), []);
}

#[test]
fn what_goes_to_and_fro_does_not_grow() {
    let high = Checkpoint { anon: 12_000, reclaimable: 1200, ..USUAL };
    let higher = Checkpoint { anon: 8200, reclaimable: 920, ..USUAL };
    assert_eq!(judge(&window(&[USUAL, high.clone(), USUAL, high, higher.clone()])), []);
    assert_eq!(kinds(&found(&USUAL, &higher)), [Kind::Slab(Filling::Cache), Kind::Processes]);
}

#[test]
fn the_command_that_grows_is_named_with_all_its_processes() {
    let before = Checkpoint {
        processes: vec![("java", 1, 900), ("php", 2, 10), ("php", 3, 10), ("memtrace", 7, 600)],
        ..USUAL
    };
    let processes =
        vec![("java", 1, 920), ("php", 3, 210), ("php", 4, 210), ("php", 5, 5), ("memtrace", 7, 600)];
    let after = Checkpoint { anon: 8400, processes, ..USUAL };
    let findings = found(&before, &after);
    assert_eq!(kinds(&findings), [Kind::Processes]);
    let php = &findings[0].commands[0];
    assert_eq!((&php.comm[..], php.processes, php.pid), (&b"php"[..], 3, None));
    assert_eq!((php.anon, php.growth), (425 * MIB, 405 * MIB as i64));
    assert_eq!(findings[0].commands.len(), 1);
}

#[test]
fn memtraces_own_memory_is_no_finding() {
    let before = Checkpoint { processes: vec![("memtrace", 7, 10)], ..USUAL };
    let after = Checkpoint { anon: 8300, processes: vec![("memtrace", 7, 310)], ..USUAL };
    assert_eq!(found(&before, &after), []);
}

#[test]
fn a_big_command_is_a_finding_where_memory_is_scarce() {
    let processes = vec![("java", 1, 30_000), ("sh", 2, 1)];
    let rich = Checkpoint { anon: 31_000, processes: processes.clone(), ..USUAL };
    let poor = Checkpoint { available: 5000, ..rich.clone() };
    assert_eq!(found(&rich, &rich), []);
    let findings = found(&poor, &poor);
    assert_eq!(kinds(&findings), [Kind::Processes]);
    assert!(findings[0].is_big && !findings[0].grows);
    assert_eq!(findings[0].commands[0].pid, Some(1));
}

#[test]
fn tmpfs_is_not_taken_for_page_cache_though_cached_has_it() {
    let after = Checkpoint { shmem: 900, cached: 20_400, ..USUAL };
    assert_eq!(kinds(&found(&USUAL, &after)), [Kind::Shared]);
}

#[test]
fn page_cache_is_the_suspect_only_where_nothing_else_is() {
    let reads = Checkpoint { cached: 25_000, ..USUAL };
    assert_eq!(kinds(&found(&USUAL, &reads)), [Kind::PageCache]);
    let leaks_too = Checkpoint { unreclaimable: 410, ..reads };
    assert_eq!(kinds(&found(&USUAL, &leaks_too)), [Kind::Slab(Filling::Cache), Kind::PageCache]);
}

#[test]
fn what_one_kind_of_slab_gives_back_does_not_hide_that_the_other_grows() {
    let after = Checkpoint { reclaimable: 500, unreclaimable: 420, ..USUAL };
    let findings = found(&USUAL, &after);
    assert_eq!((kinds(&findings), findings[0].growth), (vec![Kind::Slab(Filling::Cache)], 20 * MIB as i64));
}

#[test]
fn a_slab_that_is_big_is_a_finding_though_it_stands_still() {
    let dentries = vec![("dentry", 34_000, 180_000_000), ("filp", 10, 40_000)];
    let big =
        Checkpoint { reclaimable: 35_000, cached: 9000, negative: 179_000_000, caches: dentries, ..USUAL };
    let findings = found(&big, &big);
    assert_eq!(kinds(&findings), [Kind::Slab(Filling::NegativeDentries)]);
    assert!(findings[0].is_big && !findings[0].grows);
    assert_eq!(findings[0].caches.len(), 1);
    assert_eq!(findings[0].negative, Some((179_000_000, 0)));
}

#[test]
fn the_incident_is_found_in_half_a_minute() {
    // 2,000 names a second of 192 bytes on 64 GiB.
    let before = Checkpoint { caches: vec![("dentry", 100, 500_000)], ..USUAL };
    let after =
        Checkpoint { reclaimable: 911, negative: 70_000, caches: vec![("dentry", 111, 560_000)], ..USUAL };
    assert_eq!(kinds(&found(&before, &after)), [Kind::Slab(Filling::NegativeDentries)]);
}

#[test]
fn page_tables_and_their_like_are_named() {
    let after = Checkpoint { page_tables: 200, ..USUAL };
    assert_eq!(kinds(&found(&USUAL, &after)), [Kind::Kernel(Part::PageTables)]);
}

/// What fills the slab when caches grow like this: name, MiB, objects.
#[track_caller]
fn check_filling(grown: &[(&'static str, u64, u64)], negative: u64, expect: Filling) {
    let caches = |grown: &[(&'static str, u64, u64)]| {
        grown.iter().map(|&(name, mib, objects)| (name, 10 + mib, 10_000 + objects)).collect()
    };
    let nothing: Vec<_> = grown.iter().map(|&(name, ..)| (name, 0, 0)).collect();
    let before = Checkpoint { caches: caches(&nothing), ..USUAL };
    let mib: u64 = grown.iter().map(|(_, mib, _)| mib).sum();
    let (caches, negative) = (caches(grown), USUAL.negative + negative);
    let after = Checkpoint { caches, negative, unreclaimable: USUAL.unreclaimable + mib, ..USUAL };
    assert_eq!(kinds(&found(&before, &after)), [Kind::Slab(expect)], "{grown:?}");
}

#[test]
fn each_filling_is_told_from_the_others() {
    let dentries = [("dentry", 20, 100_000), ("kmalloc-192", 1, 5000)];
    check_filling(&dentries, 99_000, Filling::NegativeDentries);
    check_filling(&dentries, 10, Filling::Dentries);
    check_filling(
        &[("dentry", 20, 100_000), ("kmalloc-rcl-256", 25, 100_000)],
        90_000,
        Filling::NegativeDentries,
    );
    // Somebody listed the open files meanwhile.
    let listed = [("proc_inode_cache", 65, 91_700), ("filp", 19, 98_000), ("dentry", 15, 91_600)];
    check_filling(&listed, 0, Filling::Files);
    // And a security module keeps something for each inode.
    let with_modules = [&listed[..], &[("lsm_inode_cache", 7, 91_700)]].concat();
    check_filling(&with_modules, 0, Filling::Files);
    check_filling(
        &[("proc_inode_cache", 65, 91_700), ("filp", 1, 500), ("dentry", 15, 91_600)],
        0,
        Filling::Inodes,
    );
    check_filling(&[("filp", 25, 100_000), ("kmalloc-512k", 2, 4)], 0, Filling::Files);
    // Files made and opened.
    check_filling(&[("filp", 25, 100_000), ("dentry", 1, 5000)], 0, Filling::Files);
    let sockets = [
        ("UNIX-STREAM", 50, 50_000),
        ("sock_inode_cache", 40, 50_000),
        ("filp", 13, 50_000),
        ("dentry", 10, 50_000),
    ];
    check_filling(&sockets, 0, Filling::Sockets);
    let unmerged = [
        ("sock_inode_cache", 40, 50_000),
        ("kmalloc-1k", 40, 50_000),
        ("filp", 13, 50_000),
        ("dentry", 10, 50_000),
    ];
    check_filling(&unmerged, 0, Filling::Sockets);
    check_filling(&[("ext4_inode_cache", 90, 80_000), ("dentry", 16, 80_000)], 0, Filling::Inodes);
    // Somebody walks through /proc meanwhile.
    let beside = [
        ("UNIX", 40, 50_000),
        ("sock_inode_cache", 40, 50_000),
        ("filp", 13, 50_000),
        ("dentry", 26, 130_000),
        ("proc_inode_cache", 50, 80_000),
    ];
    check_filling(&beside, 0, Filling::Sockets);
    let beside = [("dentry", 40, 200_000), ("proc_inode_cache", 20, 40_000)];
    check_filling(&beside, 150_000, Filling::NegativeDentries);
    check_filling(&[("kmalloc-cg-64", 30, 500_000), ("dentry", 1, 5000)], 0, Filling::Kmalloc);
    check_filling(&[("msg_msg-512", 30, 60_000)], 0, Filling::Kmalloc);
    check_filling(&[("key_jar", 30, 60_000), ("kmalloc-32", 2, 60_000)], 0, Filling::Cache);
}

#[test]
fn what_is_usual_depends_on_the_host() {
    assert_eq!(usual_slab_growth(GIB), 2 * MIB);
    assert_eq!(usual_slab_growth(64 * GIB), 8 * MIB);
    assert!(is_much_slab(13 * GIB, 64 * GIB) && !is_much_slab(12 * GIB, 64 * GIB));
}

fn any_moment() -> impl Strategy<Value = Checkpoint> {
    (any::<[u16; 8]>(), prop::collection::vec((0_u64..3000, any::<u32>()), 3)).prop_map(|(values, caches)| {
        let [anon, shmem, cached, reclaimable, unreclaimable, page_tables, available, negative] =
            values.map(|v| u64::from(v) / 8);
        let names = ["dentry", "filp", "sock_inode_cache"];
        let caches =
            names.into_iter().zip(caches).map(|(name, (mib, objects))| (name, mib, u64::from(objects)));
        Checkpoint {
            anon,
            shmem,
            cached,
            reclaimable,
            unreclaimable,
            page_tables,
            available,
            negative,
            caches: caches.collect(),
            processes: vec![("a", 1, anon)],
        }
    })
}

proptest! {
    #[test]
    fn a_finding_has_a_reason_and_none_comes_twice(moments in prop::collection::vec(any_moment(), 2..6)) {
        let findings = judge(&window(&moments));
        for finding in &findings {
            prop_assert!(finding.grows || finding.is_big);
            prop_assert!(!finding.grows || finding.growth > 0 && finding.growth.unsigned_abs() >= finding.usual_growth);
            prop_assert!(!finding.is_big || finding.usual_bytes.is_some_and(|usual| finding.bytes >= usual));
        }
        let unique: HashMap<_, _> = findings.iter().map(|finding| (format!("{:?}", finding.kind), ())).collect();
        prop_assert_eq!(unique.len(), findings.len());
        prop_assert!(findings.iter().rev().skip(1).all(|finding| finding.kind != Kind::PageCache));
    }
}
