//! How memtrace itself fares, beside what it costs others: starting, waiting, keeping up, and ending.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::Serialize;
use serde_json::Value;

use super::contender::{Memtrace, NOTHING};
use super::process;
use super::recorded::Recorded;
use super::scratch::{Scratch, check_interrupted};
use super::stats::Estimate;
use super::tracer::{self, Traced, Trust, UNCHANGED, Use};
use super::workload::{Bound, Load, Workload};

/// All figures of memtrace on all caches, with names, as by default.
#[derive(Debug, Serialize)]
pub struct Sessions {
    /// From its start until its probes are attached.
    pub attached_ns: Estimate,
    /// From its start until a report with the first events is written.
    pub first_event_ns: Estimate,
    pub idle: Idle,
    pub full_speed: Vec<Flood>,
    /// The same while the process is stopped for one second.
    pub stopped: Vec<Flood>,
    /// All CPUs busy, and all of it recorded.
    pub recorded: Vec<Recorded>,
    /// From the signal that ends it until its last probe is gone, with a full load of events waiting.
    pub probes_gone_ns: Estimate,
    /// And until the process is gone, its final report written.
    pub gone_ns: Estimate,
}

#[derive(Debug, Serialize)]
pub struct Idle {
    pub rss_bytes: u64,
    /// Of this, its own: neither files nor the mapped ring buffers.
    pub anonymous_bytes: u64,
    /// What its maps take in the kernel.
    pub map_bytes: u64,
    /// Of one CPU, in percent.
    pub cpu_percent: f64,
}

/// All CPUs busy with a workload.
#[derive(Debug, Serialize)]
pub struct Flood {
    pub workload: Workload,
    pub cpus: usize,
    pub seconds: f64,
    pub events_per_s: f64,
    #[serde(flatten)]
    pub tracer: Use,
}

impl Flood {
    pub fn cpu_ns_per_event(&self) -> Option<f64> {
        self.tracer
            .events
            .filter(|&events| events > 0)
            .map(|events| self.tracer.cpu_ns as f64 / events as f64)
    }
}

pub struct Bench<'a> {
    pub memtrace: &'a Memtrace,
    pub scratch: &'a Scratch,
    /// How often what takes a moment is repeated.
    pub repeats: usize,
    /// How long the CPUs are busy.
    pub flood: Duration,
}

/// Time between the reports that the first event is looked for in.
const FIRST_REPORTS: &str = "10ms";
const STARTS_MOST: Duration = Duration::from_secs(30);

/// How long nothing is done.
const IDLE: Duration = Duration::from_secs(2);

/// How long the process is stopped, and how long the load runs before and after it.
const STOPPED: Duration = Duration::from_secs(1);

/// A mix of system calls, and the one that makes the most events in a second.
pub(super) const FLOODS: [Workload; 2] = [Workload::Mix, Workload::Eventfd];

/// How long events are made to wait before the end.
const QUEUED: Duration = Duration::from_millis(300);

/// More CPUs are not loaded.
const MAX_CPUS: usize = 64;

impl Bench<'_> {
    pub fn run(&self) -> Result<Sessions> {
        let starts = self.repeated("starts", |bench| bench.start())?;
        let ends = self.repeated("ends", |bench| bench.end_under_load())?;
        let estimate = |values: &mut dyn Iterator<Item = Duration>| {
            Estimate::of(&values.map(|time| time.as_nanos() as f64).collect::<Vec<_>>())
                .context("nothing was repeated")
        };
        Ok(Sessions {
            attached_ns: estimate(&mut starts.iter().map(|start| start.attached))?,
            first_event_ns: estimate(&mut starts.iter().map(|start| start.first_event))?,
            idle: self.idle()?,
            full_speed: self.floods(self.flood, |_| Ok(()))?,
            stopped: self.floods(4 * STOPPED, |traced| {
                sleep(STOPPED);
                traced.signal(Signal::STOP)?;
                sleep(STOPPED);
                traced.signal(Signal::CONT)
            })?,
            recorded: self.recordings(self.flood)?,
            probes_gone_ns: estimate(&mut ends.iter().map(|end| end.probes_gone))?,
            gone_ns: estimate(&mut ends.iter().map(|end| end.gone))?,
        })
    }

    fn repeated<T>(&self, what: &str, once: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        eprintln!("{} {what}", self.repeats);
        let checked = |_| {
            check_interrupted()?;
            once(self)
        };
        (0..self.repeats).map(checked).collect()
    }

    fn start(&self) -> Result<Start> {
        let mut command = self.memtrace.command("all", NOTHING);
        command.args(["--interval", FIRST_REPORTS]).stdin(Stdio::null()).stdout(Stdio::piped());
        let begun = Instant::now();
        let mut child = Killed(process::spawn(&mut command)?);
        let mut reports = BufReader::new(child.0.stdout.take().context("it is piped")?);
        loop {
            let report = next_report(&mut reports)?;
            let so_far = begun.elapsed();
            let elapsed = report["elapsed_ns"].as_u64().context("a snapshot has its time")?;
            if Trust::of(&report).is_some_and(|trust| trust.emitted > 0) {
                let attached = so_far.saturating_sub(Duration::from_nanos(elapsed));
                return Ok(Start { attached, first_event: so_far });
            }
            if so_far > STARTS_MOST {
                bail!("memtrace reported no event in {} s", STARTS_MOST.as_secs());
            }
        }
    }

    fn idle(&self) -> Result<Idle> {
        let traced = self.traced()?;
        let (before, since) = (traced.cpu_time()?, Instant::now());
        sleep(IDLE);
        let cpu = traced.cpu_time()? - before;
        let memory = traced.memory()?;
        Ok(Idle {
            rss_bytes: memory.resident,
            anonymous_bytes: memory.anonymous,
            map_bytes: traced.probes().map_bytes,
            cpu_percent: 100.0 * cpu.as_secs_f64() / since.elapsed().as_secs_f64(),
        })
    }

    fn floods(&self, time: Duration, meanwhile: impl Fn(&Traced) -> Result<()>) -> Result<Vec<Flood>> {
        FLOODS.into_iter().map(|workload| self.flood(workload, time, &meanwhile)).collect()
    }

    fn flood(
        &self,
        workload: Workload,
        time: Duration,
        meanwhile: impl Fn(&Traced) -> Result<()>,
    ) -> Result<Flood> {
        check_interrupted()?;
        eprintln!("{} on all CPUs for {} s", workload.name(), time.as_secs());
        let (traced, mut load) = (self.traced()?, self.busy_cpus(workload, time)?);
        load.go()?;
        meanwhile(&traced)?;
        let measured = load.measured()?;
        load.end()?;
        sleep(Duration::from_millis(50));
        let (mut used, directory) = traced.end()?;
        let trust = tracer::last_snapshot(&directory)?;
        (used.events, used.lost) = (Some(trust.emitted), Some(trust.lost()));
        let seconds = measured.wall_ns as f64 / 1e9;
        Ok(Flood {
            workload,
            cpus: cpus(),
            seconds,
            events_per_s: trust.emitted as f64 / seconds,
            tracer: used,
        })
    }

    /// Stops the process, so that events wait for it, and has it end while the load goes on.
    fn end_under_load(&self) -> Result<End> {
        let (mut traced, mut load) = (self.traced()?, self.busy_cpus(Workload::Mix, 3 * QUEUED)?);
        load.go()?;
        sleep(QUEUED);
        traced.signal(Signal::STOP)?;
        sleep(QUEUED);
        traced.signal(Signal::INT)?;
        let asked = Instant::now();
        traced.signal(Signal::CONT)?;
        while !traced.probes().attachments.is_empty() {
            sleep(Duration::from_micros(200));
            if asked.elapsed() > STARTS_MOST {
                bail!("memtrace did not detach in {} s", STARTS_MOST.as_secs());
            }
        }
        let probes_gone = asked.elapsed();
        traced.wait()?;
        Ok(End { probes_gone, gone: asked.elapsed() })
    }

    fn traced(&self) -> Result<Traced> {
        let mut command = self.memtrace.command("all", NOTHING);
        Traced::start(&mut command, self.scratch.fresh("session"), UNCHANGED)
    }

    pub(super) fn busy_cpus(&self, workload: Workload, time: Duration) -> Result<Load> {
        Load::start(workload, Bound { ops: u64::MAX, time }, cpus(), &self.scratch.fresh("busy"))
    }
}

pub(super) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_CPUS)
}

struct Start {
    attached: Duration,
    first_event: Duration,
}

struct End {
    probes_gone: Duration,
    gone: Duration,
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Something must happen to be traced while we wait: opening a file is an event.
fn next_report(reports: &mut BufReader<ChildStdout>) -> Result<Value> {
    drop(File::open("/dev/null")?);
    let mut line = String::new();
    if reports.read_line(&mut line)? == 0 {
        bail!("memtrace ended before its first event");
    }
    serde_json::from_str(&line).context("memtrace wrote a line that is no JSON")
}
