//! A live session: attach, drain, report each interval, settle, detach, report once more.
//!
//! One task does all of it. Only writing is elsewhere ([`reporter`]): a slow terminal or a full pipe must not keep
//! the ring from being drained.

mod caches;
mod compare;
mod host;
pub mod budget;
mod govern;
mod inspect;
pub mod marks;
mod checkpoint;
mod own_cost;
mod processes;
pub mod record;
pub mod stream;
mod reporter;
mod settle;
mod setup;
mod slabinfo;

use std::{io, pin::pin, sync::Arc, time::Duration};

use aya::maps::MapError;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, interval_at, sleep_until},
};

pub use self::setup::SetupError;
use self::{
    budget::CpuLimit,
    caches::Directory,
    compare::Comparison,
    govern::{Budget, Outcome},
    host::Host,
    inspect::SurvivorInspector,
    marks::{Mark, Marks},
    own_cost::Meter,
    processes::Who,
    record::{Listening, Room, Tap, Target},
    reporter::Reporter,
    settle::Stopped,
    slabinfo::SlabinfoSeries,
};
use crate::{
    attribution::stack::Stacks,
    evidence::recording::{Entry, Written, file::WriteError},
    kernel::{
        attach::Attached, clock, discover::Kernel, error::LoadError, events::Events, gfp::GfpNames,
        nodes::Nodes, rings::RingError, symbols::Symbols, trials::Avoid,
    },
    knowledge::incidents::Incidents,
    output::Output,
    procfs::slab,
    stream::{
        calls::{CallSites, StackNames},
        decode::{Decoded, decode},
        event::{Alloc, Event, ProcessEvent, TimeNs},
        ledger::{Batch, Ledger},
    },
    view::{
        Settled, Snapshot,
        build::{Builder, Known, ReportOptions},
    },
};

/// The rings are drained this often. At 5 million events a second they then hold some 3 MiB.
const DRAIN_EVERY: Duration = Duration::from_millis(10);

/// Records drained before signals and timers get their turn.
const DRAIN_MOST: usize = 50_000;

/// The first report comes this soon, however long the interval is: an engineer wants to see that it works.
const FIRST_REPORT: Duration = Duration::from_secs(1);

/// Of which calls stacks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StacksOption {
    /// In the kernel
    Kernel,
    /// In the process
    User,
    /// In the process, and from there on in the kernel
    Both,
}

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names and globs of slab caches.
    pub caches: Vec<String>,
    /// Only these processes' allocations; empty for all.
    pub pids: Vec<u32>,
    /// Only allocations under these command names; empty for all.
    pub comms: Vec<String>,
    pub report_options: ReportOptions,
    pub interval: Duration,
    pub duration: Option<Duration>,
    /// End after so many reports.
    pub count: Option<u64>,
    /// Which calls led to allocations.
    pub stacks: Option<StacksOption>,
    /// Incidents that were seen before.
    pub incidents: Incidents,
    /// How long frees are followed when allocations are not traced any more.
    pub settle: Duration,
    /// Follow one object in so many, by its address.
    pub sample: u32,
    /// Bytes, in the kernel and here; None for a share of the host's.
    pub max_memory: Option<u64>,
    pub max_cpu: Option<CpuLimit>,
    pub verbose: bool,
    /// Ways not to take, for testing.
    pub avoid: Vec<Avoid>,
    /// Instead of a size by the host's memory.
    pub ring_bytes: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("cannot write the report: {0}")]
    Output(#[source] io::Error),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("cannot follow fewer objects: {0}")]
    Sample(#[from] LoadError),
    #[error("cannot read the kernel side's maps: {0}")]
    Maps(#[from] MapError),
    #[error(transparent)]
    Record(#[from] WriteError),
    #[error("cannot write the events: {0}")]
    Events(#[source] io::Error),
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}

/// Why a session is over.
enum End {
    /// Signal, duration or count.
    Asked,
    /// Nobody reads the output any more.
    Unread,
    /// It took too much of the host.
    OverBudget,
    /// The recording has no room, or cannot be written: what is in the rings is lost for it.
    NoRoom(Room),
}

/// Runs a session until a signal, its duration or its count ends it.
pub async fn run(options: Options, output: Box<dyn Output + Send>) -> Result<(), SessionError> {
    run_with(options, output, None).await.map(drop)
}

/// The same, while its events are told.
pub async fn stream(
    options: Options,
    output: Box<dyn Output + Send>,
    target: stream::Target,
) -> Result<(), SessionError> {
    run_with(options, output, Some(Listening::Stream(target))).await.map(drop)
}

/// The same, recorded. Returns what came of the recording.
pub async fn record(
    options: Options,
    output: Box<dyn Output + Send>,
    target: Target,
) -> Result<Written, SessionError> {
    Ok(run_with(options, output, Some(Listening::Recording(target))).await?.unwrap_or_default())
}

async fn run_with(
    options: Options,
    output: Box<dyn Output + Send>,
    listening: Option<Listening>,
) -> Result<Option<Written>, SessionError> {
    let signals = if listening.is_some() { Signals::with_marks() } else { Signals::new() };
    let mut signals = signals.map_err(SessionError::Signals)?;
    let setup::Ready { mut attached, state } = setup::set_up(&options, listening.as_ref())?;
    let mut session = state.start(&options, listening)?;
    let reporter = Reporter::start(output);
    session.compare(&mut attached.events)?;
    let end = session.watch(&options, &mut attached, &reporter, &mut signals).await?;
    match end {
        End::Unread => {
            drop(attached);
            session.tap.map(Tap::finish).transpose()?;
            return reporter.finish(None).map(|()| None).map_err(SessionError::Output);
        }
        End::NoRoom(Room::Full) => {
            session.state.notes.push("the recording is as long as it may be (--max-size)".to_owned());
        }
        _ => {}
    }
    // While all that happens is still traced. With a flood in the rings it would keep the probes on the host: then what was
    // compared last has to do.
    if session.drain(&mut attached.events)? < DRAIN_MOST {
        session.compare(&mut attached.events)?;
    }
    // Following frees would cost the host more.
    let settle = if matches!(end, End::OverBudget) { Duration::ZERO } else { options.settle };
    session.settle(&mut attached, settle, &mut signals).await?;
    let mut events = attached.detach();
    session.drain_rest(&mut events).await?;
    let last = session.snapshot(&mut events, true)?;
    drop(events);
    let written = session.tap.map(Tap::finish).transpose();
    reporter.finish(Some(last)).map_err(SessionError::Output)?;
    written
}

/// SIGINT, SIGTERM and SIGHUP all end a session with its final report. Others mark moments of a recording.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    marks: Option<Marks>,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            marks: None,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    fn with_marks() -> io::Result<Self> {
        Ok(Self { marks: Some(Marks::listen()?), ..Self::new()? })
    }

    /// One that ends the session.
    pub async fn any(&mut self) {
        let Self { interrupt, terminate, hangup, .. } = self;
        end(interrupt, terminate, hangup).await;
    }

    /// One that ends the session (None), or a mark.
    async fn next(&mut self) -> Option<Mark> {
        let Self { interrupt, terminate, hangup, marks } = self;
        let Some(marks) = marks else {
            end(interrupt, terminate, hangup).await;
            return None;
        };
        tokio::select! {
            () = end(interrupt, terminate, hangup) => None,
            mark = marks.next() => Some(mark),
        }
    }
}

async fn end(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// What [`setup`] hands over.
struct State {
    kernel: Kernel,
    host: Host,
    caches: Directory,
    /// None where looking is left out.
    looks: Option<SurvivorInspector>,
    who: Who,
    /// Where they are asked for.
    symbols: Option<Arc<Symbols>>,
    stacks: Option<Stacks>,
    gfp_names: Option<GfpNames>,
    nodes: Option<Nodes>,
    incidents: Incidents,
    /// Sentences that hold for the whole session.
    notes: Vec<String>,
    budget: Budget,
    pids: Vec<u32>,
    /// All of a cache is traced, so that it can be compared with slabinfo.
    is_compared: bool,
}

impl State {
    fn ledger(&self, options: &Options) -> Ledger {
        let mut ledger = self.budget.ledger();
        ledger.set_detail(options.report_options.by.detail());
        ledger
    }

    fn start(mut self, options: &Options, listening: Option<Listening>) -> Result<Session, WriteError> {
        let started = clock::now();
        let tap = listening.map(|who| Tap::start(who, &mut self, options, started)).transpose()?;
        Ok(Session {
            tap,
            ledger: self.ledger(options),
            batch: Batch::default(),
            builder: Builder::new(options.report_options.clone()),
            slabinfo: SlabinfoSeries::new(slab::Host::live()),
            comparison: Comparison::default(),
            meter: Meter::start(),
            started,
            undecodable: 0,
            ended_pids: Vec::new(),
            stopped: None,
            settled: None,
            state: self,
        })
    }
}

struct Session {
    state: State,
    /// Where it is recorded.
    tap: Option<Tap>,
    ledger: Ledger,
    /// Empty between two drains.
    batch: Batch,
    builder: Builder,
    slabinfo: SlabinfoSeries,
    comparison: Comparison,
    meter: Meter,
    started: TimeNs,
    /// Records that could not be decoded: a mismatch of object and binary.
    undecodable: u64,
    /// Of the processes asked for, those that ended, with when.
    ended_pids: Vec<(u32, Duration)>,
    stopped: Option<Stopped>,
    settled: Option<Settled>,
}

impl Session {
    async fn watch(
        &mut self,
        options: &Options,
        attached: &mut Attached,
        reporter: &Reporter,
        signals: &mut Signals,
    ) -> Result<End, SessionError> {
        let start = Instant::now();
        let mut drain = interval(DRAIN_EVERY);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut report = interval_at(start + options.interval, options.interval);
        report.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let has_early_report = options.interval > FIRST_REPORT;
        let early_report = sleep_until(start + FIRST_REPORT);
        let mut early_report = Box::pin(early_report);
        let end = start + options.duration.unwrap_or(Duration::from_secs(u64::from(u32::MAX)));
        let mut measure = pin!(sleep_until(self.meter.due()));
        let mut reports = 0;
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Some(mark) => self.mark(mark, &mut attached.events)?,
                    None => return Ok(End::Asked),
                },
                () = sleep_until(end), if options.duration.is_some() => return Ok(End::Asked),
                () = &mut early_report, if has_early_report && reports == 0 && !early_report.is_elapsed() => {
                    self.report(attached, reporter)?;
                }
                _ = report.tick() => {
                    self.report(attached, reporter)?;
                    reports += 1;
                    if options.count.is_some_and(|count| reports >= count) {
                        return Ok(End::Asked);
                    }
                }
                () = &mut measure => {
                    if let Some(used) = self.meter.turn(&attached.events)
                        && self.keep_within_cpu(used, &mut attached.events)? == Outcome::Over
                    {
                        return Ok(End::OverBudget);
                    }
                    measure.as_mut().reset(self.meter.due());
                }
                _ = drain.tick() => {
                    // There is more: at once, but not before signals and timers, or a flood would keep us here.
                    if self.drain(&mut attached.events)? == DRAIN_MOST {
                        drain.reset_immediately();
                    }
                    self.keep_blocks_small(&attached.events)?;
                }
            }
            // Who records does so whether anybody looks or not.
            if reporter.is_unread() && !self.tap.as_ref().is_some_and(|tap| tap.is_recording) {
                return Ok(End::Unread);
            }
            match self.tap.as_ref().map(Tap::room) {
                None | Some(Room::There) => {}
                Some(Room::Unread) => return Ok(End::Unread),
                Some(room) => return Ok(End::NoRoom(room)),
            }
        }
    }

    fn report(&mut self, attached: &mut Attached, reporter: &Reporter) -> Result<(), SessionError> {
        self.drain(&mut attached.events)?;
        self.note_ended_pids();
        self.inspect(&mut attached.events)?;
        let snapshot = self.snapshot(&mut attached.events, false)?;
        reporter.show(snapshot);
        Ok(())
    }

    /// Applies what is in the rings, [`DRAIN_MOST`] records at most.
    fn drain(&mut self, events: &mut Events) -> Result<usize, SessionError> {
        self.drain_most(events, DRAIN_MOST)
    }

    /// Applies all that is in the rings by now.
    fn catch_up(&mut self, events: &mut Events) -> Result<(), SessionError> {
        self.drain_most(events, usize::MAX).map(drop)
    }

    fn drain_most(&mut self, events: &mut Events, most: usize) -> Result<usize, SessionError> {
        let Self {
            ledger,
            batch,
            undecodable,
            tap,
            state: State { kernel, caches, who, stacks, nodes, budget, .. },
            ..
        } = self;
        let sampling = budget.sampling();
        let (time, mut is_first) = (clock::now(), true);
        let mut tell = |entry: Entry<'_>| {
            let Some(tap) = tap else { return };
            if std::mem::take(&mut is_first) {
                tap.push(&Entry::Read(time));
            }
            tap.push(&entry);
        };
        let mut find_node = |alloc: &mut Alloc| {
            if let Some(nodes) = nodes {
                alloc.node = nodes.node(&kernel.memory, alloc.ptr);
            }
        };
        let read = events.drain(most, |record| {
            if ledger.is_full() {
                // What came before counts by the period that held then.
                batch.apply(ledger);
                budget.make_room(ledger).into_iter().for_each(|period| tell(Entry::Period(period)));
            }
            match decode(record) {
                Ok(Decoded::Object(mut event)) => {
                    if let Event::Alloc(alloc) = &mut event {
                        caches.see(alloc);
                        find_node(alloc);
                    }
                    tell(Entry::Event(event));
                    batch.add(event, ledger);
                }
                Ok(Decoded::AllocWithStack(mut alloc, frames)) => {
                    caches.see(&alloc);
                    find_node(&mut alloc);
                    if let Some(stacks) = stacks {
                        alloc.stack = stacks.enter(alloc.task.process(), frames);
                    }
                    tell(alloc.into());
                    batch.add(Event::Alloc(alloc), ledger);
                }
                Ok(Decoded::Process(event)) => {
                    if let (ProcessEvent::Exec { process, .. }, Some(stacks)) = (event, &mut *stacks) {
                        stacks.forget(process);
                    }
                    who.apply(event);
                }
                Err(_) => *undecodable += 1,
            }
        });
        batch.apply(ledger);
        let read = read?;
        caches.learn_new(kernel, &events.generations)?;
        who.learn_new(ledger);
        if let Some(tap) = tap {
            tap.drained(caches, who, stacks.as_ref());
        }
        self.keep_within_memory(sampling, events)?;
        Ok(read)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(clock::now() - self.started)
    }

    /// Looks at some of the objects that survive.
    fn inspect(&mut self, events: &mut Events) -> Result<(), SessionError> {
        let State { looks, kernel, caches, .. } = &mut self.state;
        let Some(looks) = looks else { return Ok(()) };
        let seen = looks.inspect(kernel, caches, &self.ledger);
        if seen.is_empty() {
            return Ok(());
        }
        // What was freed while we looked is in its ring by now; what we saw may be another object.
        self.catch_up(events)?;
        for (object, sight) in &seen {
            let label = sight.label();
            self.ledger.label(*object, &label);
            if let Some(tap) = &mut self.tap {
                tap.push(&Entry::Label(*object, label));
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, events: &mut Events, is_final: bool) -> Result<Snapshot, SessionError> {
        let elapsed = self.elapsed();
        let State { kernel, caches, .. } = &mut self.state;
        caches.refresh(kernel, &slab::Host::live(), &self.ledger, &mut events.generations, elapsed)?;
        if !is_final && self.slabinfo.is_due(elapsed) {
            self.compare(events)?;
        }
        let checkpoint = self.checkpoint(events, is_final)?;
        let forgot_ended = self.state.who.prune(&self.ledger);
        self.close_block(&checkpoint, true, forgot_ended);
        let own_tgid = std::process::id();
        let State { host, caches, who, symbols, stacks, gfp_names, incidents, .. } = &self.state;
        let known = Known {
            host: &host.name,
            kernel: &host.kernel,
            caches: caches.infos(),
            processes: &who.processes,
            cgroups: &who.cgroups,
            call_sites: symbols.as_deref().map(|symbols| symbols as &dyn CallSites),
            stacks: stacks.as_ref().map(|stacks| stacks as &dyn StackNames),
            gfp_names: gfp_names.as_ref(),
            incidents,
            is_shown: &|origin| origin.task.tgid != own_tgid,
        };
        Ok(self.builder.snapshot(&self.ledger, &checkpoint, known))
    }
}
