//! `memtrace watch`: armed. Nothing is traced until a condition holds; then a bundle is made.

mod figures;
mod notify;

use std::{
    env,
    ffi::OsString,
    future::{Future, pending},
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    time::{Duration, SystemTime},
};

use clap::{Args, Command, FromArgMatches as _};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use self::{figures::Figures, notify::Notifier};
use super::{
    bundle::BundleArgs,
    exit::{Exit, Failure, printable},
    record::max_size,
    shared::{
        conditions::{ConditionError, watches},
        number,
        runtime::block_on,
    },
};
use crate::{
    armed::{
        census,
        episode::Episodes,
        hook::{Hook, HookError},
        machine::{Machine, Step},
        recorder::Recorder,
        shelf::{Limits, Shelf, ShelfError},
        webhook::Webhook,
    },
    condition::{self, Condition, Holding, Source, Watch},
    procfs::Files,
    serve::{
        address::Address,
        listen::{self, ListenError, Listener, Socket},
    },
    session::{SetupError, Signals, check_privileges},
    text::{duration, escape, human, time::rfc3339_seconds},
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

/// Where bundles go, unless systemd (`StateDirectory=`) or somebody else says so.
const DIRECTORY: &str = "/var/lib/memtrace";
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

#[derive(Args, Clone, Debug)]
pub struct WatchArgs {
    /// Record when this holds: 'available lasts < 10m', 'dentry > 10G', 'SUnreclaim +500M/1h', 'pressure > 10%'; may be repeated
    ///
    /// See docs/conditions.md. Without it: 'available lasts < 10m', 'SUnreclaim > 20%', 'SUnreclaim +5%/1h', 'pressure > 20%',
    /// 'memory.events oom_kill'.
    #[arg(long = "on", value_name = "CONDITION", value_parser = condition::parse)]
    pub conditions: Vec<Condition>,

    /// Time between two looks at the host
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = duration::parse, allow_hyphen_values = true)]
    pub interval: Duration,

    /// How long to record
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = duration::parse, allow_hyphen_values = true)]
    pub time: Duration,

    /// Stop recording at this size
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = max_size, allow_hyphen_values = true)]
    pub max_size: u64,

    /// A condition that was recorded is not recorded again within this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse_or_none, allow_hyphen_values = true)]
    pub cool_down: Duration,

    /// Also take a census so often; the last one is kept with the bundles, as census.json
    #[arg(long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    pub census: Option<Duration>,

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

    /// Options of memtrace bundle for the recordings: --redact, -c, --stacks, --max-cpu, ...
    #[arg(last = true, value_name = "OPTIONS")]
    pub options: Vec<OsString>,
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
pub enum ArmedError {
    #[error(transparent)]
    Condition(#[from] ConditionError),
    #[error(
        "--on finding: nothing is traced until a condition holds; `memtrace record --until finding` waits for one"
    )]
    Finding,
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error("after --, options of memtrace bundle: {0}")]
    Options(String),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("--webhook: {0}")]
    Listen(#[from] ListenError),
    #[error("--webhook: {0}")]
    Webhook(#[source] io::Error),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] io::Error),
}

impl Failure for ArmedError {
    fn exit(&self) -> Exit {
        match self {
            Self::Condition(error) => error.exit(),
            Self::Finding | Self::Hook(_) | Self::Options(_) => Exit::Usage,
            Self::Shelf(_)
            | Self::Setup(_)
            | Self::Listen(_)
            | Self::Webhook(_)
            | Self::Signals(_)
            | Self::Runtime(_) => Exit::Failed,
        }
    }
}

pub fn run(args: WatchArgs) -> Result<(), ArmedError> {
    // At once, and not in the night.
    check_options(&args.options)?;
    check_privileges()?;
    let files = Files::live();
    let watches =
        if args.conditions.is_empty() { usual(&files)? } else { asked_for(&args.conditions, &files)? };
    let hook = args.hook.as_ref().map(|path| Hook::new(path, args.hook_time)).transpose()?;
    let into = args.into.clone().unwrap_or_else(directory);
    let limits = Limits { bundles: args.keep.get(), bytes: args.max_disk };
    let shelf = Shelf::open(&into, limits)?;
    let recorder = Recorder { into, time: args.time, options: args.options };
    let episodes = Episodes { shelf, recorder, max_size: args.max_size, hook };
    let listener = listen::listen(args.webhook.as_slice())?.pop();
    let rounds = Rounds { looks: args.interval, censuses: args.census };
    let armed = Armed {
        // Alerts are the last.
        machine: Machine::new(watches.len() + 1, args.cool_down),
        figures: Figures::new(files, &watches),
        watches,
        episodes: Rc::new(episodes),
        episode: None,
        start: Instant::now(),
        notifier: Notifier::default(),
        time: args.time,
    };
    block_on(armed.run(rounds, listener)).map_err(ArmedError::Runtime)?
}

/// Options that `memtrace bundle` would refuse.
fn check_options(options: &[OsString]) -> Result<(), ArmedError> {
    let command = BundleArgs::augment_args(Command::new("memtrace bundle"));
    let own = ["memtrace bundle", "--into", "/", "--duration", "1s", "--max-size", "1M"].map(OsString::from);
    let matches = command.try_get_matches_from(own.iter().chain(options));
    let parsed = matches.and_then(|matches| BundleArgs::from_arg_matches(&matches));
    parsed.map(drop).map_err(|error| ArmedError::Options(error.to_string()))
}

fn asked_for(conditions: &[Condition], files: &Files) -> Result<Vec<Watch>, ArmedError> {
    let watches = watches("--on", conditions, files)?;
    let is_finding = watches.iter().any(|watch| watch.source() == Source::Finding);
    if is_finding { Err(ArmedError::Finding) } else { Ok(watches) }
}

/// Of the usual ones, those that this host can tell.
fn usual(files: &Files) -> Result<Vec<Watch>, ArmedError> {
    let has_pressure = files.pressure().is_some();
    let conditions: Vec<Condition> =
        USUAL.into_iter().filter_map(|text| condition::parse(text).ok()).collect();
    let pressure = |condition: &&Condition| has_pressure || !condition.to_string().starts_with("pressure");
    let told: Vec<_> = conditions.iter().filter(pressure).cloned().collect();
    Ok(watches("--on", &told, files)?)
}

fn directory() -> PathBuf {
    // Several are separated by colons: the first is ours.
    let of_systemd = env::var(STATE_DIRECTORY).ok();
    let first = of_systemd.as_deref().and_then(|all| all.split(':').next()).filter(|path| !path.is_empty());
    PathBuf::from(first.unwrap_or(DIRECTORY))
}

/// What is done every so often.
struct Rounds {
    looks: Duration,
    /// None: none are taken.
    censuses: Option<Duration>,
}

type Episode = Pin<Box<dyn Future<Output = Option<String>>>>;

/// The watch while it runs.
struct Armed {
    machine: Machine,
    watches: Vec<Watch>,
    figures: Figures,
    episodes: Rc<Episodes>,
    /// What is recorded, and how to end it early.
    episode: Option<(Episode, oneshot::Sender<()>)>,
    start: Instant,
    notifier: Notifier,
    time: Duration,
}

impl Armed {
    async fn run(mut self, rounds: Rounds, listener: Option<Listener>) -> Result<(), ArmedError> {
        let mut signals = Signals::new().map_err(ArmedError::Signals)?;
        let mut asked = signal(SignalKind::user_defined2()).map_err(ArmedError::Signals)?;
        let mut ticks = ticks(rounds.looks);
        let mut webhook = listener.as_ref().map(webhook).transpose().map_err(ArmedError::Webhook)?.flatten();
        self.say_armed();
        if let Some(time) = rounds.censuses {
            census::every(time, self.episodes.shelf.directory().to_owned(), say);
        }
        if let Some(listener) = &listener {
            say(&format!("alerts are taken at {}", listener.url(false)));
        }
        loop {
            tokio::select! {
                biased;
                () = signals.end() => break,
                finding = running(&mut self.episode) => self.ended(finding),
                _ = ticks.tick() => self.look(),
                _ = asked.recv() => self.ask("SIGUSR2"),
                alert = alert(&mut webhook) => self.alert(&alert),
            }
        }
        self.end(&mut signals).await;
        Ok(())
    }

    fn say_armed(&self) {
        let conditions: Vec<_> = self.watches.iter().map(|watch| quoted(watch.condition())).collect();
        let shelf = &self.episodes.shelf;
        let there = shelf.bundles().map_or(0, |bundles| bundles.len());
        let directory = escape::path(shelf.directory());
        say(&format!("armed: {}; bundles go to {directory}, {there} are there", conditions.join(", ")));
    }

    /// Looks at the host.
    fn look(&mut self) {
        let now = self.start.elapsed();
        let holding = self.figures.read(now, &mut self.watches);
        match self.machine.take(now, &holding) {
            Step::Nothing => {}
            Step::Record(reasons) => {
                let why = self.reasons(&reasons, &holding);
                self.record(&why);
            }
            Step::Joins(reasons) => {
                let why = self.reasons(&reasons, &holding);
                say(&format!("{why}; it is being recorded"));
            }
        }
        self.notifier.tell(self.machine.state(now));
    }

    /// `'slab > 40%' holds: slab is ...`. After a cool-down nothing is known but that it goes on.
    fn reasons(&self, numbers: &[usize], holding: &[Holding]) -> String {
        let reason = |number: &usize| {
            let condition = quoted(self.watches[*number].condition());
            match &holding[*number] {
                Holding::Begins(why) => format!("{condition} holds: {why}"),
                Holding::GoesOn | Holding::No => format!("{condition} still holds"),
            }
        };
        numbers.iter().map(reason).collect::<Vec<_>>().join("; ")
    }

    /// Whatever holds.
    fn ask(&mut self, who: &str) {
        if self.machine.ask() {
            self.record(&format!("{who} asks for it"));
        } else {
            say(&format!("{who} asks for it; it is being recorded"));
        }
        self.notifier.tell(self.machine.state(self.start.elapsed()));
    }

    fn alert(&mut self, name: &str) {
        let (now, why) = (self.start.elapsed(), format!("the alert {name} fires"));
        match self.machine.happens(now, self.watches.len()) {
            Step::Nothing => say(&format!("{why}; not recorded again so soon")),
            Step::Record(_) => self.record(&why),
            Step::Joins(_) => say(&format!("{why}; it is being recorded")),
        }
        self.notifier.tell(self.machine.state(now));
    }

    fn record(&mut self, why: &str) {
        say(&format!("{why}; recording for {}", human::round_duration(self.time)));
        let (end, ended) = oneshot::channel();
        let episodes = Rc::clone(&self.episodes);
        let episode = async move { episodes.run(ended, say).await };
        self.episode = Some((Box::pin(episode), end));
    }

    fn ended(&mut self, finding: Option<String>) {
        self.episode = None;
        let now = self.start.elapsed();
        self.machine.ended(now);
        self.notifier.recorded(finding);
        self.notifier.tell(self.machine.state(now));
    }

    /// What is being recorded is completed with what there is, unless somebody is in a hurry.
    async fn end(self, signals: &mut Signals) {
        self.notifier.stopping();
        let Some((episode, end)) = self.episode else { return };
        say("ending; what was recorded so far is packed");
        let _ = end.send(());
        tokio::select! {
            _ = episode => {}
            () = signals.end() => say("not recorded: ended at once"),
        }
    }
}

/// For ever where there is none.
async fn running(episode: &mut Option<(Episode, oneshot::Sender<()>)>) -> Option<String> {
    match episode {
        Some((episode, _)) => episode.await,
        None => pending().await,
    }
}

/// For ever where nobody can send one.
async fn alert(webhook: &mut Option<Webhook>) -> String {
    match webhook {
        Some(webhook) => webhook.next().await,
        None => pending().await,
    }
}

fn webhook(listener: &Listener) -> io::Result<Option<Webhook>> {
    match &listener.socket {
        Socket::Tcp(socket) => Webhook::listen(socket.try_clone()?).map(Some),
        Socket::Unix(_) => Ok(None),
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn quoted(condition: &Condition) -> String {
    format!("'{}'", escape::terminal(condition.to_string().as_bytes()))
}

/// Nowhere to complain if even standard error is closed.
fn say(text: &str) {
    let line = format!("{} {}\n", rfc3339_seconds(SystemTime::now()), printable(text));
    let _ = io::stderr().write_all(line.as_bytes());
}
