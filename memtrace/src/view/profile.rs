//! Objects by the calls that led to them: what flame graphs and pprof are made of.
//!
//! Each allocation carries its task, its cache and, on request, its call site; with `--stacks` one in a period also carries its
//! stack. So objects that have task, cache and call site in common are apportioned among the stacks that some of them carried:
//! outstanding objects by the outstanding ones with a stack, freed objects by the freed ones. Shares are whole numbers and add up
//! to what the ledger counts. Where none carried a stack, the call site stands for it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::Duration,
};

use super::{
    checkpoint::Checkpoint,
    lookups::Lookups,
    snapshot::Snapshot,
    task::{command_label, command_of},
};
use crate::stream::{
    event::{Address, CgroupId, Comm, NO_NODE, NO_STACK, NodeId, StackId},
    ledger::{Ledger, OriginKey},
};

/// Allocations by their calls. Where sampling or `--stacks` leaves objects out, counts are scaled to all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// One allocation in this many carries its stack; None where none does: then the call site stands for it.
    pub stacks_period: Option<u32>,
    /// In a fixed order, each different from all others.
    pub samples: Vec<Sample>,
}

/// Objects that the same calls led to, of one command name, cgroup and cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Functions, the innermost first: of the kernel, then with their file in brackets of the process. Empty where nothing is
    /// known of the calls. Raw text: escape it.
    pub frames: Vec<String>,
    /// Kernel threads come in brackets already.
    pub comm: Vec<u8>,
    /// None where it is not lookups.
    pub cgroup: Option<Vec<u8>>,
    /// NUMA node of the memory; None where it is not known, or not told apart.
    pub node: Option<NodeId>,
    pub cache: String,
    /// Since the start.
    pub allocs: u64,
    pub alloc_bytes: u64,
    /// Outstanding.
    pub objects: u64,
    pub bytes: u64,
}

/// A profile, and the report that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Profiled<'a> {
    pub profile: &'a Profile,
    pub snapshot: &'a Snapshot,
}

/// Which of a sample's counts is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Weight {
    /// Bytes outstanding
    #[default]
    Bytes,
    /// Objects outstanding
    Objects,
    /// Bytes allocated since the start, freed or not
    AllocatedBytes,
    /// Objects allocated since the start, freed or not
    AllocatedObjects,
}

impl Weight {
    pub fn value(self, sample: &Sample) -> u64 {
        match self {
            Self::Bytes => sample.bytes,
            Self::Objects => sample.objects,
            Self::AllocatedBytes => sample.alloc_bytes,
            Self::AllocatedObjects => sample.allocs,
        }
    }
}

type Calls = Rc<[String]>;

/// What every allocation carries.
#[derive(PartialEq, Eq, Hash)]
struct Common {
    comm: (Comm, bool),
    cgroup: CgroupId,
    cache: Address,
    call_site: Address,
    node: NodeId,
}

/// Objects that have that in common.
#[derive(Default)]
struct Group {
    all: Counts,
    /// Those that carried their stack.
    stacked: BTreeMap<Calls, Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    allocs: u64,
    /// Outstanding ones.
    objects: u64,
}

/// In the order of the samples.
type SampleKey = (Vec<u8>, Option<Vec<u8>>, String, Calls, NodeId);

impl Profile {
    /// Of all but what the tracing process allocated. With an age, only objects that are at least so old count as outstanding.
    pub fn new(
        ledger: &Ledger,
        checkpoint: &Checkpoint,
        lookups: Lookups<'_>,
        older: Option<Duration>,
    ) -> Self {
        let mut samples: BTreeMap<SampleKey, Sample> = BTreeMap::new();
        for (common, group) in groups(ledger, checkpoint, lookups, older) {
            let cache = lookups.cache(common.cache);
            let cgroup = lookups.cgroups.path(common.cgroup).map(<[u8]>::to_vec);
            for (calls, counts) in group.shared_out(place(common.call_site, lookups)) {
                let key =
                    (command_label(common.comm), cgroup.clone(), cache.name.clone(), calls, common.node);
                samples.entry(key).or_default().add(counts, cache.object_size);
            }
        }
        let complete = |((comm, cgroup, cache, calls, node), counts): (SampleKey, Sample)| Sample {
            frames: calls.to_vec(),
            comm,
            cgroup,
            node: Some(node).filter(|&node| node != NO_NODE),
            cache,
            ..counts
        };
        Self {
            stacks_period: lookups.stacks.map(|stacks| stacks.period()),
            samples: samples.into_iter().map(complete).collect(),
        }
    }
}

impl Profile {
    /// What is outstanding after and was not before, by command, calls and slab cache. Cgroups are left out: their names are
    /// others after each boot.
    pub fn added(before: &Profile, after: &Profile) -> Self {
        let mut held: HashMap<_, (u64, u64)> = HashMap::new();
        for sample in &before.samples {
            let (objects, bytes) = held.entry(sample.calls()).or_default();
            *objects = objects.saturating_add(sample.objects);
            *bytes = bytes.saturating_add(sample.bytes);
        }
        let mut samples = Vec::new();
        for sample in &after.samples {
            let (objects, bytes) = held.entry(sample.calls()).or_default();
            let less = |held: &mut u64, now: u64| {
                let old = now.min(*held);
                *held -= old;
                now - old
            };
            let (objects, bytes) = (less(objects, sample.objects), less(bytes, sample.bytes));
            samples.push(Sample {
                cgroup: None,
                node: None,
                allocs: 0,
                alloc_bytes: 0,
                objects,
                bytes,
                ..sample.clone()
            });
        }
        samples.retain(|sample| sample.objects > 0);
        Self { stacks_period: after.stacks_period, samples }
    }
}

impl Sample {
    /// What tells it from others, whatever the cgroup.
    fn calls(&self) -> (&[u8], &str, &[String]) {
        (&self.comm, &self.cache, &self.frames)
    }

    fn add(&mut self, counts: Counts, object_size: u64) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.allocs, counts.allocs);
        add(&mut self.alloc_bytes, counts.allocs.saturating_mul(object_size));
        add(&mut self.objects, counts.objects);
        add(&mut self.bytes, counts.objects.saturating_mul(object_size));
    }
}

impl From<&OriginKey> for Common {
    fn from(origin: &OriginKey) -> Self {
        let OriginKey { cache, task, cgroup, call_site, node, .. } = *origin;
        Self { comm: command_of(task), cgroup, cache, call_site, node }
    }
}

fn groups(
    ledger: &Ledger,
    checkpoint: &Checkpoint,
    lookups: Lookups<'_>,
    older: Option<Duration>,
) -> HashMap<Common, Group> {
    let aged = older.map(|age| ledger.allocated_until(checkpoint.time_of_age(age)));
    let mut named: HashMap<StackId, Calls> = HashMap::new();
    let mut groups: HashMap<Common, Group> = HashMap::new();
    for origin in lookups.shown(ledger) {
        let objects = aged.as_ref().map_or_else(|| origin.outstanding(), |aged| aged.objects(origin));
        let counts = Counts { allocs: origin.allocs, objects };
        let group = groups.entry(Common::from(&origin.key)).or_default();
        group.all.add(counts);
        let Some(stacks) = lookups.stacks.filter(|_| origin.key.stack != NO_STACK) else { continue };
        let calls = named.entry(origin.key.stack).or_insert_with_key(|&id| stacks.names(id).into());
        if !calls.is_empty() {
            group.stacked.entry(calls.clone()).or_default().add(counts);
        }
    }
    groups
}

/// What is known of the calls where no stack is.
fn place(call_site: Address, lookups: Lookups<'_>) -> Calls {
    if call_site == 0 {
        return Calls::default();
    }
    let function = lookups.call_sites.and_then(|names| names.function(call_site));
    [function.unwrap_or_else(|| format!("{call_site:#x}"))].into()
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.allocs = self.allocs.saturating_add(more.allocs);
        self.objects = self.objects.saturating_add(more.objects);
    }

    /// Those that are not outstanding.
    fn others(self) -> u64 {
        self.allocs.saturating_sub(self.objects)
    }
}

impl Group {
    /// The stacks, and how many of all objects are theirs; the place gets those that no stack stands for.
    fn shared_out(self, place: Calls) -> Vec<(Calls, Counts)> {
        let all = self.all;
        let (mut calls, stacked): (Vec<Calls>, Vec<Counts>) = self.stacked.into_iter().unzip();
        calls.push(place);
        let objects = shares_or_rest(all.objects, stacked.iter().map(|counts| counts.objects));
        let others = shares_or_rest(all.others(), stacked.iter().map(|counts| counts.others()));
        let both: Vec<u64> = objects.iter().zip(&others).map(|(a, b)| a.saturating_add(*b)).collect();
        // This is the sum of both, but where sampling estimates that more are outstanding than were allocated.
        let allocs = shares(all.allocs, &both);
        let counts = allocs.into_iter().zip(objects).map(|(allocs, objects)| Counts { allocs, objects });
        calls.into_iter().zip(counts).filter(|(_, counts)| *counts != Counts::default()).collect()
    }
}

/// The shares, and behind them the rest: everything if all weights are 0.
fn shares_or_rest(total: u64, weights: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut weights: Vec<u64> = weights.collect();
    let has_no_weight = weights.iter().all(|&weight| weight == 0);
    weights.push(has_no_weight.into());
    shares(total, &weights)
}

/// Parts of a total, proportional to the weights as far as whole numbers can be: the largest remainders get one more. Not all
/// weights may be 0, unless the total is.
fn shares(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum = weights.iter().map(|&weight| u128::from(weight)).sum::<u128>().max(1);
    let exact = |&weight: &u64| u128::from(total) * u128::from(weight);
    let mut shares: Vec<u64> = weights.iter().map(|weight| (exact(weight) / sum) as u64).collect();
    let missing = total.saturating_sub(shares.iter().sum()) as usize;
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&at| Reverse(exact(&weights[at]) % sum));
    by_remainder.into_iter().take(missing).for_each(|at| shares[at] += 1);
    shares
}

#[cfg(test)]
mod tests;
