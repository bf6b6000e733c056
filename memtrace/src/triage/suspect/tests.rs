use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::*;
use crate::{
    output,
    procfs::{
        cgroup::{CgroupMemory, Limit},
        dentry_state::DentryState,
        meminfo::Meminfo,
        pressure::{Pressure, Stall},
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
        window::Look,
    },
    view::{Snapshot, Verdict},
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
    fn glance(&self, at: Instant) -> Glance {
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
        let dentries =
            self.caches.iter().find(|(name, ..)| *name == "dentry").map_or(self.negative, |dentry| dentry.2);
        let dentries = Some(DentryState { all: dentries, unused: 0, negative: self.negative });
        Glance { at, sum: Sum::new(&meminfo, &Vmstat::default(), 0, page_size()), meminfo, dentries }
    }

    fn caches(&self) -> SlabCaches {
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
        let mut caches: Vec<_> = self.caches.iter().map(cache).collect();
        caches.sort_by(|a, b| a.name.cmp(&b.name));
        SlabCaches { caches, missing: None }
    }

    fn sample(&self, at: Instant) -> Sample {
        let process = |&(comm, pid, mib): &(&str, u32, u64)| {
            let process = ProcessMemory { comm: comm.into(), resident: mib * MIB, anon: mib * MIB };
            (ProcessId { tgid: pid, started: 1 }, process)
        };
        Sample {
            glance: self.glance(at),
            vmstat: Vmstat::default(),
            nodes: Vec::new(),
            pressure: None,
            free_blocks: None,
            tmpfs: Vec::new(),
            processes: ProcessList { list: self.processes.iter().map(process).collect(), left_out: 0 },
            cgroups: Default::default(),
            caches: Ok(self.caches()),
        }
    }
}

/// Ten seconds from one moment to the next.
fn window(moments: &[Checkpoint]) -> Window {
    let start = Instant::now();
    let moments: Vec<_> =
        moments.iter().zip(0..).map(|(of, n)| (of, start + Duration::from_secs(n * 10))).collect();
    let [(first, start), between @ .., (last, end)] = &moments[..] else { panic!("a window has two ends") };
    Window {
        before: first.sample(*start),
        between: between.iter().map(|(of, at)| of.glance(*at)).collect(),
        looks: between.iter().map(|(of, at)| Look { at: *at, caches: of.caches() }).collect(),
        after: last.sample(*end),
        own_pid: 7,
        proportional: HashMap::new(),
    }
}

fn not_traced() -> Tracing {
    Tracing::failed(Vec::new(), "no root")
}

fn traced(last: Snapshot) -> Tracing {
    Tracing::done(vec!["all".to_owned()], true, last)
}

/// What is found when the host goes from one moment to another.
fn found(before: &Checkpoint, after: &Checkpoint) -> Vec<Candidate> {
    judge(&window(&[before.clone(), after.clone()]), &not_traced()).1
}

/// Who is accused of what, when the host goes through these moments.
fn accused(moments: &[Checkpoint], tracing: &Tracing) -> Option<(Kind, Charge)> {
    let (_, candidates) = judge(&window(moments), tracing);
    candidates.first().and_then(|first| Some((first.kind, first.charge?)))
}

fn kinds(candidates: &[Candidate]) -> Vec<Kind> {
    candidates.iter().map(|candidate| candidate.kind).collect()
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
    let high = Checkpoint { anon: 12_000, unreclaimable: 700, ..USUAL };
    let higher = Checkpoint { anon: 8200, unreclaimable: 420, ..USUAL };
    assert_eq!(judge(&window(&[USUAL, high.clone(), USUAL, high, higher.clone()]), &not_traced()).1, []);
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
    let candidates = found(&before, &after);
    assert_eq!(kinds(&candidates), [Kind::Processes]);
    let php = &candidates[0].commands[0];
    assert_eq!((&php.comm[..], php.processes, php.pid), (&b"php"[..], 3, None));
    assert_eq!((php.anon, php.growth), (425 * MIB, 405 * MIB as i64));
    assert_eq!(candidates[0].commands.len(), 1);
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
    let candidates = found(&poor, &poor);
    assert_eq!(kinds(&candidates), [Kind::Processes]);
    assert!(candidates[0].is_big && !candidates[0].grows);
    assert_eq!((candidates[0].commands[0].pid, candidates[0].charge), (Some(1), Some(Charge::Short)));
}

#[test]
fn tmpfs_is_not_taken_for_page_cache_though_cached_has_it() {
    let after = Checkpoint { shmem: 900, cached: 20_400, ..USUAL };
    assert_eq!(kinds(&found(&USUAL, &after)), [Kind::Shared]);
}

#[test]
fn page_cache_comes_after_all_others_and_does_no_harm() {
    let reads = Checkpoint { cached: 25_000, ..USUAL };
    assert_eq!(kinds(&found(&USUAL, &reads)), [Kind::PageCache]);
    assert_eq!(accused(&[USUAL, reads.clone()], &not_traced()), None);
    let leaks_too = Checkpoint { unreclaimable: 410, ..reads };
    assert_eq!(kinds(&found(&USUAL, &leaks_too)), [Kind::Slab(Filling::Cache), Kind::PageCache]);
}

#[test]
fn what_one_kind_of_slab_gives_back_does_not_hide_that_the_other_grows() {
    let after = Checkpoint { reclaimable: 500, unreclaimable: 420, ..USUAL };
    let candidates = found(&USUAL, &after);
    assert_eq!(
        (kinds(&candidates), candidates[0].growth),
        (vec![Kind::Slab(Filling::Cache)], 20 * MIB as i64)
    );
}

#[test]
fn a_slab_that_is_big_is_a_finding_though_it_stands_still() {
    let dentries = vec![("dentry", 34_000, 180_000_000), ("filp", 10, 40_000)];
    let big =
        Checkpoint { reclaimable: 35_000, cached: 9000, negative: 179_000_000, caches: dentries, ..USUAL };
    let candidates = found(&big, &big);
    assert_eq!(kinds(&candidates), [Kind::Slab(Filling::NegativeDentries)]);
    assert!(candidates[0].is_big && !candidates[0].grows);
    assert_eq!(candidates[0].caches.len(), 1);
    assert_eq!((candidates[0].negative, candidates[0].charge), (Some((179_000_000, 0)), None));
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

/// What is found when caches grow like this: name, MiB, objects.
#[track_caller]
fn check_kind(grown: &[(&'static str, u64, u64)], negative: u64, expect: Kind) {
    let caches = |grown: &[(&'static str, u64, u64)]| {
        grown.iter().map(|&(name, mib, objects)| (name, 10 + mib, 10_000 + objects)).collect()
    };
    let nothing: Vec<_> = grown.iter().map(|&(name, ..)| (name, 0, 0)).collect();
    let before = Checkpoint { caches: caches(&nothing), ..USUAL };
    let (caches, negative) = (caches(grown), USUAL.negative + negative);
    let after = Checkpoint { caches, negative, ..USUAL };
    assert_eq!(kinds(&found(&before, &after)).first(), Some(&expect), "{grown:?}");
}

#[track_caller]
fn check_filling(grown: &[(&'static str, u64, u64)], negative: u64, expect: Filling) {
    check_kind(grown, negative, Kind::Slab(expect));
}

#[test]
fn each_filling_is_told_from_the_others() {
    let dentries = [("dentry", 20, 100_000), ("kmalloc-192", 1, 5000)];
    check_filling(&dentries, 99_000, Filling::NegativeDentries);
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
fn bookkeeping_goes_with_the_page_cache() {
    for grown in [
        &[("buffer_head", 45, 400_000), ("extent_status", 2, 5000)][..],
        &[("ext4_inode_cache", 90, 80_000), ("dentry", 16, 80_000)],
        &[("proc_inode_cache", 65, 91_700), ("filp", 1, 500), ("dentry", 15, 91_600)],
        &[("dentry", 20, 100_000), ("kmalloc-192", 1, 5000)],
    ] {
        check_kind(grown, 10, Kind::PageCache);
    }
}

fn with_caches(caches: &[(&'static str, u64, u64)]) -> Checkpoint {
    Checkpoint { caches: caches.to_vec(), ..USUAL }
}

/// Without a trace: a leak goes on throughout, and uses up what is available within a week.
#[test]
fn what_grows_throughout_leaks_and_what_comes_at_once_does_not() {
    let keys = |mib| with_caches(&[("key_jar", mib, mib * 4000)]);
    let leak = [10, 20, 30, 40].map(keys);
    assert_eq!(accused(&leak, &not_traced()), Some((Kind::Slab(Filling::Cache), Charge::Leak)));
    let burst = [10, 40, 40, 40].map(keys);
    assert_eq!(accused(&burst, &not_traced()), None);
    assert_eq!(kinds(&judge(&window(&burst), &not_traced()).1), [Kind::Slab(Filling::Cache)]);
    // On an hour's window, 30 MiB are nothing.
    let mut slow = window(&leak);
    slow.after.glance.at += Duration::from_secs(400 * 24 * 3600);
    assert!(judge(&slow, &not_traced()).1.iter().all(|candidate| candidate.charge.is_none()));
    let names = |negative: u64| Checkpoint {
        negative,
        ..with_caches(&[("dentry", 10 + negative / 5000, 20_000 + negative)])
    };
    let flood = [0, 50_000, 100_000, 150_000].map(names);
    assert_eq!(accused(&flood, &not_traced()), Some((Kind::Slab(Filling::NegativeDentries), Charge::Flood)));
}

/// 30 s of `dd`: page cache, the heads of its buffers, and the arrays of their slabs.
#[test]
fn who_writes_a_file_is_not_accused() {
    let writes = |n: u64| Checkpoint {
        cached: 20_000 + 800 * n,
        reclaimable: 900 + 30 * n,
        unreclaimable: 400 + 3 * n,
        ..with_caches(&[("buffer_head", 100 + 30 * n, 1_000_000 + 280_000 * n)])
    };
    let moments = [0, 1, 2, 3].map(writes);
    let candidates = judge(&window(&moments), &not_traced()).1;
    assert_eq!((kinds(&candidates), candidates[0].charge), (vec![Kind::PageCache], None));
    assert_eq!((candidates[0].growth, candidates[0].caches.len()), (2490 * MIB as i64, 1));
    // Not even where nobody knows which caches there are.
    let unknown = moments.map(|moment| Checkpoint { caches: Vec::new(), ..moment });
    assert_eq!(accused(&unknown, &not_traced()), None);
    // Where memory is short, it has a part in it.
    let short = writes(3);
    let short = Checkpoint { available: 3000, ..short };
    assert_eq!(accused(&[writes(0), short], &not_traced()), Some((Kind::PageCache, Charge::Short)));
}

#[test]
fn the_trace_decides_where_there_is_one() {
    let names = |negative: u64| Checkpoint {
        negative,
        ..with_caches(&[
            ("dentry", 100 + negative / 5000, 20_000 + negative),
            ("key_jar", 10 + negative / 5000, 100),
        ])
    };
    let moments = [0, 50_000, 100_000, 150_000].map(names);
    let found = judge(&window(&moments), &traced(output::sample::verdict())).1;
    assert_eq!(
        (found[0].kind, found[0].charge),
        (Kind::Slab(Filling::NegativeDentries), Some(Charge::Flood))
    );
    assert_eq!((&*found[0].claims[0].comm, found[0].caches.len()), (&b"curl"[..], 1));
    // It saw all of it, and nobody who leaks.
    let nobody = Snapshot { verdict: Some(Verdict::default()), ..output::sample::verdict() };
    assert_eq!(accused(&moments, &traced(nobody)), None);
    // A session too short to tell leaves it to the counts.
    let early = Snapshot { verdict: None, ..output::sample::verdict() };
    assert!(accused(&moments, &traced(early)).is_some());
    // It names whoever makes dentries; that nobody needs to look for those that exist is not its affair.
    let exist = moments.map(|moment| Checkpoint { negative: 0, ..moment });
    assert_eq!(accused(&exist, &traced(output::sample::verdict())), None);
}

/// Nobody's leak hides another's, nor does a flood.
#[test]
fn each_leaker_is_a_finding() {
    let names = |n: u64| Checkpoint {
        negative: n * 10_000,
        ..with_caches(&[
            ("dentry", 100 + 2 * n, n * 10_000),
            ("filp", 20 + n, n * 4000),
            ("key_jar", 9, n * 100),
            ("buffer_head", 30 + 30 * n, n * 300_000),
        ])
    };
    let mut last = output::sample::findings();
    for candidate in &mut last.verdict.as_mut().expect("it has one").findings {
        candidate.bytes_per_s *= 100.0;
    }
    let (_, candidates) = judge(&window(&[names(0), names(1)]), &traced(last));
    let charges: Vec<_> = candidates.iter().map(|candidate| (candidate.kind, candidate.charge)).collect();
    let names = (Kind::Slab(Filling::NegativeDentries), Some(Charge::Flood));
    let files = (Kind::Slab(Filling::Files), Some(Charge::Leak));
    assert_eq!(charges, [names, files, (Kind::PageCache, None)]);
    assert!(
        candidates[..2].iter().all(|candidate| candidate.claims.len() == 1 && candidate.caches.len() == 1)
    );
}

/// Others make names of files that exist meanwhile: whose names do not is said by the trace.
#[test]
fn a_flood_is_none_the_less_a_flood_beside_names_that_exist() {
    let names = |n: u64| with_caches(&[("dentry", 100 + 8 * n, n * 40_000)]);
    let window = window(&[names(0), names(1)]);
    let claims = traced(output::sample::verdict()).claims().expect("there is a verdict");
    let candidate = of_caches(&window, window.caches(), claims);
    assert_eq!(candidate.kind, Kind::Slab(Filling::NegativeDentries));
    assert_eq!(candidate.charge, Some(Charge::Flood));
    // Nor does it matter that memory for long names grew more.
    let long = |n: u64| with_caches(&[("dentry", 100, 10), ("kmalloc-rcl-128", 10 + 9 * n, n * 70_000)]);
    let window = self::window(&[long(0), long(1)]);
    let claims = traced(output::sample::verdict()).claims().expect("there is a verdict");
    let candidate = of_caches(&window, window.caches(), claims);
    assert_eq!(candidate.kind, Kind::Slab(Filling::NegativeDentries));
}

/// Only what grew in each third of the window is said to use up memory if it goes on.
#[test]
fn what_comes_at_once_does_not_go_on() {
    let tables = |page_tables| Checkpoint { page_tables, ..USUAL };
    let goes_on = |moments: [u64; 4]| {
        let (_, candidates) = judge(&window(&moments.map(tables)), &not_traced());
        let found = candidates.into_iter().find(|found| found.kind == Kind::Kernel(Part::PageTables));
        found.expect("it grew").goes_on
    };
    assert!(goes_on([50, 150, 250, 350]));
    assert!(!goes_on([50, 350, 350, 350]));
}

/// Where page cache fills what nobody needs, who writes a file makes tasks wait until it is taken back.
#[test]
fn who_waits_where_much_is_available_waits_for_page_cache() {
    let waits = |available| {
        let reads = Checkpoint { cached: 25_000, available, ..USUAL };
        let mut window = window(&[USUAL, reads]);
        window.before.pressure = Some(Pressure::default());
        let some = Stall { total: Duration::from_secs(3), ..Stall::default() };
        window.after.pressure = Some(Pressure { some, ..Pressure::default() });
        let (short, candidates) = judge(&window, &not_traced());
        (short.is_of_host(), candidates[0].kind, candidates[0].charge)
    };
    assert_eq!(waits(50_000), (false, Kind::PageCache, None));
    assert_eq!(waits(10_000), (true, Kind::PageCache, Some(Charge::Short)));
}

#[test]
fn a_cgroup_at_its_limit_is_short_though_the_host_is_not() {
    let window = |held| {
        let mut window = window(&[USUAL, USUAL]);
        let limit = Limit { bytes: 1000, usage: 990, held };
        let cgroup = CgroupMemory { memory: 990, slab: None, limit: Some(limit) };
        window.after.cgroups.list.insert(b"a/b".to_vec(), cgroup);
        window
    };
    let (short, candidates) = judge(&window(950), &not_traced());
    assert!(short.is_any() && !short.is_of_host());
    assert_eq!((kinds(&candidates), candidates[0].charge), (vec![Kind::Cgroup], Some(Charge::Short)));
    // Full of file pages, it has all it needs.
    assert_eq!(judge(&window(100), &not_traced()).1, []);
}

#[test]
fn what_is_usual_depends_on_the_host() {
    assert_eq!(SLAB.growth(GIB), 2 * MIB);
    assert_eq!(SLAB.growth(64 * GIB), 8 * MIB);
    assert!(SLAB.level(64 * GIB).is_some_and(|usual| (12 * GIB..13 * GIB).contains(&usual)));
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
        let (short, candidates) = judge(&window(&moments), &not_traced());
        let is_short = candidates.iter().any(|candidate| candidate.charge == Some(Charge::Short));
        prop_assert!(!is_short || short.is_of_host());
        prop_assert!(!short.is_of_host() || candidates.iter().all(|candidate| candidate.charge.is_some()) && !candidates.is_empty());
        for candidate in &candidates {
            prop_assert!(candidate.grows || candidate.is_big || short.is_of_host());
            prop_assert!(!candidate.grows || candidate.growth > 0 && candidate.growth.unsigned_abs() >= candidate.usual_growth);
            prop_assert!(!candidate.is_big || candidate.usual_bytes.is_some_and(|usual| candidate.bytes >= usual));
        }
        let unique: HashMap<_, _> = candidates.iter().map(|candidate| (format!("{:?}", candidate.kind), ())).collect();
        prop_assert_eq!(unique.len(), candidates.len());
        prop_assert!(candidates.is_sorted_by_key(|candidate| candidate.charge.is_none()), "who is accused comes first");
        prop_assert!(candidates.iter().rev().skip(1).all(|candidate| candidate.kind != Kind::PageCache));
    }
}
