//! What rows are grouped by.

use super::{
    alloc_context::{AllocContext, Context, GfpFlags},
    lookups::Lookups,
    task::{STARTED_BY, chain_of, command_label, command_of},
};
use crate::{
    attribution::{cgroup::Owner, process::ChainId},
    kernel::gfp::GfpNames,
    stream::{
        calls::CallSites,
        event::{Address, CgroupId, Comm, Gfp, NO_GFP, NO_NODE, NodeId, ProcessId},
        ledger::{FOLDED, OTHERS, OriginDetail, OriginKey},
    },
};

const UNKNOWN: &str = "(unknown)";

/// One thing to group rows by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
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

/// What rows are grouped by: all of these together, at least one, none twice.
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

    /// What the ledger must keep apart for them.
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
        self.0.iter().map(By::into_str).collect::<Vec<_>>().join(",")
    }
}

impl From<By> for Keys {
    fn from(by: By) -> Self {
        Self(vec![by])
    }
}

/// What a row is called by one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyPart {
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

impl KeyPart {
    pub fn new(by: By, origin: &OriginKey, cache: &str, lookups: Lookups<'_>) -> Self {
        let (comm, is_kthread) = command_of(origin.task);
        match by {
            By::Comm => KeyPart::Comm(comm, is_kthread),
            By::Pid => KeyPart::Process(origin.task.process()),
            By::Ancestors => KeyPart::Ancestors(comm, is_kthread, chain_of(origin.task, lookups.processes)),
            By::Cgroup => KeyPart::Cgroup(origin.cgroup),
            By::Cache => KeyPart::Cache(cache.to_owned()),
            By::CallSite => KeyPart::CallSite(origin.call_site),
            By::Node => KeyPart::Node(origin.node),
            By::Gfp => KeyPart::Gfp(origin.gfp),
            By::Context => KeyPart::Context(Context::from_origin(origin)),
        }
    }

    pub fn text(&self, lookups: Lookups<'_>) -> Vec<u8> {
        match self {
            &KeyPart::Comm(comm, is_kthread) => command_label((comm, is_kthread)),
            KeyPart::Process(ProcessId { tgid: FOLDED, .. }) => OTHERS.to_vec(),
            KeyPart::Process(process) => process.tgid.to_string().into_bytes(),
            &KeyPart::Ancestors(comm, is_kthread, chain) => {
                let above = lookups.processes.chain(chain).map(|comm| comm.as_bytes().to_vec());
                std::iter::once(command_label((comm, is_kthread)))
                    .chain(above)
                    .collect::<Vec<_>>()
                    .join(STARTED_BY)
            }
            KeyPart::Cgroup(id) => cgroup(*id, lookups.cgroups.path(*id)),
            KeyPart::Cache(name) => name.clone().into_bytes(),
            KeyPart::CallSite(address) => call_site_label(*address, lookups.call_sites),
            KeyPart::Node(NO_NODE) => UNKNOWN.into(),
            KeyPart::Node(node) => node.to_string().into_bytes(),
            &KeyPart::Gfp(flags) => {
                let flags = gfp_flags(flags, lookups.gfp_names);
                flags.map_or(UNKNOWN.to_owned(), GfpFlags::into_text).into_bytes()
            }
            KeyPart::Context(context) => context.map_or(UNKNOWN, Context::text).into(),
        }
    }
}

/// A short name of a cgroup: the container or unit, or else its path.
pub fn cgroup(id: CgroupId, path: Option<&[u8]>) -> Vec<u8> {
    let Some(path) = path else {
        return if id == 0 { UNKNOWN.into() } else { format!("(cgroup {id})").into_bytes() };
    };
    Owner::from_path(path).name().map_or_else(|| path.to_vec(), String::into_bytes)
}

/// How a row's objects were allocated, as far as its keys say.
pub(super) fn alloc_context(parts: &[KeyPart], lookups: Lookups<'_>) -> AllocContext {
    let mut alloc_context = AllocContext::default();
    for part in parts {
        match *part {
            KeyPart::Context(context) => alloc_context.context = context,
            KeyPart::Gfp(flags) => alloc_context.gfp = gfp_flags(flags, lookups.gfp_names),
            KeyPart::Node(node) => alloc_context.node = Some(node).filter(|&node| node != NO_NODE),
            _ => {}
        }
    }
    alloc_context
}

fn gfp_flags(flags: Gfp, names: Option<&GfpNames>) -> Option<GfpFlags> {
    (flags != NO_GFP).then(|| GfpFlags { flags, names: names.map(|names| names.text(flags)) })
}

fn call_site_label(address: Address, names: Option<&dyn CallSites>) -> Vec<u8> {
    match (address, names.and_then(|names| names.name(address))) {
        (0, _) => UNKNOWN.into(),
        (_, Some(name)) => name.into_bytes(),
        (_, None) => format!("{address:#x}").into_bytes(),
    }
}
