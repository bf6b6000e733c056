//! A contender at work: attached before a workload starts, watched, and taken down when it has ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_process};
use serde::Serialize;
use serde_json::Value;

use super::contender::{Contender, Memtrace};
use super::floor::Floor;
use super::process::{self, Memory, Probes};
use super::ring_floor::RingFloor;
use super::{peers, perf_data, scratch};

/// How long a tracer may take to attach, and to end.
const MAX_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// It has attached when it has probes and opened no more of them for so long.
pub const UNCHANGED: Duration = Duration::from_millis(60);
/// Peers start in steps.
const UNCHANGED_PEER: Duration = Duration::from_millis(300);
/// After a workload has ended, frees that RCU delays still arrive, and are drained.
const AFTERMATH: Duration = Duration::from_millis(50);

/// What a tracing process used and saw, from when it was attached until its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Use {
    /// Its user and system time from when it was attached until the workload's events had arrived.
    pub cpu_ns: u64,
    /// Events that it saw, lost ones included; null where it does not say.
    pub events: Option<u64>,
    pub lost: Option<u64>,
    pub peak_rss_bytes: u64,
    /// What its BPF maps take in the kernel.
    pub map_bytes: u64,
    /// By its output and its files.
    pub written_bytes: u64,
    /// From its start until it was attached.
    pub start_ns: u64,
    /// From the signal that ends it until it is gone.
    pub stop_ns: u64,
}

pub enum Tracer {
    Nothing,
    /// It runs until it is dropped.
    Floor(#[expect(dead_code, reason = "held, not read")] Floor),
    /// As above.
    RingFloor(#[expect(dead_code, reason = "held, not read")] RingFloor),
    Process(Traced),
}

impl Tracer {
    /// Returns when it is attached. What it writes goes to `directory`, which is made.
    pub fn start(contender: Contender, memtrace: &Memtrace, directory: PathBuf) -> Result<Self> {
        if let Some(shape) = contender.empty_programs(memtrace) {
            return Ok(Self::Floor(Floor::attach(&shape)?));
        }
        if contender == Contender::RingAll {
            return Ok(Self::RingFloor(RingFloor::attach(&contender.tracepoints(memtrace))?));
        }
        let Some(mut command) = contender.command(memtrace, &directory) else { return Ok(Self::Nothing) };
        let unchanged = if contender.is_peer() { UNCHANGED_PEER } else { UNCHANGED };
        Ok(Self::Process(Traced::start(&mut command, directory, unchanged)?))
    }

    /// To be called when the workload has ended.
    pub fn end(self, contender: Contender) -> Result<Option<Use>> {
        let Self::Process(traced) = self else { return Ok(None) };
        sleep(AFTERMATH);
        let (mut used, directory) = traced.end()?;
        if contender.is_memtrace() {
            let last = last_snapshot(&directory)?;
            (used.events, used.lost) = (Some(last.emitted), Some(last.lost()));
        } else if contender == Contender::PerfKmem {
            let counts =
                perf_data::count(&directory.join(peers::PERF_DATA)).context("cannot read perf's file")?;
            (used.events, used.lost) = (Some(counts.samples + counts.lost), Some(counts.lost));
        }
        // perf's files are large.
        fs::remove_dir_all(&directory)?;
        Ok(Some(used))
    }
}

/// A tracing process. It is killed when this is dropped.
pub struct Traced {
    child: Child,
    directory: PathBuf,
    start: Duration,
    cpu_at_start: Duration,
}

impl Traced {
    pub fn start(command: &mut Command, directory: PathBuf, unchanged: Duration) -> Result<Self> {
        fs::create_dir(&directory)?;
        let file = |name| File::create(directory.join(name));
        command.stdin(std::process::Stdio::null()).stdout(file(STDOUT)?).stderr(file(STDERR)?);
        let start = Instant::now();
        let child = process::spawn(command)?;
        let mut traced = Self { child, directory, start: Duration::ZERO, cpu_at_start: Duration::ZERO };
        traced.start = traced.wait_until_attached(unchanged)?.duration_since(start);
        traced.cpu_at_start = traced.cpu_time()?;
        Ok(traced)
    }

    /// Returns since when it has been.
    fn wait_until_attached(&mut self, unchanged: Duration) -> Result<Instant> {
        let deadline = Instant::now() + MAX_PATIENCE;
        let mut attached = (Vec::new(), Instant::now());
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}): {}", self.complaint());
            }
            let now = self.probes().attachments;
            if now != attached.0 {
                attached = (now, Instant::now());
            } else if !now.is_empty() && attached.1.elapsed() > unchanged {
                return Ok(attached.1);
            }
            sleep(POLL);
        }
        bail!("it attached nothing in {} s: {}", MAX_PATIENCE.as_secs(), self.complaint());
    }

    pub fn id(&self) -> rustix::process::Pid {
        process::id(&self.child)
    }

    pub fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.id()).context("the tracer has ended")
    }

    pub fn memory(&self) -> Result<Memory> {
        Memory::of(self.id()).context("the tracer has ended")
    }

    pub fn probes(&self) -> Probes {
        Probes::of(self.id())
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.id(), signal).context("the tracer has ended")
    }

    /// Ends it as Ctrl-C does. Returns what it used and where its output is.
    pub fn end(mut self) -> Result<(Use, PathBuf)> {
        let cpu = self.cpu_time()? - self.cpu_at_start;
        let memory = self.memory()?;
        let map_bytes = self.probes().map_bytes;
        let asked = Instant::now();
        self.signal(Signal::INT)?;
        self.wait()?;
        let used = Use {
            cpu_ns: cpu.as_nanos() as u64,
            events: None,
            lost: None,
            peak_rss_bytes: memory.peak,
            map_bytes,
            written_bytes: scratch::size_of_files(&self.directory)?,
            start_ns: self.start.as_nanos() as u64,
            stop_ns: asked.elapsed().as_nanos() as u64,
        };
        Ok((used, std::mem::take(&mut self.directory)))
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + MAX_PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(1));
        }
        bail!("it did not end in {} s after the signal", MAX_PATIENCE.as_secs());
    }

    /// The last thing it said on stderr.
    fn complaint(&self) -> String {
        let text = fs::read(self.directory.join(STDERR)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

/// What memtrace says in its last snapshot of how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    pub emitted: u64,
    pub applied: u64,
}

impl Trust {
    /// What did not arrive, whatever it is called: `emitted = applied + lost` is memtrace's promise, and its tests check it.
    pub fn lost(self) -> u64 {
        self.emitted - self.applied
    }

    pub fn of(snapshot: &Value) -> Option<Self> {
        let count = |name: &str| snapshot["trust"][name].as_u64();
        Some(Self { emitted: count("emitted")?, applied: count("applied")? })
    }
}

/// From what memtrace wrote to this directory.
pub fn last_snapshot(directory: &Path) -> Result<Trust> {
    let text = fs::read_to_string(directory.join(STDOUT))?;
    let last = text.lines().last().context("memtrace wrote no snapshot")?;
    let snapshot: Value = serde_json::from_str(last).context("memtrace's last line is no JSON")?;
    if snapshot["final"] != true {
        bail!("memtrace ended without its final snapshot");
    }
    let trust = Trust::of(&snapshot).context("memtrace's snapshot does not say what became of its events")?;
    anyhow::ensure!(
        trust.applied <= trust.emitted,
        "memtrace applied more events than there were: {trust:?}"
    );
    Ok(trust)
}
