//! How memtrace itself fares, beside what it costs others: starting, waiting, keeping up, and ending.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::contender::{Memtrace, NOTHING};
use crate::figures::{Flood, Idle, Recorded, Sessions};
use crate::stats::Estimate;
use crate::tracer::{self, Traced, Trust, UNCHANGED};
use crate::workload::{Bound, Load, Workload};
use crate::{interrupt, process};

pub struct Bench<'a> {
    pub memtrace: &'a Memtrace,
    pub scratch: &'a Path,
    /// How often what takes a moment is repeated.
    pub repeats: usize,
    /// How long the CPUs are busy.
    pub flood: Duration,
}

/// Time between the reports that the first event is looked for in.
const FIRST_REPORTS: &str = "10ms";
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How long nothing is done.
const IDLE: Duration = Duration::from_secs(2);

/// How long the process is stopped, and how long the load runs before and after it.
const STOPPED: Duration = Duration::from_secs(1);

/// A mix of system calls, and the one that makes the most events in a second.
const FLOODS: [Workload; 2] = [Workload::Mix, Workload::Eventfd];

/// How long events are made to wait before the end.
const QUEUED: Duration = Duration::from_millis(300);

/// More CPUs are not loaded.
const MAX_CPUS: usize = 64;

impl Bench<'_> {
    pub fn run(&self) -> Result<Sessions> {
        let starts = self.repeated("starts", |bench| bench.start())?;
        let ends = self.repeated("ends", |bench| bench.end_under_load())?;
        let estimate = |values: &mut dyn Iterator<Item = Duration>| {
            Estimate::from_values(&values.map(|time| time.as_nanos() as f64).collect::<Vec<_>>())
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
            recorded: self.recordings()?,
            probes_gone_ns: estimate(&mut ends.iter().map(|end| end.probes_gone))?,
            gone_ns: estimate(&mut ends.iter().map(|end| end.gone))?,
        })
    }

    fn repeated<T>(&self, what: &str, once: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        eprintln!("{} {what}", self.repeats);
        let checked = |_| {
            interrupt::check()?;
            once(self)
        };
        (0..self.repeats).map(checked).collect()
    }

    fn start(&self) -> Result<Start> {
        let mut command = self.memtrace.command("all", NOTHING);
        command.args(["--interval", FIRST_REPORTS]).stdin(Stdio::null()).stdout(Stdio::piped());
        let begun = Instant::now();
        let mut child = process::spawn(&mut command)?;
        let mut reports = BufReader::new(child.0.stdout.take().context("it is piped")?);
        loop {
            let report = next_report(&mut reports)?;
            let so_far = begun.elapsed();
            let elapsed = report["elapsed_ns"].as_u64().context("a snapshot has its time")?;
            if Trust::from_snapshot(&report).is_some_and(|trust| trust.emitted > 0) {
                let attached = so_far.saturating_sub(Duration::from_nanos(elapsed));
                return Ok(Start { attached, first_event: so_far });
            }
            if so_far > MAX_WAIT {
                bail!("memtrace reported no event in {} s", MAX_WAIT.as_secs());
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
            map_bytes: traced.probes().map_bytes(),
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
        eprintln!("{} on all CPUs for {} s", workload.name(), time.as_secs());
        let (flood, _) = self.flooded(self.traced()?, workload, time, meanwhile)?;
        Ok(flood)
    }

    /// Keeps all CPUs busy while memtrace runs, then ends it. Gives the directory of its output too.
    fn flooded(
        &self,
        traced: Traced,
        workload: Workload,
        time: Duration,
        meanwhile: impl Fn(&Traced) -> Result<()>,
    ) -> Result<(Flood, TempDir)> {
        interrupt::check()?;
        let mut load = self.busy_cpus(workload, time)?;
        load.go()?;
        meanwhile(&traced)?;
        let measured = load.measured()?;
        load.end()?;
        sleep(Duration::from_millis(50));
        let (mut used, directory) = traced.end()?;
        let trust = tracer::last_snapshot(directory.path())?;
        (used.events, used.lost) = (Some(trust.emitted), Some(trust.lost()));
        let seconds = measured.wall_ns as f64 / 1e9;
        let events = trust.emitted as f64;
        let flood = Flood {
            workload,
            cpus: cpus(),
            seconds,
            events_per_s: events / seconds,
            cpu_ns_per_event: (events > 0.0).then(|| used.cpu_ns as f64 / events),
            tracer: used,
        };
        Ok((flood, directory))
    }

    fn recordings(&self) -> Result<Vec<Recorded>> {
        FLOODS.into_iter().map(|workload| self.recording(workload, self.flood)).collect()
    }

    /// All CPUs busy while memtrace writes all that happens to a file, and the file read back.
    fn recording(&self, workload: Workload, time: Duration) -> Result<Recorded> {
        eprintln!("{} on all CPUs for {} s, recorded", workload.name(), time.as_secs());
        let directory = tempfile::tempdir_in(self.scratch)?;
        let file = directory.path().join("recording");
        let mut command = Command::new(&self.memtrace.program);
        command.args(["record", "--report", "json", "--settle", "0", "--output"]).arg(&file);
        let traced = Traced::start(&mut command, directory, UNCHANGED)?;
        // Holds the recording until we return.
        let (flood, _directory) = self.flooded(traced, workload, time, |_| Ok(()))?;
        let mut report = Command::new(&self.memtrace.program);
        report.arg("report").arg(&file).args(["--output", "json"]).stdout(Stdio::null());
        let report = process::spent(&mut report).context("memtrace report")?;
        let bytes = fs::metadata(&file)?.len();
        let events = flood.tracer.events.filter(|&events| events > 0).map(|events| events as f64);
        Ok(Recorded {
            bytes,
            bytes_per_event: events.map(|events| bytes as f64 / events),
            reported_per_s: events.map(|events| events * 1e9 / report.cpu_ns.max(1) as f64),
            flood,
            report,
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
            if asked.elapsed() > MAX_WAIT {
                bail!("memtrace did not detach in {} s", MAX_WAIT.as_secs());
            }
        }
        let probes_gone = asked.elapsed();
        traced.wait()?;
        Ok(End { probes_gone, gone: asked.elapsed() })
    }

    fn traced(&self) -> Result<Traced> {
        let mut command = self.memtrace.command("all", NOTHING);
        Traced::start(&mut command, tempfile::tempdir_in(self.scratch)?, UNCHANGED)
    }

    fn busy_cpus(&self, workload: Workload, time: Duration) -> Result<Load> {
        Load::start(workload, Bound { ops: u64::MAX, time }, cpus(), self.scratch)
    }
}

pub fn cpus() -> usize {
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

/// Something must happen to be traced while we wait: opening a file is an event.
fn next_report(reports: &mut BufReader<ChildStdout>) -> Result<Value> {
    drop(File::open("/dev/null")?);
    let mut line = String::new();
    if reports.read_line(&mut line)? == 0 {
        bail!("memtrace ended before its first event");
    }
    serde_json::from_str(&line).context("memtrace wrote a line that is no JSON")
}
