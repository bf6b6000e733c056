//! What the programs in the kernel send: their records, and their counters.

use std::{
    cell::Cell,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray},
    programs::{Program, ProgramError},
};
use memtrace_common::{
    counters::{ByKind, Counters, LossKey},
    event::{KIND_ALLOC, KIND_FREE},
    names::map,
};

use super::{
    clock,
    cost::ProbeTimes,
    error::LoadError,
    generations::Generations,
    log::KernelLog,
    rings::{Rings, error::RingError},
};
use crate::{
    procfs::fdinfo::Fdinfo,
    stream::{decode::RecordVisitor, event::TimeNs},
};

/// What happened this long ago can be read: CPUs' clocks, ours and the kernel's way to read them differ by less.
const SETTLED: TimeNs = 10_000;

/// A program on allocations or frees, and its backup.
pub(super) struct Probe {
    pub name: &'static str,
    pub backup: Option<&'static str>,
}

/// The kernel's side of the stream: the rings, and what the kernel counts.
pub struct Events {
    ebpf: Ebpf,
    log: KernelLog,
    /// Programs on allocations and frees.
    probes: Vec<Probe>,
    rings: Rings,
    losses: HashMap<MapData, LossKey, u64>,
    counters: PerCpuArray<MapData, Counters>,
    pub generations: Generations,
    /// The last answer of [`Self::recursion_misses`].
    misses: Cell<u64>,
}

impl Events {
    pub(super) fn new(
        mut ebpf: Ebpf,
        log: KernelLog,
        probes: Vec<Probe>,
        rings: Rings,
    ) -> Result<Self, LoadError> {
        let generations = Generations::take(&mut ebpf)?;
        let mut take = |name| ebpf.take_map(name).expect("the object has this map");
        let [losses, counters] = [map::LOSSES, map::COUNTERS].map(&mut take);
        let losses = HashMap::try_from(losses).map_err(|error| LoadError::Map(map::LOSSES, error))?;
        let counters =
            PerCpuArray::try_from(counters).map_err(|error| LoadError::Map(map::COUNTERS, error))?;
        Ok(Self { ebpf, log, probes, rings, losses, counters, generations, misses: Cell::new(0) })
    }

    /// Hands what is in the rings to the visitor, what happened to one object in its order, `most` records at most. What happened in
    /// the last [`SETTLED`] may be left for the next time. Returns how many were read.
    pub fn drain(
        &mut self,
        most: usize,
        visitor: &mut impl for<'a> RecordVisitor<'a>,
    ) -> Result<usize, RingError> {
        self.drain_until(clock::now().saturating_sub(SETTLED), most, visitor)
    }

    /// All that happened before this call. Where the clock goes in large steps, times are a little later than they were.
    pub fn drain_all(&mut self, visitor: &mut impl for<'a> RecordVisitor<'a>) -> Result<usize, RingError> {
        let until = clock::now() + SETTLED;
        while clock::now() < until + SETTLED {
            std::hint::spin_loop();
        }
        self.drain_until(until, usize::MAX, visitor)
    }

    fn drain_until(
        &mut self,
        until: TimeNs,
        most: usize,
        visitor: &mut impl for<'a> RecordVisitor<'a>,
    ) -> Result<usize, RingError> {
        let read = self.rings.drain(most, until, visitor);
        self.log.flush();
        read
    }

    /// Lets the kernel side follow fewer objects from now on: see [`memtrace_common::sample`].
    pub fn set_sample_limit(&mut self, limit: u32) -> Result<(), LoadError> {
        set_sample_limit(&mut self.ebpf, limit)
    }

    /// Lost allocations and frees by the address of their slab cache; 0 where it is not known.
    pub fn losses(&self) -> Result<std::collections::HashMap<u64, ByKind>, MapError> {
        let mut losses: std::collections::HashMap<u64, ByKind> = Default::default();
        for entry in self.losses.iter() {
            let (LossKey { cache, kind }, count) = entry?;
            let loss = losses.entry(cache).or_default();
            match u16::try_from(kind) {
                Ok(KIND_ALLOC) => loss.allocs += count,
                Ok(KIND_FREE) => loss.frees += count,
                _ => {}
            }
        }
        Ok(losses)
    }

    /// The kernel's counters, summed over all CPUs.
    pub fn counters(&self) -> Result<Counters, MapError> {
        let per_cpu = self.counters.get(&0, 0)?;
        Ok(per_cpu.iter().fold(self.rings.counters(), |sum, cpu| Counters {
            emitted: add(sum.emitted, cpu.emitted),
            lost: add(sum.lost, cpu.lost),
            unresolved: sum.unresolved + cpu.unresolved,
            unfollowed: sum.unfollowed + cpu.unfollowed,
            last_seen: [0; 4],
        }))
    }

    /// An upper bound on the events, of any cache, that no program saw. It never falls, also where it cannot be read any more.
    /// The kernel counts skipped runs since v5.12, Linux commit 9ed9e9ba2337 ("bpf: Count the number of times recursion was
    /// prevented").
    ///
    /// Names are not included: a dentry without its name is still counted.
    pub fn recursion_misses(&self) -> u64 {
        let skipped: io::Result<Vec<Skipped>> = self.probes.iter().map(|probe| self.skipped(probe)).collect();
        let misses = skipped.map(|skipped| missed_at_most(&skipped)).unwrap_or_default();
        self.misses.set(self.misses.get().max(misses));
        self.misses.get()
    }

    /// Time that the probes ran, as [`super::cost::RunTimeStatistics`] measures it.
    pub fn probe_times(&self) -> Result<ProbeTimes, ProgramError> {
        let mut times = ProbeTimes::default();
        for (name, program) in self.ebpf.programs() {
            // Programs that this kernel does not need are not loaded.
            let info = match program.info() {
                Ok(info) => info,
                Err(ProgramError::NotLoaded) => continue,
                Err(error) => return Err(error),
            };
            times.run_time += info.run_time();
            if self.probes.iter().any(|probe| probe.name == name) {
                times.events += info.run_count();
            }
        }
        Ok(times)
    }

    fn skipped(&self, probe: &Probe) -> io::Result<Skipped> {
        let skipped = |name: &str| {
            let Some(Ok(fd)) = self.ebpf.program(name).map(Program::fd) else { return Ok(0) };
            let fdinfo = fs::read(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))?;
            io::Result::Ok(Fdinfo::parse(&fdinfo).number("recursion_misses").unwrap_or(0))
        };
        Ok(Skipped { probe: skipped(probe.name)?, backup: probe.backup.map(skipped).transpose()? })
    }
}

/// Runs that the kernel skipped, because the program was running on that CPU already.
#[derive(Clone, Copy, Debug)]
struct Skipped {
    probe: u64,
    /// None where the probe has no backup.
    backup: Option<u64>,
}

/// An event is missed only where both its probe and the backup were skipped: of each pair, not more than of either. What a backup
/// emitted cannot be taken off: it also repeats events whose note was overwritten, see `backup.rs` in `memtrace-ebpf`.
fn missed_at_most(skipped: &[Skipped]) -> u64 {
    skipped.iter().map(|pair| pair.backup.map_or(pair.probe, |backup| backup.min(pair.probe))).sum()
}

fn add(a: ByKind, b: ByKind) -> ByKind {
    ByKind {
        allocs: a.allocs + b.allocs,
        frees: a.frees + b.frees,
        names: a.names + b.names,
        processes: a.processes + b.processes,
    }
}

pub(super) fn set_sample_limit(ebpf: &mut Ebpf, limit: u32) -> Result<(), LoadError> {
    let error = |error| LoadError::Map(map::SAMPLE_LIMIT, error);
    let map = ebpf.map_mut(map::SAMPLE_LIMIT).expect("the object has this map");
    Array::try_from(map).and_then(|mut map| map.set(0, limit, 0)).map_err(error)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const PAIRS: usize = 3;

    proptest! {
        /// Of each event which pair it was of, and whether each program ran. The last pair has no backup.
        #[test]
        fn the_bound_holds_and_never_falls(fates in vec((0..PAIRS, any::<bool>(), any::<bool>()), 0..200)) {
            let mut skipped = [Skipped { probe: 0, backup: Some(0) }; PAIRS];
            skipped[PAIRS - 1].backup = None;
            let (mut missed, mut last) = (0, 0);
            for (pair, probe_ran, backup_ran) in fates.into_iter() {
                let Skipped { probe, backup } = &mut skipped[pair];
                *probe += u64::from(!probe_ran);
                if let Some(backup) = backup {
                    *backup += u64::from(!backup_ran);
                }
                missed += u64::from(!probe_ran && (backup.is_none() || !backup_ran));
                let bound = missed_at_most(&skipped);
                prop_assert!(bound >= missed && bound >= last, "{bound} {missed} {last}");
                last = bound;
            }
        }
    }

    #[test]
    fn one_program_that_ran_is_enough() {
        let of = |probe, backup| Skipped { probe, backup };
        assert_eq!(missed_at_most(&[of(130, Some(0)), of(0, Some(9)), of(4, Some(3)), of(2, None)]), 5);
    }
}
