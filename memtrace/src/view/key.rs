//! What rows are grouped by.

use super::alloc_context::{AllocContext, Context, GfpFlags};
use crate::{
    attribution::{
        cgroup::{Cgroups, Owner},
        process::{ChainId, NO_CHAIN, Processes},
    },
    kernel::gfp::GfpNames,
    stream::{
        calls::CallSites,
        event::{Address, CgroupId, Comm, Gfp, NO_GFP, NO_NODE, NodeId, ProcessId, Task},
        ledger::{FOLDED, OTHERS, OriginDetail, OriginKey},
    },
};

/// Between the names of a chain: who was started by whom.
pub(super) const STARTED_BY: &[u8] = b" < ";

const UNKNOWN: &str = "(unknown)";

/// One thing to tell rows apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Command name
    Comm,
    /// Process
    #[value(alias = "process")]
    Pid,
    /// Command name, and who started it: curl < probe.sh < cron
    Ancestors,
    /// Control group of the allocating task: service, container, pod
    Cgroup,
    /// Slab cache
    Cache,
    /// Place in the kernel that allocated
    #[value(name = "callsite")]
    CallSite,
    /// NUMA node that the object's memory is on
    Node,
    /// Flags of the allocation: GFP_KERNEL, GFP_ATOMIC
    Gfp,
    /// Process, io_uring worker, kernel thread, softirq or interrupt
    Context,
}

impl By {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            By::Comm => "comm",
            By::Pid => "pid",
            By::Ancestors => "ancestors",
            By::Cgroup => "cgroup",
            By::Cache => "cache",
            By::CallSite => "callsite",
            By::Node => "node",
            By::Gfp => "gfp",
            By::Context => "context",
        }
    }
}

/// What rows are told apart by: all of these together, at least one, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<By>);

impl Keys {
    /// None if there is none.
    pub fn new(keys: impl IntoIterator<Item = By>) -> Option<Self> {
        let mut distinct: Vec<By> = Vec::new();
        for by in keys {
            if !distinct.contains(&by) {
                distinct.push(by);
            }
        }
        (!distinct.is_empty()).then_some(Self(distinct))
    }

    pub fn iter(&self) -> impl Iterator<Item = By> {
        self.0.iter().copied()
    }

    pub fn contains(&self, by: By) -> bool {
        self.0.contains(&by)
    }

    /// What the ledger must tell apart for them.
    pub fn detail(&self) -> OriginDetail {
        OriginDetail {
            call_sites: self.contains(By::CallSite),
            gfp: self.contains(By::Gfp),
            nodes: self.contains(By::Node),
            io_workers: self.contains(By::Context),
        }
    }

    /// The one that there is, if there is one.
    pub fn only(&self) -> Option<By> {
        if let [by] = self.0[..] { Some(by) } else { None }
    }

    /// As it is written on the command line: `cgroup,comm`.
    pub fn names(&self) -> String {
        self.0.iter().map(|by| by.name()).collect::<Vec<_>>().join(",")
    }
}

impl From<By> for Keys {
    fn from(by: By) -> Self {
        Self(vec![by])
    }
}

/// What a row is called by one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Comm(Comm, bool),
    Process(ProcessId),
    Ancestors(Comm, bool, ChainId),
    Cgroup(CgroupId),
    Cache(String),
    CallSite(Address),
    Node(NodeId),
    Gfp(Gfp),
    Context(Option<Context>),
}

/// What the parts' names are taken from.
#[derive(Clone, Copy)]
pub(super) struct Directories<'a> {
    pub processes: &'a Processes,
    pub cgroups: &'a Cgroups,
    pub call_sites: Option<&'a dyn CallSites>,
    pub gfp_names: Option<&'a GfpNames>,
}

impl Part {
    pub fn of(by: By, origin: &OriginKey, cache: &str, directories: Directories<'_>) -> Self {
        let (comm, is_kthread) = who(origin.task);
        match by {
            By::Comm => Part::Comm(comm, is_kthread),
            By::Pid => Part::Process(origin.task.process()),
            By::Ancestors => Part::Ancestors(comm, is_kthread, chain(origin.task, directories.processes)),
            By::Cgroup => Part::Cgroup(origin.cgroup),
            By::Cache => Part::Cache(cache.to_owned()),
            By::CallSite => Part::CallSite(origin.call_site),
            By::Node => Part::Node(origin.node),
            By::Gfp => Part::Gfp(origin.gfp),
            By::Context => Part::Context(Context::of(origin)),
        }
    }

    pub fn text(&self, directories: Directories<'_>) -> Vec<u8> {
        match self {
            &Part::Comm(comm, is_kthread) => label((comm, is_kthread)),
            Part::Process(ProcessId { tgid: FOLDED, .. }) => OTHERS.to_vec(),
            Part::Process(process) => process.tgid.to_string().into_bytes(),
            &Part::Ancestors(comm, is_kthread, chain) => {
                let above = directories.processes.chain(chain).map(|comm| comm.as_bytes().to_vec());
                std::iter::once(label((comm, is_kthread))).chain(above).collect::<Vec<_>>().join(STARTED_BY)
            }
            Part::Cgroup(id) => cgroup(*id, directories.cgroups.path(*id)),
            Part::Cache(name) => name.clone().into_bytes(),
            Part::CallSite(address) => call_site(*address, directories.call_sites),
            Part::Node(NO_NODE) => UNKNOWN.into(),
            Part::Node(node) => node.to_string().into_bytes(),
            &Part::Gfp(flags) => {
                let flags = gfp_flags(flags, directories.gfp_names);
                flags.map_or(UNKNOWN.to_owned(), GfpFlags::into_text).into_bytes()
            }
            Part::Context(context) => context.map_or(UNKNOWN, Context::text).into(),
        }
    }
}

/// Who a task counts as: the idle tasks of all CPUs are one.
pub(super) fn who(task: Task) -> (Comm, bool) {
    if task.tgid == 0 { (Comm::truncated(b"swapper"), true) } else { (task.comm, task.is_kthread) }
}

/// Kernel threads in brackets, as ps shows them.
pub(super) fn label((comm, is_kthread): (Comm, bool)) -> Vec<u8> {
    if is_kthread { [b"[", comm.as_bytes(), b"]"].concat() } else { comm.as_bytes().to_vec() }
}

/// Who started a task's process.
pub(super) fn chain(task: Task, processes: &Processes) -> ChainId {
    processes.get(task.process()).map_or(NO_CHAIN, |process| process.chain)
}

/// A cgroup in a few words: the container or unit, or else its path.
pub fn cgroup(id: CgroupId, path: Option<&[u8]>) -> Vec<u8> {
    let Some(path) = path else {
        return if id == 0 { UNKNOWN.into() } else { format!("(gone: {id})").into_bytes() };
    };
    Owner::from_path(path).name().map_or_else(|| path.to_vec(), String::into_bytes)
}

/// What a row's keys say of how its objects were allocated.
pub(super) fn alloc_context(parts: &[Part], directories: Directories<'_>) -> AllocContext {
    let mut alloc_context = AllocContext::default();
    for part in parts {
        match *part {
            Part::Context(context) => alloc_context.context = context,
            Part::Gfp(flags) => alloc_context.gfp = gfp_flags(flags, directories.gfp_names),
            Part::Node(node) => alloc_context.node = Some(node).filter(|&node| node != NO_NODE),
            _ => {}
        }
    }
    alloc_context
}

fn gfp_flags(flags: Gfp, names: Option<&GfpNames>) -> Option<GfpFlags> {
    (flags != NO_GFP).then(|| GfpFlags { flags, names: names.map(|names| names.text(flags)) })
}

fn call_site(address: Address, names: Option<&dyn CallSites>) -> Vec<u8> {
    match (address, names.and_then(|names| names.name(address))) {
        (0, _) => UNKNOWN.into(),
        (_, Some(name)) => name.into_bytes(),
        (_, None) => format!("{address:#x}").into_bytes(),
    }
}
