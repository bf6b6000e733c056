//! Slab caches that come and go while they are traced: with kernel modules, and with namespaces.

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString},
    fs::{self, File},
    path::Path,
    time::SystemTime,
};

use rustix::{
    mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount},
    system::{delete_module, finit_module},
};
use tempfile::TempDir;

use crate::{
    Test, host,
    program::{self, Task},
    session::Session,
    snapshot::Snapshot,
    tests,
    workload::unique,
};

pub fn tests() -> Vec<Test> {
    tests![OwnMachine, EachKernel:
        a_module_s_cache_comes_and_goes,
        a_cache_that_was_asked_for_and_goes_is_missed,
        a_cache_at_the_address_of_another_is_not_taken_for_it,
        a_cache_that_is_merged_later_is_an_alias,
    ]
}

/// A kernel module, loaded until it is dropped. Nothing may use it then.
pub struct Module(&'static CStr);

impl Module {
    pub fn load(name: &'static CStr) -> Self {
        let path = host::module(name.to_str().expect("it is ASCII"));
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        finit_module(&file, c"", 0).expect("it is this kernel's module");
        Self(name)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // What was unmounted just now may be in use for a moment.
        let is_gone = (0..500).any(|_| {
            let gone = delete_module(self.0, libc::O_NONBLOCK).is_ok();
            gone || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                false
            }
        });
        assert!(is_gone || std::thread::panicking(), "{:?} is in use", self.0);
    }
}

/// A filesystem, mounted until it is dropped.
pub struct Mounted(TempDir);

impl Mounted {
    pub fn new(kind: &CStr, options: &str) -> Self {
        let directory =
            TempDir::with_prefix("mt-mount-").expect("the directory for temporary files is writable");
        let options = CString::new(options).expect("options have no NUL");
        mount(kind, directory.path(), kind, MountFlags::empty(), Some(&*options))
            .expect("its module is loaded");
        Self(directory)
    }

    /// A directory below another filesystem's mount point, mounted once more.
    pub fn bind(directory: &Path) -> Self {
        let at = TempDir::with_prefix("mt-bind-").expect("the directory for temporary files is writable");
        mount_bind(directory, at.path()).expect("root may");
        Self(at)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = unmount(self.0.path(), UnmountFlags::empty());
        assert!(unmounted.is_ok() || std::thread::panicking(), "{unmounted:?}");
    }
}

const OVERLAY_FILES: usize = 400;

/// An `ovl_inode` for each file that is open, and some for the mount itself: how many depends on the kernel.
const OVERLAY_CACHE: &str = "ovl_inode";

/// An overlay of two directories.
struct Overlay {
    files: Vec<File>,
    mounted: Mounted,
    _module: Module,
    _below: TempDir,
}

impl Overlay {
    fn new() -> Self {
        let module = Module::load(c"overlay");
        let below = TempDir::with_prefix("mt-below-").expect("the directory for temporary files is writable");
        let [one, other] = ["one", "other"].map(|name| below.path().join(name));
        fs::create_dir(&one).and_then(|()| fs::create_dir(&other)).expect("the directory is ours");
        for number in 0..OVERLAY_FILES {
            File::create(one.join(number.to_string())).expect("the directory is ours");
        }
        let mounted = Mounted::new(c"overlay", &format!("lowerdir={}:{}", one.display(), other.display()));
        Self { files: Vec::new(), mounted, _module: module, _below: below }
    }

    fn open_all(&mut self) {
        let path = self.mounted.0.path();
        let open =
            |number: usize| File::open(path.join(number.to_string())).expect("it is in a directory below");
        self.files = (0..OVERLAY_FILES).map(open).collect();
    }
}

/// A report with all objects of a cache that were made before the call: with all that the kernel side had sent by a report that
/// was made after it. Others may wait to be read.
fn all_objects(session: &mut Session, cache: &str) -> Snapshot {
    let (now, mut sent) = (SystemTime::now(), None);
    session.until(&format!("objects of {cache}"), |report| {
        if report.time() > now {
            sent.get_or_insert(report.trust.emitted);
        }
        report.objects(cache) > 0 && sent.is_some_and(|sent| report.accounted() >= sent)
    })
}

/// Mounts an overlay and opens its files. Returns it with the number of its objects.
fn overlay(session: &mut Session) -> (Overlay, u64) {
    let mut overlay = Overlay::new();
    let of_mount = all_objects(session, OVERLAY_CACHE);
    let objects = of_mount.objects(OVERLAY_CACHE) + OVERLAY_FILES as u64;
    overlay.open_all();
    session.until_objects(OVERLAY_CACHE, objects);
    (overlay, objects)
}

fn a_module_s_cache_comes_and_goes() {
    let mut session = Session::start(&["--cache", "all", "--by", "cache"]);
    let (overlay, objects) = overlay(&mut session);
    drop(overlay);
    session.until("its objects are gone, and not its name", |report| {
        let row = report.row(OVERLAY_CACHE);
        (row.objects, row.allocs) == (0, objects)
    });
    let row = session.interrupt().row(OVERLAY_CACHE);
    assert_eq!((row.objects, row.allocs, row.frees), (0, objects, objects));
}

fn a_cache_that_was_asked_for_and_goes_is_missed() {
    let mut overlay = Overlay::new();
    let mut session = Session::start(&["--cache", OVERLAY_CACHE]);
    overlay.open_all();
    drop(overlay);
    session.until("a note", |report| {
        report.notes.iter().any(|note| note.starts_with(&format!("{OVERLAY_CACHE} was destroyed")))
    });
    let last = session.interrupt();
    let allocs: u64 = last.rows.iter().map(|row| row.allocs).sum();
    assert_eq!((last.caches[0].name.as_str(), allocs), (OVERLAY_CACHE, OVERLAY_FILES as u64));
}

/// Directories and files that are made with a mount of `rpc_pipefs`.
const RPC_CACHE: &str = "rpc_inode_cache";

/// The kernel makes a cache where it removed the last one.
fn a_cache_at_the_address_of_another_is_not_taken_for_it() {
    const ROUNDS: u64 = 3;
    let mut session = Session::start(&["--cache", "all", "--by", "cache"]);
    let mut objects = None;
    for round in 1..=ROUNDS {
        let (overlay, of_overlay) = overlay(&mut session);
        drop(overlay);
        let module = Module::load(c"sunrpc");
        let mounted = Mounted::new(c"rpc_pipefs", "");
        let row = all_objects(&mut session, RPC_CACHE).row(RPC_CACHE);
        let (_, of_rpc) = *objects.get_or_insert((of_overlay, row.objects));
        assert_eq!((row.objects, row.allocs), (of_rpc, round * of_rpc), "round {round}");
        drop((mounted, module));
        session.until("none", |report| {
            let [overlay, rpc] = [OVERLAY_CACHE, RPC_CACHE].map(|cache| report.objects(cache));
            overlay + rpc == 0
        });
    }
    let last = session.interrupt();
    let (of_overlay, of_rpc) = objects.expect("there was a round");
    for (cache, objects) in [(OVERLAY_CACHE, of_overlay), (RPC_CACHE, of_rpc)] {
        let (row, objects) = (last.row(cache), ROUNDS * objects);
        assert_eq!((row.objects, row.allocs, row.frees), (0, objects, objects), "{cache}");
    }
}

/// Caches for process ids, one for each level of namespaces.
fn caches_of_pids() -> BTreeSet<String> {
    let entries = fs::read_dir("/sys/kernel/slab").expect("sysfs is mounted").flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("pid_"))
        .collect()
}

/// Each level of PID namespaces has a cache, the first time that there is one. Their objects grow by 16 bytes, and are
/// aligned to 64: of so many levels, some share a cache.
fn a_cache_that_is_merged_later_is_an_alias() {
    const LEVELS: usize = 8;
    let before = caches_of_pids();
    let mut session = Session::start(&["--cache", "all"]);
    let nested = program::command(unique("nest").as_bytes(), &Task::NestedPids(LEVELS)).status();
    assert!(nested.expect("this binary starts again").success());
    let new: Vec<String> = caches_of_pids().difference(&before).cloned().collect();
    assert!(new.iter().any(|name| host::is_alias(name)), "{new:?} are merged");
    session.until(&format!("caches {new:?}"), |report| {
        new.iter()
            .all(|new| report.caches.iter().any(|cache| cache.name == *new || cache.aliases.contains(new)))
    });
    session.interrupt();
}
