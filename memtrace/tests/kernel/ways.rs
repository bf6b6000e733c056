//! The ways that memtrace has for one need, on this kernel.

use std::{env, fmt, process::Command, sync::LazyLock};

use crate::{Needs, Test, host, tests};

/// In the environment, where the host is known to have every way to learn names: one that is lacking is a failure.
const EVERY_WAY: &str = "MEMTRACE_TEST_EVERY_WAY";

pub fn tests() -> Vec<Test> {
    tests![Tracing, EachKernel: no_way_is_lacking_by_a_fault_of_ours]
}

/// A way that is lacking is not tested, so a program of ours that no kernel accepts would go unseen.
fn no_way_is_lacking_by_a_fault_of_ours() {
    let text = &*CHECK;
    assert!(text.contains("dentry names") && !text.contains("memtrace's own program"), "{text}");
    if env::var_os(EVERY_WAY).is_some() {
        let ways = Ways::found();
        assert!(ways.names.len() == NAME_WAYS.len() && ways.bulk, "{text}");
    }
}

/// What `memtrace check` says of this kernel; in a VM it takes seconds to find out.
static CHECK: LazyLock<String> = LazyLock::new(|| {
    let output = Command::new(host::memtrace()).arg("check").output().expect("memtrace starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
});

/// Whether it says yes to this.
fn has(what: &str) -> bool {
    let is_yes = |line: &str| {
        line.trim_start().strip_prefix(what).is_some_and(|rest| rest.trim_start().starts_with("yes"))
    };
    let text = &*CHECK;
    assert!(text.lines().any(|line| line.trim_start().starts_with(what)), "no line has {what}: {text}");
    text.lines().any(is_yes)
}

/// A way, forced by leaving out the others.
#[derive(Clone, Copy)]
pub struct Way {
    pub name: &'static str,
    avoid: &'static str,
}

impl Way {
    pub fn arguments(self) -> [&'static str; 2] {
        ["--avoid", self.avoid]
    }
}

/// Ways to see which cache an object is from.
const CACHE_WAYS: [Way; 3] = [
    Way { name: "argument", avoid: "trampolines,pages" },
    Way { name: "trampoline", avoid: "arguments,pages" },
    Way { name: "page", avoid: "arguments,trampolines" },
];

/// Ways to learn a dentry's name as it is made.
const NAME_WAYS: [Way; 2] =
    [Way { name: "fexit", avoid: "kprobes" }, Way { name: "kretprobe", avoid: "trampolines" }];

/// The way of last resort, which every kernel has.
pub const LOOKED_UP: Way = Way { name: "looked_up", avoid: "trampolines,kprobes" };

/// What memtrace says where it can see no allocations or frees.
const LACKS_WAY: &str = "cannot be traced on this kernel";

/// How events get to memtrace, forced by leaving out the other way; the first is the usual one, and the only one where the kernel has no
/// rings for each CPU.
pub fn rings() -> &'static [&'static [&'static str]] {
    const ALL: &[&[&str]] = &[&[], &["--avoid", "cpu-rings"]];
    if Ways::found().cpu_rings { ALL } else { &ALL[..1] }
}

/// What the note says where names are not streamed.
pub const SAMPLE_NOTE: &str = "names are a sample";

/// The ways that this kernel has, found out by trying. One that it lacks is no skipped test: there is nothing to test.
pub struct Ways {
    pub cache: Vec<Way>,
    /// Of those that name every dentry.
    pub names: Vec<Way>,
    /// What fires no tracepoint is seen all the same.
    pub bulk: bool,
    /// Each program has rings of its own on each CPU.
    pub cpu_rings: bool,
}

static WAYS: LazyLock<Ways> = LazyLock::new(Ways::find);

impl Ways {
    pub fn found() -> &'static Self {
        &WAYS
    }

    fn find() -> Self {
        if host::lacks(Needs::Tracing).is_some() {
            return Self { cache: Vec::new(), names: Vec::new(), bulk: false, cpu_rings: false };
        }
        let cache = CACHE_WAYS.into_iter().filter(|way| finds_caches(*way)).collect();
        let names = NAME_WAYS.into_iter().filter(|way| streams_names(*way)).collect();
        Self { cache, names, bulk: has("bulk, kfree_rcu"), cpu_rings: has("rings of each CPU") }
    }
}

/// A session that fails otherwise than for want of a way counts as having one, so that tests tell.
fn finds_caches(way: Way) -> bool {
    let output = host::try_session("filp", &way.arguments()).expect("it ran before");
    !String::from_utf8_lossy(&output.stderr).contains(LACKS_WAY)
}

fn streams_names(way: Way) -> bool {
    let output = host::try_session("dentry", &way.arguments()).expect("it ran before");
    !String::from_utf8_lossy(&output.stdout).contains(SAMPLE_NOTE)
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |ways: &[Way]| match ways {
            [] => "no way".to_owned(),
            ways => ways.iter().map(|way| way.name).collect::<Vec<_>>().join(", "),
        };
        let bulk = if self.bulk { "seen" } else { "not seen" };
        let (caches, names) = (names(&self.cache), names(&self.names));
        let rings = if self.cpu_rings { "of each CPU" } else { "shared" };
        write!(
            f,
            "objects' caches by {caches}; all dentries' names by {names}; bulk is {bulk}; rings are {rings}"
        )
    }
}
