//! A contender at work: attached before a workload starts, watched, and taken down when it has ended.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::contender::{Contender, Memtrace, Setup};
use crate::floor::Floor;
use crate::process::{self, Killed, Memory, Probes};
use crate::ring_floor::RingFloor;
use crate::{peers, perf_data};

/// How long a tracer may take to attach, and to end.
const MAX_WAIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// It has attached when it has probes and opened no more of them for this long.
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
    /// Returns when it is attached. What it writes goes to a directory in `scratch`.
    pub fn start(contender: Contender, memtrace: &Memtrace, scratch: &Path) -> Result<Self> {
        let directory = tempfile::tempdir_in(scratch)?;
        let unchanged = if contender.is_peer() { UNCHANGED_PEER } else { UNCHANGED };
        Ok(match contender.setup(memtrace, directory.path()) {
            Setup::Nothing => Self::Nothing,
            Setup::Empty(shape) => Self::Floor(Floor::attach(&memtrace.floor, &shape)?),
            Setup::WritingToCpu(shape) => Self::Floor(Floor::attach_writing(&memtrace.floor, &shape)?),
            Setup::Writing(shape) => Self::RingFloor(RingFloor::attach(&memtrace.floor, &shape)?),
            Setup::Process(mut command) => Self::Process(Traced::start(&mut command, directory, unchanged)?),
        })
    }

    /// To be called when the workload has ended.
    pub fn end(self, contender: Contender) -> Result<Option<Use>> {
        let Self::Process(traced) = self else { return Ok(None) };
        sleep(AFTERMATH);
        let (mut used, directory) = traced.end()?;
        if contender.is_memtrace() {
            let last = last_snapshot(directory.path())?;
            (used.events, used.lost) = (Some(last.emitted), Some(last.lost()));
        } else if contender == Contender::PerfKmem {
            let file = directory.path().join(peers::PERF_DATA);
            let counts = perf_data::count(&file).context("cannot read perf's file")?;
            (used.events, used.lost) = (Some(counts.samples + counts.lost), Some(counts.lost));
        }
        Ok(Some(used))
    }
}

/// A tracing process. It is killed when this is dropped.
pub struct Traced {
    child: Killed,
    /// Of what it writes.
    directory: TempDir,
    start: Duration,
    cpu_at_start: Duration,
}

impl Traced {
    pub fn start(command: &mut Command, directory: TempDir, unchanged: Duration) -> Result<Self> {
        let file = |name| File::create(directory.path().join(name));
        command.stdin(Stdio::null()).stdout(file(STDOUT)?).stderr(file(STDERR)?);
        let start = Instant::now();
        let child = process::spawn(command)?;
        let mut traced = Self { child, directory, start: Duration::ZERO, cpu_at_start: Duration::ZERO };
        traced.start = traced.wait_until_attached(unchanged)?.duration_since(start);
        traced.cpu_at_start = traced.cpu_time()?;
        Ok(traced)
    }

    /// Gives the time at which it was.
    fn wait_until_attached(&mut self, unchanged: Duration) -> Result<Instant> {
        let deadline = Instant::now() + MAX_WAIT;
        let mut attached = (Vec::new(), Instant::now());
        while Instant::now() < deadline {
            if let Some(status) = self.child.0.try_wait()? {
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
        bail!("it attached nothing in {} s: {}", MAX_WAIT.as_secs(), self.complaint());
    }

    fn id(&self) -> Pid {
        self.child.id()
    }

    pub fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.id()).context("the tracer has ended")
    }

    pub fn memory(&self) -> Result<Memory> {
        Memory::read(self.id()).context("the tracer has ended")
    }

    pub fn probes(&self) -> Probes {
        Probes::read(self.id())
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.id(), signal).context("the tracer has ended")
    }

    /// Ends it as Ctrl-C does. Gives what it used and the directory of its output.
    pub fn end(mut self) -> Result<(Use, TempDir)> {
        let cpu = self.cpu_time()? - self.cpu_at_start;
        let memory = self.memory()?;
        let map_bytes = self.probes().map_bytes();
        let asked = Instant::now();
        self.signal(Signal::INT)?;
        self.wait()?;
        let used = Use {
            cpu_ns: cpu.as_nanos() as u64,
            events: None,
            lost: None,
            peak_rss_bytes: memory.peak,
            map_bytes,
            written_bytes: size_of_files(self.directory.path())?,
            start_ns: self.start.as_nanos() as u64,
            stop_ns: asked.elapsed().as_nanos() as u64,
        };
        Ok((used, self.directory))
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + MAX_WAIT;
        while Instant::now() < deadline {
            if self.child.0.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(1));
        }
        bail!("it did not end in {} s after the signal", MAX_WAIT.as_secs());
    }

    /// The last line of its stderr.
    fn complaint(&self) -> String {
        let text = fs::read(self.directory.path().join(STDERR)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message").trim().to_owned()
    }
}

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

/// Bytes of all files in a directory.
fn size_of_files(directory: &Path) -> io::Result<u64> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

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

    pub fn from_snapshot(snapshot: &Value) -> Option<Self> {
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
    let trust = Trust::from_snapshot(&snapshot)
        .context("memtrace's snapshot does not say what became of its events")?;
    anyhow::ensure!(
        trust.applied <= trust.emitted,
        "memtrace applied more events than there were: {trust:?}"
    );
    Ok(trust)
}
