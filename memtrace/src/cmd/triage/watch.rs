//! Watches the host for a window's time, and traces its slab caches meanwhile.

use std::{collections::HashMap, future::Future, io, pin::pin, time::Duration};

use thiserror::Error;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::trace;
use crate::{
    cmd::{
        exit::{Exit, Failure},
        shared::status::StatusLine,
    },
    procfs::{
        Files, HostError,
        process::{
            ProcessId,
            memory::{self, ProcessList},
        },
    },
    session::{
        Signals,
        census::{self, CensusError, CensusOptions, Taking},
    },
    triage::{
        sample::{Glance, Sample},
        tracing::Tracing,
        window::{Look, Window},
    },
    view::Census,
};

/// Glances are this far apart, or a tenth of the window where it is short.
const GLANCE_EVERY: Duration = Duration::from_secs(1);

/// Slabinfo is looked at this often, or at a fourth of a window that is short: reading it takes locks that allocations take too.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a session takes beside its duration: a second or so for its start, half of one to settle.
const BESIDE_TRACING: Duration = Duration::from_millis(1500);

/// A session for less is not worth its start.
const MIN_TRACING: Duration = Duration::from_millis(1500);

/// What the session took of the kernel's memory is given back after this.
const AFTER_TRACING: Duration = Duration::from_millis(300);

/// Processes whose shared memory is divided, by their size and by their growth.
const MEASURED: usize = 5;

/// Larger ones are left out: their page tables take too long to walk.
const MAX_MEASURED: u64 = 16 << 30;

#[derive(Debug, Error)]
pub enum WatchError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
}

impl Failure for WatchError {
    fn exit(&self) -> Exit {
        match self {
            Self::Host(error) => error.exit(),
            Self::Signals(_) => Exit::Failed,
        }
    }
}

/// What there is to judge.
pub struct Watched {
    pub window: Window,
    pub tracing: Tracing,
    pub already: Already,
}

/// What the slab held at the beginning, or why that is not known. None where there is so little that it does not matter.
pub type Already = Option<Result<Census, String>>;

/// Ends with the time, or earlier with Ctrl-C.
pub async fn watch(time: Duration) -> Result<Watched, WatchError> {
    let files = Files::live();
    let mut signals = Signals::new().map_err(WatchError::Signals)?;
    let opening = Opening::take(&files)?;
    let census = opening.census();
    let (between, tracing) = between(&files, time, &mut signals).await?;
    Ok(Watched { window: opening.close(&files, between)?, tracing, already: result(census).await })
}

/// Ends a census that is not over yet.
async fn result(census: Option<Taking<Result<Census, CensusError>>>) -> Already {
    let mut census = census?;
    census.end();
    let result = census.result().await;
    Some(result.map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned()))
}

/// Watches while something else traces, for as long as that takes.
pub async fn beside<T>(tracing: impl Future<Output = T>) -> Result<(Window, T), WatchError> {
    let files = Files::live();
    let opening = Opening::take(&files)?;
    let mut between = Between::default();
    let (mut glance, mut look) = (every(GLANCE_EVERY), every(LOOK_EVERY));
    let mut tracing = pin!(tracing);
    let traced = loop {
        tokio::select! {
            biased;
            traced = &mut tracing => break traced,
            _ = glance.tick() => between.glances.push(Glance::take(&files)?),
            _ = look.tick() => between.look(&files),
        }
    };
    sleep(AFTER_TRACING).await;
    Ok((opening.close(&files, between)?, traced))
}

/// From now on, the first time after one period.
fn every(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// What was seen between the two samples.
#[derive(Default)]
struct Between {
    glances: Vec<Glance>,
    looks: Vec<Look>,
}

impl Between {
    /// Nothing where the caches cannot be listed: the page says so.
    fn look(&mut self, files: &Files) {
        let at = Instant::now().into_std();
        self.looks.extend(files.slab_caches().ok().map(|caches| Look { at, caches }));
    }
}

/// A window that is open.
struct Opening {
    sample: Sample,
    proportional: HashMap<ProcessId, u64>,
}

impl Opening {
    fn take(files: &Files) -> Result<Self, HostError> {
        Sample::warm_up(files);
        let sample = Sample::take(files)?;
        let proportional = proportional(files, biggest(&sample.processes));
        Ok(Self { sample, proportional })
    }

    /// What is there already, if it is much.
    fn census(&self) -> Option<Taking<Result<Census, CensusError>>> {
        let meminfo = &self.sample.glance.meminfo;
        let slab = meminfo.slab_memory()?.slab;
        census::is_worth_it(slab, meminfo.total()).then(|| Taking::start(CensusOptions::default()))
    }

    fn close(self, files: &Files, between: Between) -> Result<Window, HostError> {
        let (before, after) = (self.sample, Sample::take(files)?);
        let Between { glances, looks } = between;
        let own_pid = std::process::id();
        let mut window =
            Window { before, between: glances, looks, after, own_pid, proportional: HashMap::new() };
        window.proportional = both(files, &window, &self.proportional);
        Ok(window)
    }
}

/// What happens between the two samples.
async fn between(
    files: &Files,
    time: Duration,
    signals: &mut Signals,
) -> Result<(Between, Tracing), HostError> {
    let (start, mut between) = (Instant::now(), Between::default());
    let mut progress = Progress::new(time);
    let mut glance = every(GLANCE_EVERY.min(time / 10));
    let mut look = every(LOOK_EVERY.min(time / 4));
    let mut is_over = pin!(sleep_until(start + time));
    let mut session = pin!(session(time));
    let mut tracing = None;
    loop {
        tokio::select! {
            biased;
            () = signals.end() => break,
            () = &mut is_over => break,
            _ = glance.tick() => {
                between.glances.push(Glance::take(files)?);
                progress.show(start.elapsed());
            }
            _ = look.tick() => between.look(files),
            traced = &mut session, if tracing.is_none() => tracing = Some(traced),
        }
    }
    let tracing = match tracing {
        Some(tracing) => tracing,
        // Its time is over too, or it got the same signal.
        None => session.await,
    };
    if tracing.traced.is_ok() {
        sleep(AFTER_TRACING).await;
    }
    Ok((between, tracing))
}

/// Ends with the window.
async fn session(time: Duration) -> Tracing {
    match time.saturating_sub(BESIDE_TRACING) {
        left if left < MIN_TRACING => trace::failed("a window under 3 s is too short for that"),
        left => trace::trace(left).await,
    }
}

fn biggest(processes: &ProcessList) -> Vec<ProcessId> {
    let mut by_size: Vec<_> = processes.list.iter().map(|(id, process)| (process.resident, *id)).collect();
    by_size.sort_unstable();
    by_size.into_iter().rev().take(MEASURED).map(|(_, id)| id).collect()
}

fn proportional(files: &Files, ids: Vec<ProcessId>) -> HashMap<ProcessId, u64> {
    let measure = |id| Some((id, memory::proportional(&files.proc(), id)?));
    ids.into_iter().filter_map(measure).collect()
}

/// Before and after, of those that are big or have grown.
fn both(
    files: &Files,
    window: &Window,
    was: &HashMap<ProcessId, u64>,
) -> HashMap<ProcessId, (Option<u64>, Option<u64>)> {
    let (before, after) = (&window.before.processes, &window.after.processes);
    let growth =
        |id: &ProcessId, now: u64| now.saturating_sub(before.list.get(id).map_or(0, |was| was.resident));
    let mut grown: Vec<_> = after.list.iter().map(|(id, now)| (growth(id, now.resident), *id)).collect();
    grown.sort_unstable();
    let mut ids = biggest(after);
    ids.extend(grown.into_iter().rev().take(MEASURED).map(|(_, id)| id));
    ids.retain(|id| after.list.get(id).is_some_and(|process| process.resident <= MAX_MEASURED));
    let now = proportional(files, ids);
    now.into_iter().map(|(id, now)| (id, (was.get(&id).copied(), Some(now)))).collect()
}

/// How far it is, on standard error.
struct Progress {
    line: StatusLine,
    time: Duration,
}

impl Progress {
    fn new(time: Duration) -> Self {
        Self { line: StatusLine::stderr(), time }
    }

    fn show(&mut self, passed: Duration) {
        let (passed, time) = (passed.as_secs(), self.time.as_secs());
        self.line.show(&format!("{passed} s of {time} s, watching and tracing (Ctrl-C stops earlier)"));
    }
}
