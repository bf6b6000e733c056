//! All that a session holds while it runs.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    budget::Budget, caches::CacheDirectory, compare::Comparison, host::Host, inspect::SurvivorInspector,
    own_cost::Meter, sift::Sift, sink::EventSink, slabinfo::SlabinfoSeries, tasks::TaskDirectory,
    unmatched::Requested, unseen::Unseen, until::Until, verification::Verification,
};
use crate::{
    attribution::stack::Stacks,
    kernel::{clock, discover::Kernel, gfp::GfpNames, nodes::Nodes, symbols::Symbols},
    knowledge::incidents::Incidents,
    select::filter::Filter,
    stream::{
        event::{Address, StackId, TimeNs},
        ledger::{Applier, Ledger},
    },
    view::{Census, Settled, build::Builder},
};

/// What the host, the kernel and the options give the session at its start, and what it learns of them later.
pub struct State {
    pub kernel: Kernel,
    pub host: Host,
    pub caches: CacheDirectory,
    /// None where live objects are not inspected.
    pub inspector: Option<SurvivorInspector>,
    pub tasks: TaskDirectory,
    /// None unless they are needed.
    pub symbols: Option<Arc<Symbols>>,
    pub stacks: Option<Stacks>,
    pub gfp_names: Option<GfpNames>,
    pub nodes: Option<Nodes>,
    pub incidents: Incidents,
    /// Sentences that hold for the whole session.
    pub notes: Vec<String>,
    pub budget: Budget,
    /// Requested processes that run.
    pub pids: Vec<u32>,
    pub requested: Requested,
    pub sift: Sift,
    /// What was asked for, as it was written.
    pub filter: String,
    /// All of a cache is traced, so that it can be compared with slabinfo.
    pub is_compared: bool,
    /// Addresses of these caches; empty where only a part of each is traced.
    pub traced: HashSet<Address>,
}

pub struct Session {
    pub state: State,
    /// None unless it is recorded, or its events are streamed.
    pub sink: Option<Box<dyn EventSink>>,
    /// What it waits for. None: for nothing.
    pub until: Option<Until>,
    /// Whether the last report found somebody who leaks or floods. None before the first.
    pub has_finding: Option<bool>,
    /// The last stack that the sink has a definition of.
    pub defined_stacks: StackId,
    pub ledger: Ledger,
    /// Has nothing between two drains.
    pub applier: Applier,
    pub builder: Builder,
    pub verification: Verification,
    pub unseen: Unseen,
    /// Of what is traced, what reports show.
    pub shown: Filter,
    pub slabinfo: SlabinfoSeries,
    pub comparison: Comparison,
    pub meter: Meter,
    pub started: TimeNs,
    /// Events that the probes sent and [`Sift`] leaves out.
    pub left_out: u64,
    /// Records that could not be decoded: the BPF object and this binary do not match.
    pub undecodable: u64,
    /// Requested processes that ended, with when.
    pub ended_pids: Vec<(u32, Duration)>,
    pub stopped: Option<Stopped>,
    /// What the slab held at the start, once that is known.
    pub census: Option<Arc<Census>>,
    /// The recording has it.
    pub census_is_recorded: bool,
    /// What the slab held lately. None where censuses are not taken again and again.
    pub latest_census: Option<Arc<Census>>,
    pub settled: Option<Settled>,
}

/// Allocations are not traced any more.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    pub at: TimeNs,
    /// Frees of unknown objects until then: later ones are mostly of objects that were allocated since.
    pub unknown_frees: Option<u64>,
}

impl Session {
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(clock::now() - self.started)
    }
}
