//! What is left running, a screen or a service or a watch: how much of a CPU each takes, when nothing happens and when much does.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

use crate::contender::Memtrace;
use crate::figures::{Busy, Running};
use crate::interrupt;
use crate::process::{self, Killed, Memory};
use crate::sessions::cpus;
use crate::workload::{Bound, Load, Workload};

pub struct Bench<'a> {
    pub memtrace: &'a Memtrace,
    pub scratch: &'a Path,
    /// How long each is looked at.
    pub time: Duration,
}

/// By then all has started: the census at the start too.
const STARTED: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Table,
    Top,
    Serve,
    ServeWithin,
    Watch,
}

impl What {
    /// The two that are compared come twice, and in another order: a host does not do the same all the time.
    const IN_TURNS: [Self; 7] =
        [Self::Table, Self::Top, Self::Top, Self::Table, Self::Serve, Self::ServeWithin, Self::Watch];

    fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Top => "top",
            Self::Serve => "serve",
            Self::ServeWithin => "serve --max-cpu 1",
            Self::Watch => "watch",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Table => &["-c", "all", "-o", "table"],
            Self::Top => &["-c", "all"],
            Self::Serve => &["serve", "-c", "all"],
            Self::ServeWithin => &["serve", "-c", "all", "--max-cpu", "1"],
            Self::Watch => &["watch"],
        }
    }

    fn serves(self) -> bool {
        matches!(self, Self::Serve | Self::ServeWithin)
    }
}

impl Bench<'_> {
    pub fn run(&self) -> Result<Vec<Running>> {
        let mut all: Vec<Running> = Vec::new();
        for what in What::IN_TURNS {
            let one = self.measure(what)?;
            match all.iter_mut().find(|known| known.name == one.name) {
                Some(before) => before.average(&one),
                None => all.push(one),
            }
        }
        Ok(all)
    }

    fn measure(&self, what: What) -> Result<Running> {
        interrupt::check()?;
        eprintln!("{} left running", what.name());
        let started = self.start(what)?;
        sleep(STARTED);
        let idle_percent = started.percent(self.time)?;
        let memory = started.memory()?;
        // One with a limit that cannot be kept has ended by then.
        let busy = if what == What::Watch { None } else { self.busy(&started)? };
        Ok(Running {
            name: what.name(),
            idle_percent,
            rss_bytes: memory.resident,
            anonymous_bytes: memory.anonymous,
            busy,
        })
    }

    /// The second half of a time in which all CPUs are busy: whoever adapts has done so by then.
    fn busy(&self, started: &Started) -> Result<Option<Busy>> {
        let bound = Bound { ops: u64::MAX, time: 2 * self.time };
        let mut load = Load::start(Workload::Mix, bound, cpus(), self.scratch)?;
        load.go()?;
        sleep(self.time);
        let percent = started.percent(self.time.mul_f64(0.9));
        let told_percent = started.told_percent();
        load.measured()?;
        load.end()?;
        Ok(percent.and_then(|percent| Ok(Busy { percent, told_percent: told_percent? })).ok())
    }

    fn start(&self, what: What) -> Result<Started> {
        let directory = tempfile::tempdir_in(self.scratch)?;
        let socket = what.serves().then(|| directory.path().join("http"));
        let mut command = Command::new(&self.memtrace.program);
        command.args(what.arguments());
        let null = || File::options().read(true).write(true).open("/dev/null");
        command.stdin(null()?).stdout(null()?).stderr(null()?);
        if let Some(socket) = &socket {
            command.arg("--listen").arg(format!("unix:{}", socket.display()));
        }
        match what {
            What::Table | What::Top => on_terminal(&mut command)?,
            What::Watch => _ = command.arg("--into").arg(directory.path().join("bundles")),
            _ => {}
        }
        Ok(Started { process: process::spawn(&mut command)?, socket, _directory: directory })
    }
}

/// A process at work. It is killed when this is dropped.
struct Started {
    process: Killed,
    socket: Option<PathBuf>,
    _directory: TempDir,
}

impl Started {
    /// What it takes of one CPU from now on.
    fn percent(&self, time: Duration) -> Result<f64> {
        let cpu_time = || process::cpu_time(self.process.id()).context("it has ended");
        let (before, since) = (cpu_time()?, Instant::now());
        sleep(time);
        Ok(100.0 * (cpu_time()? - before).as_secs_f64() / since.elapsed().as_secs_f64())
    }

    fn memory(&self) -> Result<Memory> {
        Memory::read(self.process.id()).context("it has ended")
    }

    /// None where it has no socket to be asked at.
    fn told_percent(&self) -> Result<Option<f64>> {
        let Some(socket) = &self.socket else { return Ok(None) };
        let mut stream = UnixStream::connect(socket).context("cannot connect to it")?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(Some(100.0 * own_cpu(&answer).context("it does not say what it takes")?))
    }
}

/// The sum of both parts.
fn own_cpu(metrics: &str) -> Option<f64> {
    let parts = metrics.lines().filter_map(|line| line.strip_prefix("memtrace_self_cpu_ratio{"));
    let parts: Vec<f64> = parts.map(|part| part.rsplit(' ').next()?.parse().ok()).collect::<Option<_>>()?;
    (!parts.is_empty()).then(|| parts.iter().sum())
}

/// Of a usual size. What is shown there is thrown away.
fn on_terminal(command: &mut Command) -> Result<()> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    tcsetwinsize(&master, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 })?;
    let name = ptsname(&master, Vec::new())?;
    // A bench that has no terminal would have this one, and get its SIGHUP.
    let not_ours = OFlags::NOCTTY.bits().cast_signed();
    let side = || {
        let path = name.to_str().expect("a path in /dev");
        File::options().read(true).write(true).custom_flags(not_ours).open(path)
    };
    command.env("TERM", "xterm").stdin(side()?).stdout(side()?).stderr(side()?);
    thread::spawn(move || throw_away(master));
    Ok(())
}

/// Until the other side has hung up.
fn throw_away(terminal: OwnedFd) {
    let (mut terminal, mut shown) = (File::from(terminal), [0; 4096]);
    while terminal.read(&mut shown).is_ok_and(|length| length > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_takes_is_the_sum_of_its_parts() {
        let metrics = "HTTP/1.1 200 OK\r\n\r\n# TYPE memtrace_self_cpu_ratio gauge\n\
            memtrace_self_cpu_ratio{part=\"probes\"} 0.25\nmemtrace_self_cpu_ratio{part=\"userspace\"} 0.5\n";
        assert_eq!(own_cpu(metrics), Some(0.75));
        assert_eq!(own_cpu("memtrace_events_total 7\n"), None);
    }
}
