//! Sessions with few rights, and what they keep of many: as the kernel says it of each of their threads.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Command, Output},
};

use rustix::{
    process::{Pid, Resource, Rlimit, getpriority_process, setrlimit},
    thread::{
        CapabilitySet, CapabilitySets, Gid, Uid, configure_capability_in_ambient_set, set_capabilities,
        set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use tempfile::TempDir;

use crate::{
    Test, host,
    program::Task,
    session::Session,
    snapshot::Snapshot,
    status::{assert_confined, status},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, EachKernel:
        two_capabilities_count_exactly,
        four_capabilities_have_names_and_slabinfo,
        six_capabilities_keep_a_limit,
        root_gives_up_what_a_session_does_not_need,
    ];
    tests.extend(tests![Tracing, Once: rights_are_kept_where_that_is_asked_for]);
    tests
}

/// Of nobody.
const NOBODY: u32 = 65_534;
const FILES: u32 = 700;

const TWO: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);
const FOUR: CapabilitySet = TWO.union(CapabilitySet::DAC_READ_SEARCH).union(CapabilitySet::SYSLOG);
const SIX: CapabilitySet = FOUR.union(CapabilitySet::SYS_PTRACE).union(CapabilitySet::SYS_ADMIN);

/// memtrace where everybody can run it.
struct ForEverybody(TempDir);

impl ForEverybody {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open.clone()).expect("it is ours");
        let copy = Self(folder);
        fs::copy(host::memtrace(), copy.path()).expect("there is room");
        fs::set_permissions(copy.path(), open).expect("it is ours");
        copy
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("memtrace")
    }

    /// As nobody with these capabilities, which are in its ambient set: as a service's.
    fn with(&self, capabilities: CapabilitySet) -> Command {
        let mut command = Command::new(self.path());
        // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
        unsafe { command.pre_exec(move || Ok(become_nobody(capabilities)?)) };
        command
    }
}

fn become_nobody(capabilities: CapabilitySet) -> rustix::io::Result<()> {
    // As `LimitMEMLOCK=infinity`: before Linux 5.11 maps are locked memory. Later, nobody asks.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    set_keep_capabilities(true)?;
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    let (effective, permitted, inheritable) = (capabilities, capabilities, capabilities);
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable })?;
    capabilities.iter().try_for_each(|one| configure_capability_in_ambient_set(one, true))
}

/// What the threads of a session have, each.
fn kept(pid: u32) -> Vec<CapabilitySet> {
    let bits = |hex: String| u64::from_str_radix(&hex, 16).expect("it is hexadecimal");
    let all = |key| status(pid, key).into_iter().map(bits).map(CapabilitySet::from_bits_retain);
    all("CapPrm").chain(all("CapEff")).collect()
}

/// No thread has more than this, and none can gain rights or make every call.
#[track_caller]
fn assert_gave_up_all_but(pid: u32, most: CapabilitySet) {
    for kept in kept(pid) {
        assert!(most.contains(kept), "{kept:?} is more than {most:?}");
    }
    assert_confined(pid);
}

/// The thread that reads events gets a busy CPU before others, where the tests' own priority was not changed.
#[track_caller]
fn assert_only_the_reader_is_ahead(pid: u32) {
    let ours = getpriority_process(None).expect("of this thread");
    let threads = status(pid, "Pid").into_iter().filter_map(|thread| Pid::from_raw(thread.parse().ok()?));
    for thread in threads {
        let is_reader = thread.as_raw_nonzero().get().cast_unsigned() == pid;
        let expected = if is_reader && ours == 0 { -5 } else { ours };
        // A thread may end meanwhile.
        if let Ok(priority) = getpriority_process(Some(thread)) {
            assert_eq!(priority, expected, "{thread:?}");
        }
    }
}

/// A session counts files that are held, and after that the same number of frees. Returns its last report.
#[track_caller]
fn count(memtrace: Command, arguments: &[&str], check: impl FnOnce(u32)) -> Snapshot {
    let comm = unique("rights");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    let mut session = Session::of(memtrace, &[&["--cache", "filp"], arguments].concat());
    files.go();
    session.until_objects(&comm, FILES.into());
    check(session.pid());
    files.release();
    session.until_objects(&comm, 0);
    let last = session.interrupt();
    assert_eq!(last.row(&comm).allocs, u64::from(FILES));
    last
}

/// What the probes take, of an event and of a CPU.
#[track_caller]
fn assert_cost_is_known(report: &Snapshot) {
    let (notes, cost) = (&report.notes, &report.own_cost);
    assert!(!has(notes, "is unknown") && cost.probe_ns_per_event.is_some_and(|ns| ns > 0.0), "{report}");
    assert!(cost.cpu_share > cost.userspace_cpu_share, "{cost:?}");
}

#[track_caller]
fn has(notes: &[String], part: &str) -> bool {
    notes.iter().any(|note| note.contains(part))
}

fn two_capabilities_count_exactly() {
    let memtrace = ForEverybody::new();
    let notes = count(memtrace.with(TWO), &[], |pid| assert_gave_up_all_but(pid, TWO)).notes;
    assert!(has(&notes, "slabinfo"), "it says that it cannot compare: {notes:?}");
    assert!(has(&notes, "the CPU time of the probes is unknown"), "{notes:?}");
    let notes = {
        let mut session = Session::of(memtrace.with(TWO), &["--cache", "filp", "--by", "cgroup"]);
        session.until("a report", |report| !report.notes.is_empty());
        session.interrupt().notes
    };
    assert!(has(&notes, "CAP_DAC_READ_SEARCH"), "{notes:?}");
    let refused = limited(memtrace.with(TWO));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("--max-cpu cannot be kept") && said.contains("CAP_SYS_ADMIN"), "{said}");
}

fn limited(mut memtrace: Command) -> Output {
    let arguments = ["--cache", "filp", "--max-cpu", "1000", "--interval", "10ms", "--count", "1"];
    memtrace.args(arguments).output().expect("memtrace starts")
}

fn four_capabilities_have_names_and_slabinfo() {
    let memtrace = ForEverybody::new();
    let notes = count(memtrace.with(FOUR), &[], |pid| assert_gave_up_all_but(pid, FOUR)).notes;
    assert!(!has(&notes, "slabinfo"), "{notes:?}");
    let comm = unique("rights");
    let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
    // By the tracepoints, which tell the place on every kernel.
    let arguments = ["--cache", "filp", "--comm", &comm, "--by", "callsite", "--avoid", "trampolines"];
    let mut session = Session::of(memtrace.with(FOUR), &arguments);
    files.go();
    session.until("files by the function that made them", |report| {
        report.rows.iter().any(|row| row.objects >= FILES.into() && row.key.contains('+'))
    });
    session.interrupt();
}

fn six_capabilities_keep_a_limit() {
    let memtrace = ForEverybody::new();
    let last = count(memtrace.with(SIX), &["--max-cpu", "1000", "--readers", "1"], |pid| {
        assert_gave_up_all_but(pid, SIX);
        assert!(
            kept(pid).iter().all(|kept| kept.contains(CapabilitySet::SYS_ADMIN)),
            "it goes on to measure"
        );
    });
    assert!(!has(&last.notes, "is unknown"), "{last}");
    // Without a limit, it measures before it gives up the right to.
    let last = count(memtrace.with(SIX), &[], |pid| {
        assert_gave_up_all_but(pid, SIX.difference(CapabilitySet::SYS_ADMIN));
    });
    assert_cost_is_known(&last);
}

fn root_gives_up_what_a_session_does_not_need() {
    let root = || Command::new(host::memtrace());
    let most = FOUR | CapabilitySet::SYS_PTRACE;
    let last = count(root(), &["--readers", "1"], |pid| {
        assert_gave_up_all_but(pid, most);
        assert_only_the_reader_is_ahead(pid);
    });
    assert_cost_is_known(&last);
    count(root(), &["--stacks", "user", "--readers", "2"], |pid| {
        assert!(status(pid, "Name").iter().any(|name| name == "ledger"));
        assert_gave_up_all_but(pid, most | CapabilitySet::CHECKPOINT_RESTORE);
    });
}

fn rights_are_kept_where_that_is_asked_for() {
    let ours = rustix::thread::capabilities(None).expect("the kernel tells").effective;
    count(Command::new(host::memtrace()), &["--keep-privileges"], |pid| {
        assert!(kept(pid).iter().all(|kept| kept.contains(ours)));
        assert!(status(pid, "Seccomp").iter().all(|value| value == "0"));
    });
}
