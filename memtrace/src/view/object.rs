//! Single objects, as exports show them: what it is, who allocated it, and what it is called.

use std::{sync::Arc, time::Duration};

use super::{
    checkpoint::Checkpoint,
    lookups::{Caches, Lookups},
    task::{STARTED_BY, chain_of, command_label, command_of},
};
use crate::{
    attribution::{cgroup::Cgroups, process::Command},
    stream::{
        calls::CallSites,
        event::{Address, NO_NODE, NodeId, ObjectKind, TimeNs},
        ledger::{FOLDED, Held, Ledger, OriginKey},
    },
};

/// What an allocation tells of its object. What is not known is None. Raw text: escape it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allocated<'a> {
    pub cache: Option<&'a str>,
    /// What one object of the cache takes.
    pub bytes: Option<u64>,
    /// Kernel threads come in brackets already.
    pub comm: Option<Vec<u8>>,
    pub pid: Option<u32>,
    /// Its path.
    pub cgroup: Option<&'a [u8]>,
    /// The place in the kernel: its name, or else its address.
    pub call_site: Option<String>,
}

/// What names are taken from.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub caches: &'a Caches,
    pub cgroups: &'a Cgroups,
    pub call_sites: Option<&'a dyn CallSites>,
}

impl<'a> From<Lookups<'a>> for Names<'a> {
    fn from(lookups: Lookups<'a>) -> Self {
        let Lookups { caches, cgroups, call_sites, .. } = lookups;
        Self { caches, cgroups, call_sites }
    }
}

impl<'a> Allocated<'a> {
    pub fn new(origin: &OriginKey, names: Names<'a>) -> Self {
        let named = |address| names.call_sites.and_then(|names| names.name(address));
        let place = |address| named(address).unwrap_or_else(|| format!("{address:#x}"));
        Self {
            comm: Some(command_label(command_of(origin.task))),
            pid: Some(origin.task.tgid).filter(|&pid| pid != FOLDED),
            cgroup: names.cgroups.path(origin.cgroup),
            call_site: Some(origin.call_site).filter(|&address| address != 0).map(place),
            ..Self::from_cache(origin.cache, names)
        }
    }

    /// Where only the cache is lookups.
    pub fn from_cache(cache: Address, names: Names<'a>) -> Self {
        let info = names.caches.get(&cache);
        Self {
            cache: info.map(|info| info.name.as_str()),
            bytes: info.map(|info| info.object_size),
            ..Self::default()
        }
    }
}

/// An object that is outstanding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectView<'a> {
    pub address: Address,
    /// When it was allocated, within a tenth of a millisecond.
    pub time: TimeNs,
    pub age: Duration,
    pub allocated: Allocated<'a>,
    /// Tells processes that had the same number one after the other.
    pub process_tag: u32,
    /// NUMA node that its memory is on; None where that is not lookups.
    pub node: Option<NodeId>,
    /// Who started the process: the nearest first, `probe.sh < cron`. Empty where that is not lookups.
    pub started_by: Vec<u8>,
    pub command: Option<Arc<Command>>,
    /// Where it was looked at, the whole path of the directory that it is in; else that one's name.
    pub directory: Option<&'a [u8]>,
    /// Its name, with digits, hexadecimal ids and uuids as `<n>`.
    pub pattern: Option<&'a [u8]>,
    pub filesystem: Option<&'a [u8]>,
    /// Of a dentry that was looked at: nothing has this name.
    pub is_negative: Option<bool>,
    /// How many objects it stands for.
    pub weight: u64,
}

/// The outstanding objects that are shown and at least so old, `most` of them at most: where there are more, each of a fair sample
/// stands for several.
pub fn outstanding<'a>(
    ledger: &'a Ledger,
    checkpoint: &Checkpoint,
    lookups: Lookups<'a>,
    older: Option<Duration>,
    most: usize,
) -> impl Iterator<Item = ObjectView<'a>> {
    let now = checkpoint.now;
    let until = older.map(|age| checkpoint.time_of_age(age));
    let is_old = move |held: &Held<'_>| until.is_none_or(|until| held.object.time <= until);
    let chosen = move || ledger.objects().filter(move |held| is_old(held) && (lookups.is_shown)(held.origin));
    let step = chosen().count().div_ceil(most.max(1)).max(1);
    let weight = u64::from(ledger.period()) * step as u64;
    chosen().step_by(step).map(move |held| ObjectView::new(held, now, weight, lookups))
}

impl<'a> ObjectView<'a> {
    fn new(held: Held<'a>, now: TimeNs, weight: u64, lookups: Lookups<'a>) -> Self {
        let Held { object, origin, name } = held;
        let above = lookups.processes.chain(chain_of(origin.task, lookups.processes));
        let above: Vec<_> = above.map(|comm| comm.as_bytes().to_vec()).collect();
        let process = lookups.processes.get(origin.task.process());
        let is_negative = |kind| match kind {
            ObjectKind::Dentry { negative, .. } => Some(negative),
            _ => None,
        };
        let text = |text: &'a [u8]| Some(text).filter(|text| !text.is_empty());
        Self {
            address: object.ptr,
            time: object.time,
            age: Duration::from_nanos(now.saturating_sub(object.time)),
            allocated: Allocated::new(origin, lookups.into()),
            process_tag: origin.task.started,
            node: Some(origin.node).filter(|&node| node != NO_NODE),
            started_by: above.join(STARTED_BY),
            command: process.and_then(|process| process.command.clone()),
            directory: name.and_then(|name| text(name.directory)),
            pattern: name.map(|name| name.pattern),
            filesystem: name.and_then(|name| text(name.filesystem)),
            is_negative: name.and_then(|name| name.kind).and_then(is_negative),
            weight,
        }
    }
}
