//! Reading the kernel's memory while everything in it changes: `cargo xtask vm --kernel 6.12 --cpus 4 -- kernel-tests --torture 60`.
//! No oops, no warning of the kernel, no cgroup that never was, and no object that is said to be there and is not.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use memtrace::{
    attribution::cgroup::Hierarchy,
    kernel::{
        census::{self, Options, sample::Charge},
        discover::Kernel,
    },
    stream::event::CgroupId,
};

use crate::{
    cgroup::Cgroup,
    exact::{CACHES_OF_PIPES, Flood},
    host::{self, directory_on_disk},
    modules::Module,
    program::{NameStyle, Task},
    session::Session,
    workload::{Workload, unique},
};

/// The program's first argument; for how many minutes follows.
pub const FLAG: &str = "--torture";

/// What the kernel says where it found something wrong.
const COMPLAINTS: [&str; 6] = ["BUG:", "WARNING:", "Oops", "general protection", "KASAN", "rcu: INFO"];

/// Runs if the arguments ask for it.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != FLAG {
        return None;
    }
    let minutes: u64 = arguments.next()?.parse().expect("a number of minutes");
    assert!(host::is_our_own(), "not on a machine that others may use: run it in a VM");
    torture(Duration::from_secs(60 * minutes));
    Some(ExitCode::SUCCESS)
}

/// What the disturbers do until they are to end.
struct Disturbance {
    is_over: AtomicBool,
    rounds: AtomicU64,
    /// All cgroups that there ever were.
    cgroups: Mutex<HashSet<CgroupId>>,
}

fn torture(time: Duration) {
    let complaints = complaints();
    let disturbance = Arc::new(Disturbance {
        is_over: AtomicBool::new(false),
        rounds: AtomicU64::new(0),
        cgroups: Mutex::default(),
    });
    // Makes the hierarchy, where there is none.
    drop(Cgroup::charged(&unique("first")));
    let disturbers: [fn(&Disturbance); 4] = [names_in_cgroups, reclaim, modules, memory];
    let threads = disturbers.map(|disturber| {
        let disturbance = Arc::clone(&disturbance);
        thread::spawn(move || {
            while !disturbance.is_over.load(Relaxed) {
                disturber(&disturbance);
                disturbance.rounds.fetch_add(1, Relaxed);
            }
        })
    });
    let (start, mut round) = (Instant::now(), 0);
    while start.elapsed() < time {
        round += 1;
        take_a_census(round, &disturbance);
        hold_a_session();
        println!(
            "{:4} s: {round} rounds, disturbed {} times",
            start.elapsed().as_secs(),
            disturbance.rounds.load(Relaxed)
        );
        let now = self::complaints();
        assert_eq!(now, complaints, "the kernel complains");
    }
    disturbance.is_over.store(true, Relaxed);
    threads.into_iter().for_each(|thread| thread.join().expect("it does not fail"));
    println!("{round} rounds, no complaint");
}

/// Every cgroup that an object is charged to is, or was, there.
fn take_a_census(seed: u64, disturbance: &Disturbance) {
    let kernel = Kernel::discover(&[]).expect("sessions find it too");
    let options = Options { seed, error: 0.01, cpu_time: Duration::from_secs(5), ..Options::default() };
    let sample = census::take(&kernel, &options, &mut || true).expect("this kernel's slabs are understood");
    let mut known = disturbance.cgroups.lock().expect("nobody fails with it").clone();
    known.extend(cgroups_below(Hierarchy::find().expect("it was made").mount()));
    let slots = || sample.caches.iter().flat_map(|cache| &cache.pages).flat_map(|page| &page.slots);
    for slot in slots() {
        if let Charge::Cgroup(id) | Charge::Removed { ancestor: id, .. } = slot.charge {
            assert!(known.contains(&id), "{id} never was: {slot:?}");
        }
    }
    println!(
        "{} frames, {} objects, {} changed, {} given up, {} strange, {:?}",
        sample.drawn,
        slots().count(),
        sample.changed,
        sample.given_up,
        sample.strange,
        sample.cost
    );
}

/// The leak is exact, although most events of the flood are lost.
fn hold_a_session() {
    const FILES: u64 = 500;
    let [leak, flood] = ["leak", "flood"].map(unique);
    let mut leaking = Workload::start(&leak, &Task::OpenFiles(FILES as usize));
    let mut flooding = Flood::start(&flood, 2_000);
    let session =
        Session::start(&[&CACHES_OF_PIPES[..], &["--ring-bytes", "65536", "--by", "comm,cache"]].concat());
    leaking.go();
    flooding.begin();
    flooding.done();
    let last = session.interrupt();
    let held = last.objects(&format!("{leak}, filp"));
    let lost = last.trust.lost_allocs;
    assert!(held <= FILES && held + lost >= FILES, "{held} of {FILES}, {:?}", last.trust);
    let left = last.objects(&format!("{flood}, filp"));
    // An address that went to an allocation which was lost looks like the old object.
    assert!(!last.trust.is_verified || left <= lost, "{left} left, {:?}", last.trust);
    println!("{held} held, {left} left, {:?}", last.trust);
    leaking.end();
}

/// Names that do not exist, by a process whose cgroup is removed afterwards.
fn names_in_cgroups(disturbance: &Disturbance) {
    let disk = directory_on_disk();
    let cgroup = Cgroup::charged(&unique("pod"));
    disturbance.cgroups.lock().expect("nobody fails with it").insert(cgroup.id());
    let within = disk.path().to_owned();
    let task = Task::NegativeDentries { within, count: 3_000, names: NameStyle::DoesNotExist };
    let mut names = Workload::start(unique("names"), &task);
    cgroup.add(names.pid());
    names.go();
    cgroup.leave(names.pid());
    cgroup.remove();
    names.end();
}

fn reclaim(_: &Disturbance) {
    fs::write("/proc/sys/vm/drop_caches", "2").expect("root may");
    thread::sleep(Duration::from_millis(300));
}

fn modules(_: &Disturbance) {
    if !Path::new("/sys/module/overlay/initstate").exists() && Path::new("/sys/module/overlay").exists() {
        // It is built in.
        return thread::sleep(Duration::from_secs(1));
    }
    drop(Module::load(c"overlay"));
    thread::sleep(Duration::from_millis(100));
}

/// Takes a block of memory away, and gives it back, where the machine lets us.
fn memory(disturbance: &Disturbance) {
    let blocks = fs::read_dir("/sys/devices/system/memory").into_iter().flatten().flatten();
    let blocks: Vec<_> =
        blocks.map(|entry| entry.path().join("state")).filter(|state| state.exists()).collect();
    let Some(state) = blocks.get(disturbance.rounds.load(Relaxed) as usize % blocks.len().max(1)) else {
        return thread::sleep(Duration::from_secs(1));
    };
    if fs::write(state, "offline").is_ok() {
        thread::sleep(Duration::from_millis(200));
        fs::write(state, "online").expect("it was online before");
    }
    thread::sleep(Duration::from_millis(200));
}

fn cgroups_below(path: &Path) -> Vec<CgroupId> {
    let mut found = vec![fs::metadata(path).map_or(0, |it| it.ino())];
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            found.extend(cgroups_below(&entry.path()));
        }
    }
    found
}

/// How often the kernel has complained so far.
fn complaints() -> usize {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/kmsg")
        .expect("root may read the kernel's log");
    let mut line = vec![0; 8192];
    let mut count = 0;
    while let Ok(length @ 1..) = log.read(&mut line) {
        let text = String::from_utf8_lossy(&line[..length]);
        count += usize::from(COMPLAINTS.iter().any(|complaint| text.contains(complaint)));
    }
    count
}
