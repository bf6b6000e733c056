//! What changed between two samples.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
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
    /// Slab caches in between, more seldom.
    pub looks: Vec<Look>,
    pub after: Sample,
    /// The process that does not count: memtrace.
    pub own_pid: u32,
    /// Proportional set size, of the few processes that were measured: before and after.
    pub proportional: HashMap<ProcessId, (Option<u64>, Option<u64>)>,
}

/// The slab caches at a moment.
#[derive(Debug)]
pub struct Look {
    pub at: Instant,
    pub caches: SlabCaches,
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

/// What leaks grows in each third of the time, none of them less than this share of what an even third would be. What comes
/// at once and stays does not, nor what warms up.
const LEAST_THIRD: f64 = 0.25;

/// Whether a figure grew throughout: values at their times, in order.
pub fn grows_throughout(points: &[(Instant, i64)]) -> bool {
    let [(start, first), .., (end, last)] = points else { return false };
    let even = last.saturating_sub(*first) as f64 / 3.0;
    let at = |third: u32| value_at(points, *start + (*end - *start) * third / 3);
    points.len() > 2 && even > 0.0 && (0..3).all(|third| at(third + 1) - at(third) >= even * LEAST_THIRD)
}

/// Between two points, on the line from the one to the other.
fn value_at(points: &[(Instant, i64)], time: Instant) -> f64 {
    let before = points.iter().rev().find(|(at, _)| *at <= time).or(points.first());
    let after = points.iter().find(|(at, _)| *at >= time).or(points.last());
    let (Some(&(from, was)), Some(&(to, is))) = (before, after) else { return 0.0 };
    let length = to.saturating_duration_since(from).as_secs_f64();
    let share = if length > 0.0 { time.saturating_duration_since(from).as_secs_f64() / length } else { 0.0 };
    was as f64 + (is as f64 - was as f64) * share
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
    pub slabs_growth: i64,
    pub objects_per_slab: u64,
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

    fn glances(&self) -> impl Iterator<Item = &Glance> {
        std::iter::once(&self.before.glance).chain(&self.between).chain([&self.after.glance])
    }

    pub fn movement(&self, of: impl Fn(&Sum) -> i64) -> Movement {
        Movement::through(self.glances().map(|glance| of(&glance.sum)))
    }

    /// Whether what is in the glances grew throughout; false where it is not in all of them.
    pub fn grew_throughout(&self, of: impl Fn(&Glance) -> Option<i64>) -> bool {
        let points: Option<Vec<_>> = self.glances().map(|glance| Some((glance.at, of(glance)?))).collect();
        points.is_some_and(|points| grows_throughout(&points))
    }

    /// Whether the memory of these slab caches grew throughout, together.
    pub fn caches_grew_throughout(&self, names: &[&str]) -> bool {
        let bytes = |caches: &SlabCaches| {
            let counts = names.iter().filter_map(|name| caches.get(name)?.counts);
            counts.map(|counts| counts.bytes(page_size()).cast_signed()).sum::<i64>()
        };
        let (Ok(before), Ok(after)) = (&self.before.caches, &self.after.caches) else { return false };
        let first = std::iter::once((self.before.glance.at, bytes(before)));
        let looks = self.looks.iter().map(|look| (look.at, bytes(&look.caches)));
        let points: Vec<_> = first.chain(looks).chain([(self.after.glance.at, bytes(after))]).collect();
        grows_throughout(&points)
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

    /// The share of the time in which some task waited for memory; None where the kernel does not say.
    pub fn stalled(&self) -> Option<f64> {
        let (was, is) = self.before.pressure.zip(self.after.pressure)?;
        Some(self.share_of_time(is.some.total.saturating_sub(was.some.total)))
    }

    pub fn share_of_time(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.length().as_secs_f64().max(f64::MIN_POSITIVE)
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
            slabs_growth: difference(was.slabs, now.slabs),
            objects_per_slab: now.total_objects.checked_div(now.slabs).unwrap_or(0),
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

    #[track_caller]
    fn check_throughout(values: &[i64], expect: bool) {
        let start = Instant::now();
        let points: Vec<_> =
            values.iter().zip(0..).map(|(value, s)| (start + Duration::from_secs(s), *value)).collect();
        assert_eq!(grows_throughout(&points), expect, "{values:?}");
    }

    #[test]
    fn throughout_is_in_each_third() {
        check_throughout(&[], false);
        check_throughout(&[1, 9], false);
        check_throughout(&[0, 10, 20, 30, 40], true);
        // A bit slower, a bit faster, and one step back.
        check_throughout(&[0, 8, 20, 19, 30, 44, 50], true);
        // What comes at once and stays; what warms up; what comes at the end.
        check_throughout(&[0, 100, 100, 100, 100], false);
        check_throughout(&[0, 60, 90, 98, 100, 100, 100], false);
        check_throughout(&[0, 0, 0, 0, 0, 0, 90], false);
        check_throughout(&[50, 40, 30, 20], false);
    }

    proptest! {
        #[test]
        fn a_constant_rate_is_throughout(rate in 1_i64..1_000_000, n in 3_usize..40) {
            let values: Vec<i64> = (0..n as i64).map(|at| at * rate).collect();
            check_throughout(&values, true);
        }

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
