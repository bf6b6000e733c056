//! From runs to figures: what each contender adds to each workload.

use serde::Serialize;

use crate::contender::{Contender, Memtrace};
use crate::rounds::{Hits, Results, Run};
use crate::stats::{Estimate, Ratio, median};
use crate::tracer::Use;
use crate::workload::{Measured, Workload};

/// What time is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Time that passed: all that a user waits for.
    Wall,
    /// CPU time of the workload: where others use its CPU meanwhile, that is not held against a contender. Interrupts and RCU
    /// callbacks are in it or not, as the kernel accounts for them.
    Cpu,
}

/// The bare workload should have its CPUs to itself for this share of the time, or elapsed time means nothing.
const UNDISTURBED: f64 = 0.98;

impl Clock {
    /// By what share of the time the bare workloads had their CPUs.
    pub fn fitting(share: f64) -> Self {
        if share >= UNDISTURBED { Self::Wall } else { Self::Cpu }
    }

    fn ns_per_op(self, measured: &Measured) -> f64 {
        match self {
            Self::Wall => measured.wall_ns as f64 * measured.threads as f64 / measured.ops as f64,
            Self::Cpu => measured.cpu_ns as f64 / measured.ops as f64,
        }
    }
}

/// For which share of the time the bare workloads had their CPUs; None where none ran.
pub fn undisturbed_share(runs: &[Run]) -> Option<f64> {
    let share = |run: &Run| Clock::Cpu.ns_per_op(&run.bare) / Clock::Wall.ns_per_op(&run.bare);
    median(&runs.iter().map(share).collect::<Vec<_>>())
}

/// A workload and what it costs under each contender.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub workload: Workload,
    /// Tracepoint hits of one operation.
    pub hits: Hits,
    pub bare_ns_per_op: Estimate,
    /// In the order of [`Contender`].
    pub costs: Vec<Cost>,
}

/// What a contender costs under a workload: medians over the rounds.
#[derive(Debug, Serialize)]
pub struct Cost {
    pub contender: Contender,
    /// How much longer one operation takes than bare, right before.
    pub added_ns_per_op: Estimate,
    /// Of this, for each hit of a tracepoint that it is attached to.
    pub added_ns_per_hit: Option<f64>,
    /// Of this, as a multiple of its floor's.
    pub to_floor: Option<Ratio>,
    /// And of what memtrace adds that traces all caches.
    pub to_all: Option<Ratio>,
    /// And of what memtrace adds that traces dentry.
    pub to_dentry: Option<Ratio>,
    pub tracer: Option<TracerCost>,
}

/// Medians over the runs; losses are of all runs together.
#[derive(Debug, Serialize)]
pub struct TracerCost {
    /// Of its own user and system time, for each event that it saw; where it does not say how many, for each hit. None where
    /// there were hardly any.
    pub cpu_ns_per_event: Option<Estimate>,
    pub events: Option<f64>,
    pub lost: Option<u64>,
    pub peak_rss_bytes: f64,
    pub map_bytes: f64,
    pub written_bytes: f64,
    pub start_ns: f64,
    pub stop_ns: f64,
}

impl Comparison {
    pub fn compare_all(results: &Results, clock: Clock, memtrace: &Memtrace) -> Vec<Self> {
        let compare = |(workload, hits): &(Workload, Hits)| {
            let runs = results.runs.iter().filter(|run| run.workload == *workload).collect();
            Self::of(*workload, hits, &Runs { runs, clock }, memtrace)
        };
        results.hits.iter().filter_map(compare).collect()
    }

    /// None where nothing ran.
    fn of(workload: Workload, hits: &Hits, runs: &Runs, memtrace: &Memtrace) -> Option<Self> {
        let bare: Vec<f64> = runs.runs.iter().map(|run| runs.clock.ns_per_op(&run.bare)).collect();
        let mut costs: Vec<Cost> = runs
            .contenders()
            .into_iter()
            .filter_map(|contender| Cost::of(contender, runs, hits, memtrace))
            .collect();
        let added: Vec<(Contender, Estimate)> =
            costs.iter().map(|cost| (cost.contender, cost.added_ns_per_op)).collect();
        let added_by = |contender| added.iter().find(|(other, _)| Some(*other) == contender);
        for cost in &mut costs {
            let ratio_to = |contender| Ratio::between(cost.added_ns_per_op, added_by(contender)?.1);
            cost.to_floor = ratio_to(cost.contender.floor());
            (cost.to_all, cost.to_dentry) =
                (ratio_to(Some(Contender::All)), ratio_to(Some(Contender::Dentry)));
        }
        Some(Self { workload, hits: hits.clone(), bare_ns_per_op: Estimate::from_values(&bare)?, costs })
    }

    pub fn cost(&self, contender: Contender) -> Option<&Cost> {
        self.costs.iter().find(|cost| cost.contender == contender)
    }
}

/// All runs of one workload.
struct Runs<'a> {
    runs: Vec<&'a Run>,
    clock: Clock,
}

impl<'a> Runs<'a> {
    fn of(&self, contender: Contender) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().copied().filter(move |run| run.contender == contender)
    }

    fn contenders(&self) -> Vec<Contender> {
        let mut contenders: Vec<Contender> = self.runs.iter().map(|run| run.contender).collect();
        contenders.sort_unstable();
        contenders.dedup();
        contenders
    }

    /// How much longer each run's operations took than the bare ones before it.
    fn added_ns_per_op(&self, contender: Contender) -> Option<Estimate> {
        let added = |run: &Run| self.clock.ns_per_op(&run.measured) - self.clock.ns_per_op(&run.bare);
        Estimate::from_values(&self.of(contender).map(added).collect::<Vec<_>>())
    }
}

impl Cost {
    /// None where it never ran.
    fn of(contender: Contender, runs: &Runs, hits: &Hits, memtrace: &Memtrace) -> Option<Self> {
        let added_ns_per_op = runs.added_ns_per_op(contender)?;
        let hits_per_op: f64 =
            contender.tracepoints(memtrace).iter().filter_map(|tracepoint| hits.get(tracepoint)).sum();
        let tracers: Vec<(&Run, &Use)> =
            runs.of(contender).filter_map(|run| Some((run, run.tracer.as_ref()?))).collect();
        Some(Self {
            contender,
            added_ns_per_op,
            added_ns_per_hit: (hits_per_op > 0.0).then(|| added_ns_per_op.median / hits_per_op),
            to_floor: None,
            to_all: None,
            to_dentry: None,
            tracer: TracerCost::of(&tracers, hits_per_op),
        })
    }
}

/// A tracer that saw fewer events than that had nothing to do with the workload.
const MIN_EVENTS_PER_OP: f64 = 0.1;

impl TracerCost {
    /// None of no runs.
    fn of(runs: &[(&Run, &Use)], hits_per_op: f64) -> Option<Self> {
        let typical = |figure: &dyn Fn(&Use) -> f64| {
            median(&runs.iter().map(|(_, tracer)| figure(tracer)).collect::<Vec<_>>())
        };
        let events = |run: &Run, tracer: &Use| {
            tracer.events.map_or(hits_per_op * run.measured.ops as f64, |events| events as f64)
        };
        let cpu_per_event = |(run, tracer): &(&Run, &Use)| tracer.cpu_ns as f64 / events(run, tracer);
        let per_op = runs.iter().map(|(run, tracer)| events(run, tracer) / run.measured.ops as f64);
        let has_events = median(&per_op.collect::<Vec<_>>())? >= MIN_EVENTS_PER_OP;
        let cpu_ns: Vec<f64> = runs.iter().filter(|_| has_events).map(cpu_per_event).collect();
        let counted: Vec<f64> = runs.iter().filter_map(|(_, tracer)| Some(tracer.events? as f64)).collect();
        let lost: Vec<u64> = runs.iter().filter_map(|(_, tracer)| tracer.lost).collect();
        Some(Self {
            cpu_ns_per_event: Estimate::from_values(&cpu_ns),
            events: median(&counted),
            lost: (!lost.is_empty()).then(|| lost.iter().sum()),
            peak_rss_bytes: typical(&|tracer| tracer.peak_rss_bytes as f64)?,
            map_bytes: typical(&|tracer| tracer.map_bytes as f64)?,
            written_bytes: typical(&|tracer| tracer.written_bytes as f64)?,
            start_ns: typical(&|tracer| tracer.start_ns as f64)?,
            stop_ns: typical(&|tracer| tracer.stop_ns as f64)?,
        })
    }
}

#[cfg(test)]
pub mod tests;
