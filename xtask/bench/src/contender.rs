//! What is compared: nothing, empty programs, memtrace in several settings, and what people run instead.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum as _;
use clap::builder::PossibleValue;
use serde::{Deserialize, Serialize};
use xtask::command::which;

use crate::floor::{Shape, once_each};
use crate::peers;

/// In the order in which they are listed; the text of each is what tables and `--help` say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// nothing, the workload once more: what it seems to cost is chance
    Bare,
    /// one empty program on each tracepoint that memtrace attaches to for one cache
    Floor,
    /// one empty program on each tracepoint that memtrace attaches to for all caches
    FloorAll,
    /// one program there that writes a record into a ring buffer
    RingAll,
    /// one program there that writes a record as large as memtrace's into a ring of its CPU
    RingCpu,
    /// memtrace on a cache in which nothing happens: every event is filtered out
    Filtered,
    /// memtrace on all caches, of a command that does not run
    OtherComm,
    /// memtrace on all caches, of a user who does nothing
    OtherUser,
    /// memtrace on all caches, of a process that sleeps, and what it starts
    OtherTree,
    /// memtrace on all caches, of a cgroup that is not there
    OtherCgroup,
    /// memtrace on dentry, without names
    Dentry,
    /// memtrace on all caches, without names
    All,
    /// memtrace on all caches, without names, with rings that all CPUs share
    AllShared,
    /// memtrace on all caches with names of dentries, as by default
    AllNames,
    /// memtrace on all caches, --by pid,cgroup, without names
    AllWho,
    /// memtrace on all caches, --stacks both (of one allocation in 32), without names
    AllStacks,
    /// bpftrace, two lines that follow dentry only, in the kernel
    Bpftrace,
    /// perf kmem record, all caches, to a file
    PerfKmem,
    /// bcc's memleak on the kernel: slab, pages and per-CPU memory by stack
    Memleak,
}

/// How a contender runs.
pub enum Setup {
    Nothing,
    /// Empty programs on these tracepoints.
    Empty(Shape),
    /// Programs on these tracepoints that write to a ring buffer.
    Writing(Shape),
    /// Programs that write to rings of their CPU.
    WritingToCpu(Shape),
    /// A program of its own.
    Process(Command),
}

/// The memtrace that is measured, and what it is compared with.
pub struct Memtrace {
    pub program: PathBuf,
    /// The BPF object that has the floor's programs.
    pub floor: PathBuf,
    /// A cache in which nothing happens.
    pub quiet_cache: &'static str,
    /// A process that does nothing.
    pub sleeper: u32,
    /// What it attaches for one cache.
    pub one: Shape,
    /// What it attaches for all caches.
    pub all: Shape,
}

impl Contender {
    pub fn name(self) -> String {
        self.value().get_name().to_owned()
    }

    pub fn description(self) -> String {
        self.value().get_help().map(ToString::to_string).unwrap_or_default()
    }

    fn value(self) -> PossibleValue {
        self.to_possible_value().expect("no contender is skipped")
    }

    /// What its cost is a multiple of.
    pub fn floor(self) -> Option<Self> {
        match self {
            Self::Bare => None,
            Self::Floor | Self::Filtered | Self::Dentry | Self::Bpftrace => Some(Self::Floor),
            _ => Some(Self::FloorAll),
        }
    }

    /// Peers start slowly and differ by much: they run less often.
    pub fn is_peer(self) -> bool {
        self >= Self::Bpftrace
    }

    /// Whether its last snapshot says what became of its events.
    pub fn is_memtrace(self) -> bool {
        (Self::Filtered..=Self::AllStacks).contains(&self)
    }

    /// Why it cannot even be tried.
    pub fn missing(self) -> Option<String> {
        let program = match self {
            Self::Bpftrace => peers::BPFTRACE,
            Self::PerfKmem => peers::PERF,
            Self::Memleak => peers::MEMLEAK,
            _ => return None,
        };
        which(program).is_none().then(|| "not installed; cargo xtask bench --setup installs it".to_owned())
    }

    /// The tracepoints whose hits it pays for.
    pub fn tracepoints(self, memtrace: &Memtrace) -> Shape {
        match self.floor() {
            None => Shape::new(),
            Some(Self::Floor) => once_each(&memtrace.one),
            Some(_) => once_each(&memtrace.all),
        }
    }

    /// What a program writes besides its output goes to this directory.
    pub fn setup(self, memtrace: &Memtrace, directory: &Path) -> Setup {
        Setup::Process(match self {
            Self::Bare => return Setup::Nothing,
            Self::Floor | Self::FloorAll => return Setup::Empty(self.tracepoints(memtrace)),
            Self::RingAll => return Setup::Writing(self.tracepoints(memtrace)),
            Self::RingCpu => return Setup::WritingToCpu(self.tracepoints(memtrace)),
            Self::Filtered => memtrace.command(memtrace.quiet_cache, NO_NAMES),
            Self::OtherComm => memtrace.command_with("all", NO_NAMES, &["--comm", "not-a-command"]),
            Self::OtherUser => memtrace.command_with("all", NO_NAMES, &["--uid", QUIET_USER]),
            Self::OtherTree => {
                memtrace.command_with("all", NO_NAMES, &["--tree", &memtrace.sleeper.to_string()])
            }
            Self::OtherCgroup => memtrace.command_with("all", NO_NAMES, &["--cgroup", "/not-a-cgroup"]),
            Self::Dentry => memtrace.command("dentry", NO_NAMES),
            Self::All => memtrace.command("all", NO_NAMES),
            Self::AllShared => memtrace.command("all", "names,cpu-rings"),
            Self::AllNames => memtrace.command("all", NOTHING),
            Self::AllWho => memtrace.command_with("all", NO_NAMES, &["--by", "pid,cgroup"]),
            Self::AllStacks => memtrace.command_with("all", NO_NAMES, &["--stacks", "both"]),
            Self::Bpftrace => peers::bpftrace(),
            Self::PerfKmem => peers::perf_kmem(directory),
            Self::Memleak => peers::memleak(),
        })
    }
}

/// What memtrace does without, for its hidden option `--avoid`.
pub const NOTHING: &str = "";
pub const NO_NAMES: &str = "names";

/// Nobody runs as that user: what has no user of its own runs as another one.
const QUIET_USER: &str = "games";

impl Memtrace {
    /// Writing JSON, whose final snapshot says what became of each event, and ending at once; otherwise with default settings.
    pub fn command(&self, cache: &str, avoid: &str) -> Command {
        self.command_with(cache, avoid, &[])
    }

    fn command_with(&self, cache: &str, avoid: &str, more: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--output", "json", "--settle", "0", "--cache", cache]).args(more);
        if avoid != NOTHING {
            command.args(["--avoid", avoid]);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line_and_of_json() {
        for contender in Contender::value_variants() {
            assert_eq!(serde_json::to_value(contender).unwrap(), contender.name());
            assert!(!contender.description().is_empty());
        }
    }

    #[test]
    fn a_floor_is_a_contender_that_is_its_own_floor() {
        for floor in Contender::value_variants().iter().filter_map(|contender| contender.floor()) {
            assert_eq!(floor.floor(), Some(floor));
        }
    }
}
