//! What the slab held before anybody traced: a sample of the kernel's memory against what a test made.

use std::{
    collections::HashSet,
    fs::File,
    os::unix::{ffi::OsStrExt as _, fs::FileExt as _},
    path::Path,
    process::Command,
};

use memtrace::kernel::{
    census::{
        self, Options, Sample,
        sample::{Charge, SampledCache, Slot, State},
    },
    discover::Kernel,
    unused::{self, Unused},
};
use memtrace::{procfs::Files, stream::event::CgroupId};

use serde_json::Value;

use crate::{
    Test,
    cgroup::Cgroup,
    host::{self, directory_on_disk},
    program::{NameStyle, Task},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, Odd: pages_are_of_slabs_as_the_kernel_says];
    tests.extend(tests![Disk, Odd: dentries_of_a_removed_cgroup_are_found_afterwards]);
    tests.extend(tests![Disk, EachKernel: slab_of_a_cgroup_is_what_the_kernel_counts_of_it]);
    tests.extend(tests![Tracing, EachKernel: who_has_files_open_is_told]);
    tests.into_iter().map(|test| Test { name: format!("census_{}", test.name), ..test }).collect()
}

/// Bit of a page in /proc/kpageflags (include/uapi/linux/kernel-page-flags.h).
const KPF_SLAB: u64 = 1 << 7;

/// Others allocate and free meanwhile.
fn pages_are_of_slabs_as_the_kernel_says() {
    let Ok(flags) = File::open("/proc/kpageflags") else {
        eprintln!("skipped: this kernel has no CONFIG_PROC_PAGE_MONITOR");
        return;
    };
    let kernel = Kernel::discover(&[]).expect("sessions find it too");
    let frames = census::slab_frames(&kernel, 1, 100_000).expect("this kernel's slabs are understood");
    assert!(frames.len() > 10_000, "{}", frames.len());
    let says = |frame: u64| {
        let mut bytes = [0; 8];
        let is_there = flags.read_exact_at(&mut bytes, frame * 8).is_ok();
        is_there && u64::from_ne_bytes(bytes) & KPF_SLAB != 0
    };
    let slabs = frames.iter().filter(|(_, is_slab)| *is_slab).count();
    let differ = frames.iter().filter(|(frame, is_slab)| says(*frame) != *is_slab).count();
    println!("{slabs} of {} frames are of slabs; {differ} differ", frames.len());
    assert!(slabs > 100, "{slabs}");
    assert!(differ * 500 <= frames.len(), "{differ} of {}, {slabs} of slabs", frames.len());
}

const PLANTED: usize = 30_000;

/// The wreck of an incident: who asked for the names is gone, and so is its cgroup.
fn dentries_of_a_removed_cgroup_are_found_afterwards() {
    let disk = directory_on_disk();
    let cgroup = Cgroup::charged(&unique("pod"));
    let within = disk.path().to_owned();
    let task = Task::NegativeDentries { within, count: PLANTED, names: NameStyle::DoesNotExist };
    let mut names = Workload::start(unique("names"), &task);
    cgroup.add(names.pid());
    names.go();
    let id = cgroup.id();
    let kernel = Kernel::discover(&[]).expect("sessions find it too");

    let sample = of_dentries(&kernel, 1);
    let directory = disk.path().join("db");
    let planted: Vec<Slot> = in_directory(&sample, &directory);
    is_as_planted(&sample, planted.len());
    let payer = if host::charges_slab() { Charge::Cgroup(id) } else { Charge::Nobody };
    let charged = planted.iter().filter(|slot| slot.charge == payer).count();
    assert!(charged * 100 >= planted.len() * 99, "{charged} of {}", planted.len());
    let asked_once = planted.iter().filter(|slot| slot.signs.asked_once == Some(true)).count();
    assert!(asked_once * 100 >= planted.len() * 95, "{asked_once} of {}", planted.len());

    are_counted_as_unused(&kernel, host::charges_slab().then_some(id));

    cgroup.leave(names.pid());
    cgroup.remove();
    // The kernel takes some time to hand the charges on.
    let orphaned = (2..200).map(|seed| of_dentries(&kernel, seed)).find(|sample| {
        let planted = in_directory(sample, &directory);
        planted.iter().all(|slot| slot.charge != Charge::Cgroup(id))
    });
    let sample = orphaned.expect("a removed cgroup has no charges");
    let planted = in_directory(&sample, &directory);
    is_as_planted(&sample, planted.len());
    let removed = removed(&planted);
    assert_eq!(removed.len(), usize::from(host::charges_slab()), "of one cgroup: {:?}", planted.first());
    the_command_tells(&directory);
    names.end();
}

/// The removed cgroups that these are charged to.
fn removed(slots: &[Slot]) -> HashSet<u64> {
    let removed = slots.iter().filter_map(|slot| match slot.charge {
        Charge::Removed { removed, .. } => Some(removed),
        _ => None,
    });
    removed.collect()
}

/// The kernel's own counts say the same, exactly.
fn are_counted_as_unused(kernel: &Kernel, cgroup: Option<CgroupId>) {
    let unused = unused::read(kernel).expect("this kernel's lists are understood");
    let sum = |is_it: &dyn Fn(&Unused) -> bool| {
        unused.iter().filter(|row| is_it(row)).map(|row| row.dentries).sum::<u64>()
    };
    let of_cgroup = sum(&|row| row.cgroup == cgroup && row.filesystem != b"tmpfs");
    let all = Files::live().dentry_state().expect("the kernel says so").unused;
    println!("{of_cgroup} unused dentries of {cgroup:?}; {} of all {all}", sum(&|_| true));
    // The program has looked up some more.
    let most = if cgroup.is_some() { PLANTED as u64 + 500 } else { all };
    assert!((PLANTED as u64..=most).contains(&of_cgroup), "{of_cgroup}: {unused:#?}");
    assert!(sum(&|_| true).abs_diff(all) <= all / 100 + 100, "{} of {all}", sum(&|_| true));
}

/// `memory.stat`, which version 2 of cgroups has.
fn slab_of_a_cgroup_is_what_the_kernel_counts_of_it() {
    let disk = directory_on_disk();
    let cgroup = Cgroup::charged(&unique("pays"));
    let within = disk.path().to_owned();
    let task = Task::NegativeDentries { within, count: PLANTED, names: NameStyle::DoesNotExist };
    let mut names = Workload::start(unique("names"), &task);
    cgroup.add(names.pid());
    names.go();
    let census = said(&["--by", "cgroup", "--error", "5%"]);
    let rows = census["rows"].as_array().expect("there are rows");
    let row = rows.iter().find(|row| row["cgroup"].as_str() == Some(&cgroup.name()));
    if cgroup.is_of_version_1() || !host::charges_slab() {
        assert!(row.is_none_or(|row| row["memory_stat_bytes"].is_null()), "{row:#?}");
    } else {
        let row = row.unwrap_or_else(|| panic!("{census:#}"));
        let counted = row["memory_stat_bytes"].as_u64().unwrap_or_else(|| panic!("{row:#}"));
        // A dentry takes 192 bytes, and all of it is charged.
        assert!(counted >= 192 * PLANTED as u64, "{row:#}");
        let [low, high] = [0, 1].map(|end| row["bytes_ci95"][end].as_u64().expect("a size"));
        let room = (high - low) + counted / 10;
        assert!((low.saturating_sub(room)..=high + room).contains(&counted), "{row:#}");
        assert!(!census["notes"].to_string().contains("memory.stat"), "{census:#}");
    }
    names.end();
}

/// Two files each; a process may have 4,096 at least.
const PIPES: usize = 1_900;
/// Together they have enough pages for the sample of a large host.
const HOLDERS: u64 = 3;

fn who_has_files_open_is_told() {
    let comm = unique("holds");
    let mut holders: Vec<_> = (0..HOLDERS).map(|_| Workload::start(&comm, &Task::Pipes(PIPES))).collect();
    holders.iter_mut().for_each(Workload::go);
    let census = said(&["-c", "filp", "--by", "kind"]);
    let rows = census["rows"].as_array().expect("there are rows");
    let row =
        rows.iter().find(|row| row["kind"] == "open file: fifo").unwrap_or_else(|| panic!("{census:#}"));
    let open_in = &row["open_in"];
    let asked_all = !census["notes"].to_string().contains("who has files open is known in part");
    // A host that is busy, or emulated, has no time for all of them, and says so. Others have some pipes too.
    let (processes, share) = if asked_all { (HOLDERS, 0.8) } else { (1, 0.0) };
    assert_eq!(open_in["comm"], comm.as_str(), "{row:#}");
    assert!(open_in["processes"].as_u64().is_some_and(|it| (processes..=HOLDERS).contains(&it)), "{row:#}");
    assert!(open_in["share"].as_f64().is_some_and(|it| it > share), "{row:#}");
    holders.into_iter().for_each(Workload::end);
}

/// What `memtrace census` prints.
fn said(arguments: &[&str]) -> Value {
    let output = Command::new(host::memtrace()).arg("census").args(arguments).args(["-o", "json"]).output();
    let output = output.expect("memtrace starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn the_command_tells(directory: &Path) {
    let census = said(&["-c", "dentry", "--error", "5%"]);
    assert_eq!(census.pointer("/caches/0/agrees"), Some(&true.into()), "{census:#}");
    let rows = census["rows"].as_array().expect("there are rows");
    let is_it =
        |row: &&Value| row["path"].as_str().map(str::as_bytes) == Some(directory.as_os_str().as_bytes());
    let row = rows.iter().find(is_it).unwrap_or_else(|| panic!("{census:#}"));
    assert_eq!(row["pattern"], ".<n>_dOeSnotExist_.db");
    let removed = i32::from(host::charges_slab());
    assert_eq!((&row["negative_share"], &row["removed_cgroups"]), (&1.0.into(), &removed.into()), "{row:#}");
    let notes = census["notes"].to_string();
    assert_eq!(notes.contains("charged to no cgroup"), !host::charges_slab(), "{notes}");
    let (_, objects) = host::slabinfo().into_iter().find(|(name, _)| name == "dentry").expect("it is there");
    let share = PLANTED as f64 / objects as f64;
    let [low, high] = [0, 1].map(|end| row["share_ci95"][end].as_f64().expect("a share"));
    // By 95 % intervals alone one run in twenty would fail.
    let room = high - low;
    assert!(low - room < share && share < high + room, "{share} is far from {low} to {high}");
}

fn of_dentries(kernel: &Kernel, seed: u64) -> Sample {
    let dentry = kernel.caches.iter().find(|cache| cache.name == "dentry").expect("there is one");
    let options = Options { seed, error: 0.05, caches: vec![dentry.address], ..Options::default() };
    let sample = census::take(kernel, &options, &mut || true).expect("this kernel's slabs are understood");
    println!("{} of {} frames, {:?}, {} changed", sample.drawn, sample.frames, sample.cost, sample.changed);
    sample
}

fn cache(sample: &Sample) -> &SampledCache {
    let [cache] = &sample.caches[..] else { panic!("one cache was asked for") };
    cache
}

/// Of a directory, allocated.
fn in_directory(sample: &Sample, directory: &Path) -> Vec<Slot> {
    let slots = cache(sample).pages.iter().flat_map(|page| &page.slots);
    let is_in = |slot: &&Slot| {
        let inspection = slot.inspection.as_ref();
        slot.state == State::Allocated
            && inspection.is_some_and(|it| it.label().directory == directory.as_os_str().as_bytes())
    };
    slots.filter(is_in).cloned().collect()
}

/// As many as chance allows: within five standard deviations.
fn is_as_planted(sample: &Sample, seen: usize) {
    let slots = cache(sample).pages.iter().flat_map(|page| &page.slots);
    let slots = slots.filter(|slot| slot.state == State::Allocated).count();
    let (_, objects) = host::slabinfo().into_iter().find(|(name, _)| name == "dentry").expect("it is there");
    let share = PLANTED as f64 / objects as f64;
    // Two neighbours tell as much as one.
    let deviation = (share * (1.0 - share) / (slots as f64 / 2.0)).sqrt();
    let found = seen as f64 / slots as f64;
    println!("{found:.4} of {slots} slots, planted {share:.4} +- {deviation:.4}");
    assert!((found - share).abs() < 5.0 * deviation, "{found} of {slots}, planted {share} +- {deviation}");
}
