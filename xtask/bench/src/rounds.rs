//! The comparison: every workload under every contender, in rounds, so that whatever drifts on the machine drifts for all.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use aya::sys::{Stats, enable_stats};
use fastrand::Rng;
use serde::Serialize;

use crate::contender::{Contender, Memtrace};
use crate::floor::{Floor, once_each};
use crate::interrupt;
use crate::tracer::{Tracer, Use};
use crate::workload::{Bound, Load, Measured, Workload};

/// What is to be measured, and how often.
pub struct Plan {
    pub workloads: Vec<Workload>,
    pub contenders: Vec<Contender>,
    pub rounds: usize,
    /// Peers run in each round whose number is a multiple of this.
    pub peers_every: usize,
    /// How long a run of the bare workload takes. Others do as many operations.
    pub time: Duration,
}

/// A run under a contender that takes this many times longer than bare is cut short.
const MAX_SLOWDOWN: u32 = 30;

/// Operations that events are counted over.
const COUNTED_OPS: u64 = 20_000;

/// One run: first bare, then under the contender.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub round: usize,
    pub workload: Workload,
    pub contender: Contender,
    /// The same process, right before the contender was attached.
    pub bare: Measured,
    pub measured: Measured,
    pub tracer: Option<Use>,
}

/// How often an operation of a workload hits each tracepoint.
pub type Hits = BTreeMap<String, f64>;

/// All that was measured.
#[derive(Default)]
pub struct Results {
    pub runs: Vec<Run>,
    pub hits: Vec<(Workload, Hits)>,
    /// Contenders that cannot run here, and why.
    pub refusals: Vec<(Contender, String)>,
}

pub struct Bench<'a> {
    pub plan: &'a Plan,
    pub memtrace: &'a Memtrace,
    pub scratch: &'a Path,
}

impl Bench<'_> {
    pub fn run(&self) -> Result<Results> {
        let mut results = Results::default();
        for &contender in &self.plan.contenders {
            results.refusals.extend(contender.missing().map(|why| (contender, why)));
        }
        let mut bounds = Vec::new();
        for &workload in &self.plan.workloads {
            bounds.push(self.calibrate(workload)?);
            results.hits.push((workload, self.count_hits(workload)?));
        }
        for round in 0..self.plan.rounds {
            eprintln!("round {} of {}", round + 1, self.plan.rounds);
            for (&workload, &bound) in self.plan.workloads.iter().zip(&bounds) {
                self.round(round, workload, bound, &mut results)?;
            }
        }
        Ok(results)
    }

    /// How many operations fill the time.
    fn calibrate(&self, workload: Workload) -> Result<Bound> {
        let bound = Bound { ops: u64::MAX, time: self.plan.time };
        let ops = self.load(workload, bound)?.run()?.ops;
        Ok(Bound { ops, time: self.plan.time * MAX_SLOWDOWN })
    }

    /// Counts by the kernel's own statistics of empty programs: independent of any tracer.
    fn count_hits(&self, workload: Workload) -> Result<Hits> {
        let floor = Floor::attach(&self.memtrace.floor, &once_each(&self.memtrace.all))?;
        let _stats = enable_stats(Stats::RunTime).context("the kernel keeps no statistics of programs")?;
        let bound = Bound { ops: COUNTED_OPS, time: Duration::from_secs(10) };
        let mut load = self.load(workload, bound)?;
        let before = floor.hits()?;
        let measured = load.run()?;
        let after = floor.hits()?;
        load.end()?;
        let per_op = |(name, hits): (String, u64)| {
            let hits = hits - before.get(&name).copied().unwrap_or(0);
            (name, hits as f64 / measured.ops as f64)
        };
        Ok(after.into_iter().map(per_op).collect())
    }

    fn round(&self, round: usize, workload: Workload, bound: Bound, results: &mut Results) -> Result<()> {
        for contender in self.order(round, workload) {
            interrupt::check()?;
            if results.refusals.iter().any(|(refused, _)| *refused == contender) {
                continue;
            }
            match self.measure(round, workload, contender, bound) {
                Ok(run) => results.runs.push(run),
                Err(error) if contender.is_peer() => results.refusals.push((contender, format!("{error:#}"))),
                Err(error) => {
                    return Err(error.context(format!("{} under {}", workload.name(), contender.name())));
                }
            }
        }
        Ok(())
    }

    /// Who runs in this round, in an order of its own, so that none always follows the same other.
    fn order(&self, round: usize, workload: Workload) -> Vec<Contender> {
        let is_due =
            |contender: &Contender| !contender.is_peer() || round.is_multiple_of(self.plan.peers_every);
        let mut order: Vec<_> = self.plan.contenders.iter().copied().filter(is_due).collect();
        // The same in each bench.
        Rng::with_seed((round as u64) << 8 | workload as u64).shuffle(&mut order);
        order
    }

    fn measure(&self, round: usize, workload: Workload, contender: Contender, bound: Bound) -> Result<Run> {
        let mut load = self.load(workload, bound)?;
        let bare = load.run()?;
        let tracer = Tracer::start(contender, self.memtrace, self.scratch)?;
        let measured = load.run()?;
        load.end()?;
        Ok(Run { round, workload, contender, bare, measured, tracer: tracer.end(contender)? })
    }

    fn load(&self, workload: Workload, bound: Bound) -> Result<Load> {
        Load::start(workload, bound, workload.threads(), self.scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn each_contender_runs_once_a_round_and_comes_everywhere() {
        let contenders = Contender::value_variants()[..8].to_vec();
        let plan = Plan { workloads: vec![], contenders, rounds: 0, peers_every: 1, time: Duration::ZERO };
        let memtrace = crate::compare::tests::memtrace();
        let bench = Bench { plan: &plan, memtrace: &memtrace, scratch: Path::new("") };
        let mut places = vec![[0; 8]; 8];
        for round in 0..400 {
            let mut order = bench.order(round, Workload::Fork);
            for (place, &contender) in order.iter().enumerate() {
                places[contender as usize][place] += 1;
            }
            order.sort_unstable();
            assert_eq!(order, plan.contenders);
        }
        // 50 each on average.
        assert!(places.iter().flatten().all(|&times| (20..90).contains(&times)), "{places:?}");
    }
}
