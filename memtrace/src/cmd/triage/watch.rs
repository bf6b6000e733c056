//! Watches the host for a window's time, and traces the slab caches that turn out to grow.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::{Pin, pin},
    time::Duration,
};

use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

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
        slab,
    },
    session::Signals,
    triage::{
        sample::{Glance, Sample},
        tracing::{self, Tracing},
        window::{self, Window},
    },
};

/// Glances are this far apart, or a tenth of the window where it is short.
const GLANCE_EVERY: Duration = Duration::from_secs(1);

/// Slabinfo is looked at this often until a cache is found to grow, or at a fourth of a window that is short: reading it takes
/// locks that allocations take too.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a session takes beside its duration: a second or so for its start, half of one to settle.
const BESIDE_TRACING: Duration = Duration::from_millis(1500);

/// A session for less is not worth its start.
const MIN_TRACING: Duration = Duration::from_secs(1);

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

/// Ends with the time, or earlier with Ctrl-C.
pub async fn watch(time: Duration) -> Result<(Window, Tracing), WatchError> {
    let files = Files::live();
    let mut signals = Signals::new().map_err(WatchError::Signals)?;
    let opening = Opening::take(&files)?;
    let (glances, tracing) = between(&files, &opening.sample, time, &mut signals).await?;
    Ok((opening.close(&files, glances)?, tracing))
}

/// Watches while something else traces, for as long as that takes.
pub async fn beside<T>(tracing: impl Future<Output = T>) -> Result<(Window, T), WatchError> {
    let files = Files::live();
    let opening = Opening::take(&files)?;
    let mut glances = Vec::new();
    let mut ticks = interval_at(Instant::now() + GLANCE_EVERY, GLANCE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut tracing = pin!(tracing);
    let traced = loop {
        tokio::select! {
            biased;
            traced = &mut tracing => break traced,
            _ = ticks.tick() => glances.push(Glance::take(&files)?),
        }
    };
    sleep(AFTER_TRACING).await;
    Ok((opening.close(&files, glances)?, traced))
}

/// The slab caches that triage would have traced in this window.
pub fn suspicious_caches(window: &Window) -> Vec<String> {
    let (Ok(before), Ok(after)) = (&window.before.caches, &window.after.caches) else { return Vec::new() };
    let grown = window::caches_between(before, after);
    let sum = &window.before.glance.sum;
    tracing::candidates(&grown, 1.0, sum.slab(), sum.total)
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

    fn close(self, files: &Files, between: Vec<Glance>) -> Result<Window, HostError> {
        let (before, after) = (self.sample, Sample::take(files)?);
        let mut window =
            Window { before, between, after, own_pid: std::process::id(), proportional: HashMap::new() };
        window.proportional = both(files, &window, &self.proportional);
        Ok(window)
    }
}

/// What happens between the two samples.
async fn between(
    files: &Files,
    before: &Sample,
    time: Duration,
    signals: &mut Signals,
) -> Result<(Vec<Glance>, Tracing), HostError> {
    let (start, mut glances) = (Instant::now(), Vec::new());
    let end = start + time;
    let mut progress = Progress::new(time);
    let every = |period: Duration| {
        let mut ticks = interval_at(start + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    };
    let mut glance = every(GLANCE_EVERY.min(time / 10));
    let mut look = every(LOOK_EVERY.min(time / 4));
    let mut is_over = pin!(sleep_until(end));
    let mut session: Option<Pin<Box<dyn Future<Output = Tracing>>>> = None;
    let mut tracing = None;
    loop {
        tokio::select! {
            biased;
            () = signals.end() => break,
            () = &mut is_over => break,
            _ = glance.tick() => {
                glances.push(Glance::take(files)?);
                progress.show(start.elapsed());
            }
            _ = look.tick(), if session.is_none() => {
                let caches = caches_to_trace(files, before, start.elapsed(), time);
                let left = end.saturating_duration_since(Instant::now() + BESIDE_TRACING);
                if !caches.is_empty() && left >= MIN_TRACING {
                    progress.trace(&caches);
                    session = Some(Box::pin(trace::trace(caches, left)));
                }
            }
            traced = ended(&mut session), if session.is_some() && tracing.is_none() => tracing = Some(traced),
        }
    }
    let tracing = match (tracing, session) {
        (Some(tracing), _) => tracing,
        // Its time is over too, or it got the same signal.
        (None, Some(session)) => session.await,
        (None, None) => Tracing::NotNeeded,
    };
    if matches!(tracing, Tracing::Done { .. }) {
        sleep(AFTER_TRACING).await;
    }
    Ok((glances, tracing))
}

async fn ended(session: &mut Option<Pin<Box<dyn Future<Output = Tracing>>>>) -> Tracing {
    match session {
        Some(session) => session.await,
        None => std::future::pending().await,
    }
}

/// After a first look. Nothing where the caches cannot be listed: the page says so.
fn caches_to_trace(files: &Files, before: &Sample, passed: Duration, time: Duration) -> Vec<String> {
    let (Ok(before_caches), Ok(now)) = (&before.caches, files.slab_caches()) else { return Vec::new() };
    let grown = window::caches_between(before_caches, &now);
    let share = passed.as_secs_f64() / time.as_secs_f64();
    let sum = &before.glance.sum;
    tracing::candidates(&grown, share, sum.slab(), sum.total)
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
    doing: String,
}

impl Progress {
    fn new(time: Duration) -> Self {
        Self { line: StatusLine::stderr(), time, doing: "watching".to_owned() }
    }

    fn trace(&mut self, caches: &[String]) {
        let names: Vec<_> = caches.iter().map(|cache| slab::printable(cache)).collect();
        self.doing = format!("tracing {}", names.join(", "));
    }

    fn show(&mut self, passed: Duration) {
        let (passed, time) = (passed.as_secs(), self.time.as_secs());
        self.line.show(&format!("{passed} s of {time} s, {} (Ctrl-C stops earlier)", self.doing));
    }
}
