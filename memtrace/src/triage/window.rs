//! What changed between two samples.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    sample::{Glance, Sample, page_size},
    sum::{Part, Sum},
};
use crate::procfs::{
    cgroup::CgroupMemory,
    process::{
        ProcessId,
        memory::{ProcessList, ProcessMemory},
    },
    slab::{SlabCache, SlabCaches},
    tmpfs::Tmpfs,
};

/// Two samples, and glances in between.
#[derive(Debug)]
pub struct Window {
    pub before: Sample,
    pub between: Vec<Glance>,
    pub after: Sample,
    /// The process that does not count: memtrace.
    pub own_pid: u32,
    /// Proportional set size, of the few processes that were measured: before and after.
    pub proportional: HashMap<ProcessId, (Option<u64>, Option<u64>)>,
}

/// How a figure moved: by how much in all, and how much of it went up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    pub net: i64,
    pub up: u64,
    pub down: u64,
}

impl Movement {
    fn through(values: impl Iterator<Item = i64>) -> Self {
        let mut movement = Self::default();
        let mut last = None;
        for value in values {
            let step = last.map_or(0, |last: i64| value.saturating_sub(last));
            movement.net = movement.net.saturating_add(step);
            let way = if step > 0 { &mut movement.up } else { &mut movement.down };
            *way = way.saturating_add(step.unsigned_abs());
            last = Some(value);
        }
        movement
    }

    /// It goes one way: it rose at least twice as much as it fell. What only fluctuates fails here, however large the
    /// fluctuations are on this host.
    pub fn is_steady(self) -> bool {
        self.net > 0 && self.up / 2 >= self.down
    }
}

/// Memory of processes, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    pub pid: u32,
    pub comm: Vec<u8>,
    pub resident: u64,
    pub growth: i64,
    pub anon: u64,
    pub proportional: Option<u64>,
    pub proportional_growth: Option<i64>,
}

/// All processes of a command name, those that have ended meanwhile included: their memory shrank to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub comm: Vec<u8>,
    pub processes: u64,
    /// Where it is one.
    pub pid: Option<u32>,
    pub anon: u64,
    pub growth: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupRow {
    pub path: Vec<u8>,
    pub memory: u64,
    pub growth: i64,
    pub slab: Option<u64>,
    pub slab_growth: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheRow {
    pub name: String,
    /// Caches merged into it.
    pub aliases: Vec<String>,
    pub reclaimable: Option<bool>,
    pub bytes: u64,
    pub growth: i64,
    pub objects: u64,
    pub objects_growth: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TmpfsRow {
    pub at: Vec<u8>,
    pub used: u64,
    pub growth: i64,
}

impl Window {
    pub fn length(&self) -> Duration {
        self.after.glance.at.saturating_duration_since(self.before.glance.at)
    }

    pub fn sum(&self) -> &Sum {
        &self.after.glance.sum
    }

    pub fn movement(&self, of: impl Fn(&Sum) -> i64) -> Movement {
        let first = std::iter::once(&self.before.glance);
        let glances = first.chain(&self.between).chain([&self.after.glance]);
        Movement::through(glances.map(|glance| of(&glance.sum)))
    }

    pub fn growth(&self, part: Part) -> i64 {
        change(self.before.glance.sum.get(part), self.after.glance.sum.get(part))
    }

    /// By how much memtrace's own memory grew, which is no finding.
    pub fn own_growth(&self) -> i64 {
        let own = |sample: &Sample| {
            let own = sample.processes.list.iter().find(|(id, _)| id.tgid == self.own_pid);
            own.map_or(0, |(_, process)| process.anon)
        };
        difference(own(&self.before), own(&self.after))
    }

    fn others(&self) -> impl Iterator<Item = (&ProcessId, &ProcessMemory)> {
        self.after.processes.list.iter().filter(|(id, _)| id.tgid != self.own_pid)
    }

    /// In no order.
    pub fn processes(&self) -> Vec<ProcessRow> {
        let row = |(id, now): (&ProcessId, &ProcessMemory)| {
            let before = match self.before.processes.list.get(id) {
                Some(before) => before.resident,
                None if may_have_been(&self.before.processes) => now.resident,
                None => 0,
            };
            let (was, is) = self.proportional.get(id).copied().unwrap_or_default();
            ProcessRow {
                pid: id.tgid,
                comm: now.comm.clone(),
                resident: now.resident,
                growth: difference(before, now.resident),
                anon: now.anon,
                proportional: is,
                proportional_growth: was.zip(is).map(|(was, is)| difference(was, is)),
            }
        };
        self.others().map(row).collect()
    }

    /// In the order of their names.
    pub fn commands(&self) -> Vec<Command> {
        let (before, after) = (&self.before.processes, &self.after.processes);
        let mut commands: BTreeMap<&[u8], Command> = BTreeMap::new();
        for (id, process) in self.others() {
            let command = commands.entry(&process.comm).or_default();
            command.pid = (command.processes == 0).then_some(id.tgid);
            command.processes += 1;
            command.anon = command.anon.saturating_add(process.anon);
            if may_have_been(before) && !before.list.contains_key(id) {
                command.growth = command.growth.saturating_sub_unsigned(process.anon);
            }
        }
        for (id, process) in &before.list {
            if may_have_been(after) && !after.list.contains_key(id) {
                continue;
            }
            if let Some(command) = commands.get_mut(&process.comm[..]).filter(|_| id.tgid != self.own_pid) {
                command.growth = command.growth.saturating_sub_unsigned(process.anon);
            }
        }
        let finish = |(comm, command): (&[u8], Command)| Command {
            comm: comm.to_vec(),
            growth: command.growth.saturating_add_unsigned(command.anon),
            ..command
        };
        commands.into_iter().map(finish).collect()
    }

    /// In no order.
    pub fn cgroups(&self) -> Vec<CgroupRow> {
        let (before, after) = (&self.before.cgroups.list, &self.after.cgroups.list);
        let row = |(path, now): (&Vec<u8>, &CgroupMemory)| {
            let unread = if self.before.cgroups.left_out > 0 { *now } else { Default::default() };
            let was = before.get(path).copied().unwrap_or(unread);
            CgroupRow {
                path: path.clone(),
                memory: now.memory,
                growth: difference(was.memory, now.memory),
                slab: now.slab,
                slab_growth: was.slab.zip(now.slab).map(|(was, is)| difference(was, is)),
            }
        };
        after.iter().map(row).collect()
    }

    /// By name. Empty where the caches cannot be listed.
    pub fn caches(&self) -> Vec<CacheRow> {
        let (Ok(before), Ok(after)) = (&self.before.caches, &self.after.caches) else { return Vec::new() };
        caches_between(before, after)
    }

    /// In the order of the mounts.
    pub fn tmpfs(&self) -> Vec<TmpfsRow> {
        let was =
            |at: &[u8]| self.before.tmpfs.iter().find(|before| before.at == at).map_or(0, |was| was.used);
        let row = |now: &Tmpfs| TmpfsRow {
            at: now.at.clone(),
            used: now.used,
            growth: difference(was(&now.at), now.used),
        };
        self.after.tmpfs.iter().map(row).collect()
    }

    /// Counts that only go up (vmstat).
    pub fn events(&self, of: impl Fn(&Sample) -> u64) -> u64 {
        of(&self.after).saturating_sub(of(&self.before))
    }
}

/// How caches changed from one reading to the next; caches without numbers are left out.
pub fn caches_between(before: &SlabCaches, after: &SlabCaches) -> Vec<CacheRow> {
    let row = |cache: &SlabCache| {
        let now = cache.counts?;
        let was = before.get(&cache.name).and_then(|before| before.counts).unwrap_or_default();
        Some(CacheRow {
            name: cache.name.clone(),
            aliases: cache.aliases.clone(),
            reclaimable: cache.reclaimable,
            bytes: now.bytes(page_size()),
            growth: difference(was.bytes(page_size()), now.bytes(page_size())),
            objects: now.active_objects,
            objects_growth: difference(was.active_objects, now.active_objects),
        })
    };
    after.caches.iter().filter_map(row).collect()
}

/// Where not all processes were read, one that is in the other sample only may have been there all the time: it counts as
/// unchanged.
fn may_have_been(processes: &ProcessList) -> bool {
    processes.left_out > 0
}

pub fn difference(was: u64, is: u64) -> i64 {
    let size = i64::try_from(was.abs_diff(is)).unwrap_or(i64::MAX);
    if is < was { -size } else { size }
}

fn change(was: i64, is: i64) -> i64 {
    is.saturating_sub(was)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steady_is_what_goes_one_way() {
        let check = |values: &[i64], net, is_steady| {
            let movement = Movement::through(values.iter().copied());
            assert_eq!((movement.net, movement.is_steady()), (net, is_steady), "{values:?}");
        };
        check(&[], 0, false);
        check(&[5], 0, false);
        check(&[5, 5, 5], 0, false);
        check(&[1, 2, 3, 9], 8, true);
        check(&[0, 100, 100, 100], 100, true);
        check(&[0, 90, 10, 60], 60, false);
        check(&[0, 60, 30, 90], 90, true);
        check(&[9, 3], -6, false);
    }

    proptest! {
        #[test]
        fn what_came_less_what_went_is_the_change(values in prop::collection::vec(-1_000_000_i64..1_000_000, 1..40)) {
            let movement = Movement::through(values.iter().copied());
            prop_assert_eq!(movement.net, values[values.len() - 1] - values[0]);
            prop_assert_eq!(movement.net, movement.up.cast_signed() - movement.down.cast_signed());
        }

        #[test]
        fn differences_never_overflow(a: u64, b: u64) {
            prop_assert_eq!(difference(a, b) > 0, b > a);
            prop_assert_eq!(difference(a, b), -difference(b, a));
        }
    }
}
