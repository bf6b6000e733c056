//! What an object is and where, as looking at it tells, beside what the test made.

use std::{fs, net::TcpListener, ops::RangeInclusive, path::Path};

use memtrace::text::escape;

use crate::{
    Needs, Runs, Test,
    host::{self, directory_on_disk},
    modules::{Module, Mounted},
    program::{
        NameStyle, Task,
        places::{Place, What},
    },
    session::Session,
    snapshot::{Names, Snapshot},
    tests,
    ways::{LOOKED_UP, Way, Ways},
    workload::{Workload, unique},
};

const OBJECTS: usize = 60;

/// Deeper than any path is long: of 4,096 bytes.
const DEEP: usize = 4_000;

pub fn tests(ways: &Ways) -> Vec<Test> {
    let by_way = ways.names.iter().copied().chain([LOOKED_UP]).map(|way| {
        let name = format!("dentries_negative_or_not_are_in_their_directory_by_{}", way.name);
        Test::new(name, Needs::Disk, Runs::EachKernel, move || are_in_their_directory(way))
    });
    by_way
        .chain(tests![Tracing, EachKernel:
            files_of_a_mount_of_its_own_have_its_path,
            a_tmpfs_keeps_no_negative_dentries,
            a_path_is_the_shortest_of_all_mounts,
            a_bind_mount_alone_is_a_path,
            an_unmounted_filesystem_has_no_path,
            overlays_are_seen_as_mounted,
            what_is_done_in_a_chroot_is_seen_from_outside,
            names_keep_every_byte,
            long_names_take_memory_of_their_own,
            directories_too_deep_for_a_path_end,
            open_files_have_their_path,
            removed_files_are_marked,
            connections_go_by_port_and_state,
            local_sockets_go_by_their_path,
        ])
        .chain(tests![Disk, EachKernel: inodes_have_a_type_and_a_path])
        .map(|test| Test { name: format!("look_{}", test.name), ..test })
        .collect()
}

fn names() -> Vec<Vec<u8>> {
    (0..OBJECTS).map(|number| format!("file-{number}").into_bytes()).collect()
}

fn files(within: &Path) -> Task {
    Task::Place(Place::Files { within: within.to_owned(), names: names(), of: What::Regular })
}

/// All of them.
const EACH: RangeInclusive<u64> = OBJECTS as u64..=OBJECTS as u64;

/// The sockets of connections that were accepted are made by interrupts, which now and then come to another task.
const MAX_SOCKETS: RangeInclusive<u64> = OBJECTS as u64 * 3 / 4..=OBJECTS as u64;

/// What looking tells of the objects of a cache that a program makes: the names that `is_of` picks, when there are as many of
/// them.
#[track_caller]
fn seen(
    session: &[&str],
    task: &Task,
    objects: RangeInclusive<u64>,
    is_of: impl Fn(&Names) -> bool,
) -> Names {
    let comm = unique("look");
    let mut workload = Workload::start(&comm, task);
    let mut session = Session::start(&[session, &["--comm", &comm]].concat());
    workload.go();
    let pick = |report: &Snapshot| {
        let names = report.row(&comm).names;
        names.into_iter().find(|names| is_of(names) && objects.contains(&names.objects))
    };
    let found =
        pick(&session.until(&format!("{objects:?} objects by name"), |report| pick(report).is_some()));
    session.interrupt();
    workload.end();
    found.expect("it was there")
}

fn path(directory: &Path) -> Option<String> {
    Some(directory.to_str().expect("the test's directories are called so").to_owned())
}

/// What the kernel says of the filesystem that a directory is on.
fn filesystem(directory: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let holds = mounts.filter(|(at, _)| directory.starts_with(at));
    // Of two at one place the later one is on top.
    holds.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind.to_owned())
}

fn are_in_their_directory(way: Way) {
    let (negative, positive) = (directory_on_disk(), directory_on_disk());
    let within = negative.path().to_owned();
    let flood = Task::NegativeDentries { within, count: OBJECTS, names: NameStyle::DoesNotExist };
    let comm = unique("look");
    let mut workloads = [flood, files(positive.path())].map(|task| Workload::start(&comm, &task));
    let [avoid, ways] = way.arguments();
    let mut session = Session::start(&["--cache", "dentry", "--comm", &comm, avoid, ways]);
    workloads.iter_mut().for_each(Workload::go);
    let pick = |report: &Snapshot, pattern: &str| {
        let names = report.row(&comm).names;
        names
            .into_iter()
            .find(|names| names.pattern == pattern && names.path.is_some() && EACH.contains(&names.objects))
    };
    let patterns = [".<n>_dOeSnotExist_.db", "file-<n>"];
    let both = |report: &Snapshot| patterns.map(|pattern| pick(report, pattern));
    let found = both(&session.until("both by name", |report| both(report).iter().all(Option::is_some)));
    let [flood, files] = found.map(|names| names.expect("it was there"));
    assert_eq!((flood.path, flood.parent.as_str()), (path(&negative.path().join("db")), "db"));
    assert_eq!((flood.filesystem, flood.kind.as_deref()), (filesystem(negative.path()), Some("dentry")));
    assert_eq!((flood.negative_share, files.negative_share), (Some(1.0), Some(0.0)));
    assert_eq!((files.path, files.name_bytes), (path(positive.path()), Some(0)));
    session.interrupt();
    workloads.into_iter().for_each(Workload::end);
}

#[track_caller]
fn dentries(task: &Task) -> Names {
    seen(&["--cache", "dentry"], task, EACH, |names| names.pattern == "file-<n>" && names.path.is_some())
}

fn files_of_a_mount_of_its_own_have_its_path() {
    let mounted = Mounted::new(c"tmpfs", "");
    let names = dentries(&files(mounted.path()));
    assert_eq!((names.path, names.filesystem.as_deref()), (path(mounted.path()), Some("tmpfs")));
}

fn a_tmpfs_keeps_no_negative_dentries() {
    let mounted = Mounted::new(c"tmpfs", "");
    let comm = unique("look");
    let within = mounted.path().to_owned();
    let task = Task::NegativeDentries { within, count: OBJECTS, names: NameStyle::DoesNotExist };
    let mut workload = Workload::start(&comm, &task);
    let mut session = Session::start(&["--cache", "dentry", "--comm", &comm]);
    workload.go();
    let row = session.until("the lookups", |report| report.row(&comm).allocs >= OBJECTS as u64).row(&comm);
    assert!(row.negative_share.is_none_or(|share| share == 0.0), "{row:?}");
    session.until_objects(&comm, 0);
    session.interrupt();
    workload.end();
}

fn a_path_is_the_shortest_of_all_mounts() {
    let mounted = Mounted::new(c"tmpfs", "");
    let inside = mounted.path().join("inside");
    fs::create_dir(&inside).expect("the directory is ours");
    let bound = Mounted::bind(&inside);
    // Made through the one, seen through the other, whose mount point is shorter: `mt-bind-` is than `mt-mount-`.
    let names = dentries(&files(&inside));
    assert_eq!(names.path, path(bound.path()));
    drop(bound);
}

fn a_bind_mount_alone_is_a_path() {
    let mounted = Mounted::new(c"tmpfs", "");
    let inside = mounted.path().join("inside");
    fs::create_dir(&inside).expect("the directory is ours");
    let bound = Mounted::bind(&inside);
    drop(mounted);
    let names = dentries(&files(bound.path()));
    assert_eq!((names.path, names.filesystem.as_deref()), (path(bound.path()), Some("tmpfs")));
}

fn an_unmounted_filesystem_has_no_path() {
    let names = seen(&["--cache", "dentry"], &Task::Pipes(OBJECTS), EACH, |names| names.path.is_some());
    assert_eq!((names.path.as_deref(), names.filesystem.as_deref()), (Some("pipefs:"), Some("pipefs")));
    // By their inodes' numbers.
    assert_eq!(names.pattern, "[<n>]");
}

fn overlays_are_seen_as_mounted() {
    let filesystems = fs::read_to_string("/proc/filesystems").expect("/proc is mounted");
    let is_built_in = filesystems.contains("overlay\n");
    let module = (!is_built_in && host::is_our_own()).then(|| Module::load(c"overlay"));
    if !is_built_in && module.is_none() {
        eprintln!("SKIPPED: this kernel has no overlayfs loaded");
        return;
    }
    let below = Mounted::new(c"tmpfs", "");
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| below.path().join(name));
    for directory in [&lower, &upper, &work] {
        fs::create_dir(directory).expect("the directory is ours");
    }
    let directories = [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)];
    let options =
        directories.map(|(option, directory)| format!("{option}={}", directory.display())).join(",");
    let mounted = Mounted::new(c"overlay", &options);
    let names = seen(&["--cache", "dentry"], &files(mounted.path()), EACH, |names| {
        names.pattern == "file-<n>" && names.filesystem.as_deref() == Some("overlay")
    });
    assert_eq!(names.path, path(mounted.path()));
    drop((mounted, below, module));
}

fn what_is_done_in_a_chroot_is_seen_from_outside() {
    let mounted = Mounted::new(c"tmpfs", "");
    fs::create_dir(mounted.path().join("inside")).expect("the directory is ours");
    let (root, within) = (mounted.path().to_owned(), "/inside".into());
    let names = dentries(&Task::Place(Place::InRoot { root, within, names: names() }));
    assert_eq!(names.path, path(&mounted.path().join("inside")));
}

fn names_keep_every_byte() {
    let mounted = Mounted::new(c"tmpfs", "");
    let name: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
    let within = mounted.path().join(std::ffi::OsStr::new("a b\n\u{1b}[31m"));
    fs::create_dir(&within).expect("the directory is ours");
    let task =
        Task::Place(Place::Files { within: within.clone(), names: vec![name.clone()], of: What::Regular });
    let names = seen(&["--cache", "dentry"], &task, 1..=1, |names| names.path == path(&within));
    assert_eq!(names.example, escape::json(&name));
}

fn long_names_take_memory_of_their_own() {
    let mounted = Mounted::new(c"tmpfs", "");
    let names = (0..OBJECTS).map(|number| format!("{number:06}-{}", "x".repeat(93)).into_bytes()).collect();
    let task = Task::Place(Place::Files { within: mounted.path().to_owned(), names, of: What::Regular });
    let names = seen(&["--cache", "dentry"], &task, EACH, |names| names.path.is_some());
    // 100 bytes, their end, and a header of 16 or 24.
    assert_eq!(names.name_bytes, Some(128));
}

fn directories_too_deep_for_a_path_end() {
    let mounted = Mounted::new(c"tmpfs", "");
    let within = mounted.path().to_owned();
    let names = dentries(&Task::Place(Place::Deep { within, levels: DEEP, names: names() }));
    let path = names.path.expect("it was asked for");
    assert!(path.starts_with("…/deeper/deeper/") && path.ends_with("/deeper/deeper"), "{path}");
    assert!(path.len() <= 1024 && names.filesystem.as_deref() == Some("tmpfs"), "{path}");
}

#[track_caller]
fn opened(is_removed: bool) -> (Names, Mounted) {
    let mounted = Mounted::new(c"tmpfs", "");
    let file = mounted.path().join("app.log");
    let task = Task::Place(Place::Opened { file, count: OBJECTS, is_removed });
    let names = seen(&["--cache", "filp"], &task, EACH, |names| names.path == path(mounted.path()));
    assert_eq!((names.kind.as_deref(), names.file_type.as_deref()), (Some("file"), Some("regular")));
    (names, mounted)
}

fn open_files_have_their_path() {
    let (names, _mounted) = opened(false);
    assert_eq!((names.pattern.as_str(), names.filesystem.as_deref()), ("app.log", Some("tmpfs")));
}

fn removed_files_are_marked() {
    let (names, _mounted) = opened(true);
    assert_eq!(names.pattern, "app.log (deleted)");
}

/// A port that nobody uses, and that is not given out either.
fn free_port() -> u16 {
    (20_000..30_000).find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).expect("one is free")
}

fn connections_go_by_port_and_state() {
    let port = free_port();
    let task = Task::Place(Place::Closed { port, count: OBJECTS });
    for cache in ["TCP", "sock_inode_cache"] {
        let names = seen(&["--cache", cache], &task, MAX_SOCKETS, |names| names.parent == "tcp");
        assert_eq!((names.pattern, names.path), (format!(":{port} CLOSE_WAIT"), None));
        assert_eq!(names.kind.as_deref(), Some("socket"));
        assert!(names.example.starts_with(&format!("127.0.0.1:{port}->127.0.0.1:")), "{}", names.example);
    }
}

fn local_sockets_go_by_their_path() {
    let mounted = Mounted::new(c"tmpfs", "");
    let path = mounted.path().join("x.sock");
    let task = Task::Place(Place::Bound { path: path.clone(), count: OBJECTS });
    // The ends that were accepted; the others have no name.
    let names = seen(&["--cache", "sock_inode_cache"], &task, EACH, |names| {
        names.example == path.display().to_string()
    });
    assert_eq!((names.parent.as_str(), names.kind.as_deref()), ("unix stream", Some("socket")));
}

fn inodes_have_a_type_and_a_path() {
    let disk = directory_on_disk();
    let kind = filesystem(disk.path()).expect("it is on some filesystem");
    let cache = ["_inode_cache", "_inode"].map(|suffix| format!("{kind}{suffix}"));
    let cache = cache.iter().find(|cache| host::has_cache(cache)).expect("its inodes are of a cache");
    let within = disk.path().to_owned();
    let task = Task::Place(Place::Files { within, names: names(), of: What::Fifo });
    let names = seen(&["--cache", cache], &task, EACH, |names| names.pattern == "file-<n>");
    assert_eq!((names.path, names.filesystem), (path(disk.path()), Some(kind)));
    assert_eq!((names.kind.as_deref(), names.file_type.as_deref()), (Some("inode"), Some("fifo")));
}
