//! When to record, how, and what to keep: the options of whoever is armed.

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::Args;

use super::{
    conditions::{ConditionError, watches},
    number,
};
use crate::{
    armed::{
        episode::Episodes,
        figures::Figures,
        guard::{Audience, Guard, GuardError},
        hook::{Hook, HookError},
        recorder::Recorder,
        shelf::{Limits, Shelf, ShelfError},
    },
    cmd::{
        exit::{Exit, Failure, printable},
        record::max_size,
    },
    condition::{self, Condition, Source, Watch},
    procfs::Files,
    serve::{
        address::Address,
        listen::{self, ListenError},
    },
    text::{duration, time::rfc3339_seconds},
};

/// What is waited for where nothing else is asked for: memory that runs out, slab that nobody can take back, tasks that wait for memory, and what the
/// OOM killer did.
const USUAL: [&str; 5] = [
    "available lasts < 10m",
    "SUnreclaim > 20%",
    "SUnreclaim +5%/1h",
    "pressure > 20%",
    "memory.events oom_kill",
];
/// And of a session that traces in any case: somebody leaks or floods.
const FINDING: &str = "finding";

/// Where bundles go, unless systemd (`StateDirectory=`) or somebody else says so.
const DIRECTORY: &str = "/var/lib/memtrace";
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

#[derive(Args, Clone, Debug)]
pub struct ArmingArgs {
    /// Record when this holds: 'available lasts < 10m', 'dentry > 10G', 'SUnreclaim +500M/1h', 'pressure > 10%'; may be repeated
    ///
    /// See docs/conditions.md. Without it: 'available lasts < 10m', 'SUnreclaim > 20%', 'SUnreclaim +5%/1h', 'pressure > 20%',
    /// 'memory.events oom_kill'.
    #[arg(long = "on", value_name = "CONDITION", value_parser = condition::parse)]
    pub conditions: Vec<Condition>,

    /// How long to record
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = duration::parse, allow_hyphen_values = true)]
    pub time: Duration,

    /// Stop recording at this size
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = max_size, allow_hyphen_values = true)]
    pub max_size: u64,

    /// A condition that was recorded is not recorded again within this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse_or_none, allow_hyphen_values = true)]
    pub cool_down: Duration,

    /// Directory for the bundles, of this command alone [default: systemd's state directory, else /var/lib/memtrace]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,

    /// Bundles to keep, the worst ones
    #[arg(long, value_name = "N", default_value = "10", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub keep: NonZeroUsize,

    /// What they may take together
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = max_size, allow_hyphen_values = true)]
    pub max_disk: u64,

    /// Program to run with the path of each bundle that is kept
    #[arg(long, value_name = "PROGRAM")]
    pub hook: Option<PathBuf>,

    /// When to kill it
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::parse, requires = "hook", allow_hyphen_values = true)]
    pub hook_time: Duration,

    /// Also record when Alertmanager posts an alert that fires to this address: a port of localhost, or ADDRESS:PORT
    #[arg(long, value_name = "PORT", value_parser = webhook_address, allow_hyphen_values = true)]
    pub webhook: Option<Address>,
}

fn webhook_address(text: &str) -> Result<Address, String> {
    let of_localhost = |port| Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    match text.parse() {
        Ok(port) => Ok(of_localhost(port)),
        Err(_) => match text.parse() {
            Ok(address @ Address::Tcp(_)) => Ok(address),
            _ => Err("neither a port nor ADDRESS:PORT, as 127.0.0.1:9436 or [::1]:9436".to_owned()),
        },
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ArmingError {
    #[error(transparent)]
    Condition(#[from] ConditionError),
    #[error(
        "--on finding: nothing is traced until a condition holds; `memtrace serve --arm` traces all the time, and `memtrace record --until finding` waits for one"
    )]
    Finding,
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error("--webhook: {0}")]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl Failure for ArmingError {
    fn exit(&self) -> Exit {
        match self {
            Self::Condition(error) => error.exit(),
            Self::Finding | Self::Hook(_) => Exit::Usage,
            Self::Shelf(_) | Self::Listen(_) | Self::Guard(_) => Exit::Failed,
        }
    }
}

/// Who is armed.
pub struct Armed {
    /// Between two looks at the host.
    pub looks: Duration,
    pub censuses: Option<Duration>,
    /// Of `memtrace bundle`.
    pub options: Vec<OsString>,
    /// It traces in any case, and knows who leaks or floods.
    pub traces: bool,
    pub audience: Box<dyn Audience + Send>,
}

impl ArmingArgs {
    pub fn arm(&self, armed: Armed) -> Result<Guard, ArmingError> {
        let files = Files::live();
        let watches = self.watches(armed.traces, &files)?;
        let hook = self.hook.as_ref().map(|path| Hook::new(path, self.hook_time)).transpose()?;
        let into = self.into.clone().unwrap_or_else(directory);
        let limits = Limits { bundles: self.keep.get(), bytes: self.max_disk };
        let shelf = Shelf::open(&into, limits)?;
        let recorder = Recorder { into, time: self.time, options: armed.options };
        Ok(Guard {
            figures: Figures::new(files, &watches),
            watches,
            episodes: Episodes { shelf, recorder, max_size: self.max_size, hook },
            time: self.time,
            cool_down: self.cool_down,
            looks: armed.looks,
            censuses: armed.censuses,
            listener: listen::listen(self.webhook.as_slice())?.pop(),
            audience: armed.audience,
            say,
        })
    }

    fn watches(&self, traces: bool, files: &Files) -> Result<Vec<Watch>, ArmingError> {
        if self.conditions.is_empty() {
            return usual(traces, files);
        }
        let watches = watches("--on", &self.conditions, files)?;
        let is_finding = watches.iter().any(|watch| watch.source() == Source::Finding);
        if is_finding && !traces { Err(ArmingError::Finding) } else { Ok(watches) }
    }
}

/// Of the usual ones, those that this host can tell.
fn usual(traces: bool, files: &Files) -> Result<Vec<Watch>, ArmingError> {
    let has_pressure = files.pressure().is_some();
    let usual = USUAL.into_iter().chain(traces.then_some(FINDING));
    let told = usual.filter(|text| has_pressure || !text.starts_with("pressure"));
    let told: Vec<Condition> = told.filter_map(|text| condition::parse(text).ok()).collect();
    Ok(watches("--on", &told, files)?)
}

fn directory() -> PathBuf {
    // Several are separated by colons: the first is ours.
    let of_systemd = env::var(STATE_DIRECTORY).ok();
    let first = of_systemd.as_deref().and_then(|all| all.split(':').next()).filter(|path| !path.is_empty());
    PathBuf::from(first.unwrap_or(DIRECTORY))
}

/// Nowhere to complain if even standard error is closed.
pub fn say(text: &str) {
    let line = format!("{} {}\n", rfc3339_seconds(SystemTime::now()), printable(text));
    let _ = io::stderr().write_all(line.as_bytes());
}
