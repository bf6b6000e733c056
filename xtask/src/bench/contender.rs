//! What is compared: nothing, empty programs, memtrace in several settings, and what people run instead.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::floor::{Shape, once_each};
use super::peers;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contender {
    /// Nothing: the workload once more
    Bare,
    /// One empty program on each tracepoint that memtrace attaches to for one cache
    Floor,
    /// As many empty programs there as memtrace attaches
    #[value(name = "floor-x2")]
    #[serde(rename = "floor-x2")]
    FloorTwice,
    /// One empty program on each tracepoint that memtrace attaches to for all caches
    FloorAll,
    /// As many empty programs there as memtrace attaches
    #[value(name = "floor-all-x2")]
    #[serde(rename = "floor-all-x2")]
    FloorAllTwice,
    /// One program there that writes a record as large as memtrace's into a ring buffer, and nothing else
    RingAll,
    /// memtrace on a cache in which nothing happens, with one program on each tracepoint
    FilteredSingle,
    /// memtrace on a cache in which nothing happens
    Filtered,
    /// memtrace on dentry, without names
    Dentry,
    /// memtrace on all caches, without names
    All,
    /// memtrace on all caches with names of dentries, as by default
    AllNames,
    /// memtrace on all caches, rows by process and cgroup, without names
    AllWho,
    /// memtrace on all caches with stacks of both sides, without names
    AllStacks,
    /// bpftrace with two lines that follow dentries
    Bpftrace,
    /// perf kmem record
    PerfKmem,
    /// bcc's memleak on the kernel
    Memleak,
}

/// The memtrace that is measured.
pub struct Memtrace {
    pub program: PathBuf,
    /// A cache in which nothing happens.
    pub quiet_cache: &'static str,
    /// What it attaches for one cache.
    pub one: Shape,
    /// What it attaches for all caches.
    pub all: Shape,
}

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Floor => "floor",
            Self::FloorTwice => "floor-x2",
            Self::FloorAll => "floor-all",
            Self::FloorAllTwice => "floor-all-x2",
            Self::RingAll => "ring-all",
            Self::FilteredSingle => "filtered-single",
            Self::Filtered => "filtered",
            Self::Dentry => "dentry",
            Self::All => "all",
            Self::AllNames => "all-names",
            Self::AllWho => "all-who",
            Self::AllStacks => "all-stacks",
            Self::Bpftrace => "bpftrace",
            Self::PerfKmem => "perf-kmem",
            Self::Memleak => "memleak",
        }
    }

    pub fn what(self) -> &'static str {
        match self {
            Self::Bare => "nothing, the workload once more: what it seems to cost is chance",
            Self::Floor => "one empty program on each tracepoint that memtrace attaches to for one cache",
            Self::FloorTwice => "as many empty programs there as memtrace attaches (it has backups)",
            Self::FloorAll => "one empty program on each tracepoint that memtrace attaches to for all caches",
            Self::FloorAllTwice => "as many empty programs there as memtrace attaches",
            Self::RingAll => {
                "one program there that writes a record as large as memtrace's into a ring buffer"
            }
            Self::FilteredSingle => "memtrace on a cache in which nothing happens, without backups",
            Self::Filtered => "memtrace on a cache in which nothing happens: every event is filtered out",
            Self::Dentry => "memtrace on dentry, without names",
            Self::All => "memtrace on all caches, without names",
            Self::AllNames => "memtrace on all caches with names of dentries, as by default",
            Self::AllWho => "memtrace on all caches, --by pid,cgroup, without names",
            Self::AllStacks => {
                "memtrace on all caches, --stacks both (of one allocation in 32), without names"
            }
            Self::Bpftrace => "bpftrace, two lines that follow dentry only, in the kernel",
            Self::PerfKmem => "perf kmem record, all caches, to a file",
            Self::Memleak => "bcc's memleak on the kernel: slab, pages and per-CPU memory by stack",
        }
    }

    /// What its cost is a multiple of.
    pub fn floor(self) -> Option<Self> {
        match self {
            Self::Bare => None,
            Self::Floor
            | Self::FloorTwice
            | Self::FilteredSingle
            | Self::Filtered
            | Self::Dentry
            | Self::Bpftrace => Some(Self::Floor),
            Self::FloorAll
            | Self::FloorAllTwice
            | Self::RingAll
            | Self::All
            | Self::AllNames
            | Self::AllWho
            | Self::AllStacks
            | Self::PerfKmem
            | Self::Memleak => Some(Self::FloorAll),
        }
    }

    /// Peers start slowly and differ by much: they run less often.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Bpftrace | Self::PerfKmem | Self::Memleak)
    }

    /// Whether its last snapshot says what became of its events.
    pub fn is_memtrace(self) -> bool {
        matches!(
            self,
            Self::FilteredSingle
                | Self::Filtered
                | Self::Dentry
                | Self::All
                | Self::AllNames
                | Self::AllWho
                | Self::AllStacks
        )
    }

    /// The tracepoints whose hits it pays for.
    pub fn tracepoints(self, memtrace: &Memtrace) -> Shape {
        match self.floor() {
            None => Shape::new(),
            Some(Self::Floor) => once_each(&memtrace.one),
            Some(_) => once_each(&memtrace.all),
        }
    }

    /// The empty programs that it is, if it is some.
    pub fn empty_programs(self, memtrace: &Memtrace) -> Option<Shape> {
        match self {
            Self::Floor => Some(once_each(&memtrace.one)),
            Self::FloorTwice => Some(memtrace.one.clone()),
            Self::FloorAll => Some(once_each(&memtrace.all)),
            Self::FloorAllTwice => Some(memtrace.all.clone()),
            _ => None,
        }
    }

    /// The program that it is, if it is one; what that writes goes to this directory.
    pub fn command(self, memtrace: &Memtrace, directory: &Path) -> Option<Command> {
        Some(match self {
            Self::Bare
            | Self::Floor
            | Self::FloorTwice
            | Self::FloorAll
            | Self::FloorAllTwice
            | Self::RingAll => return None,
            Self::FilteredSingle => memtrace.command(memtrace.quiet_cache, "names,backups"),
            Self::Filtered => memtrace.command(memtrace.quiet_cache, NO_NAMES),
            Self::Dentry => memtrace.command("dentry", NO_NAMES),
            Self::All => memtrace.command("all", NO_NAMES),
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
    use clap::ValueEnum as _;

    #[test]
    fn names_are_those_of_the_command_line_and_of_json() {
        for contender in Contender::value_variants() {
            let on_command_line = contender.to_possible_value().unwrap().get_name().to_owned();
            assert_eq!(on_command_line, contender.name());
            assert_eq!(serde_json::to_value(contender).unwrap(), contender.name());
        }
    }

    #[test]
    fn a_floor_is_a_contender_that_is_its_own_floor() {
        for floor in Contender::value_variants().iter().filter_map(|contender| contender.floor()) {
            assert_eq!(floor.floor(), Some(floor));
        }
    }
}
