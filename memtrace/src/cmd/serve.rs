//! `memtrace serve`: a session that answers over HTTP.

pub mod config;
mod armed;
mod reload;
mod rest;
pub mod settings;

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use clap::{Args, ValueEnum};

pub use self::settings::CommandLine;
use self::{
    armed::Watching,
    config::ConfigError,
    reload::{Reloader, Reloading},
    rest::{Rested, rest},
    settings::Settings,
};
use super::{
    exit::{Exit, Failure},
    live,
    shared::{
        arming::{ArmingArgs, ArmingError},
        number,
        rows::RowArgs,
        runtime::block_on,
        trace::TraceArgs,
    },
};
use crate::{
    knowledge::incidents::IncidentsError,
    output::metrics::{Config, KEYS},
    rights::needs::Needs,
    serve::{
        address::{self, Address},
        board::{Adjustable, Board, Publisher},
        listen::{self, ListenError, Listener},
        server::Server,
        web::{self, Web, WebError},
    },
    session::{self, Hangup, Options, SessionError, options::TakeCensus, requests::Requests},
    text::duration,
    view::{By, Sort},
};

#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// TOML file of these options: series = 100, cache = ["dentry", "filp"]. What stands on the command line counts more
    ///
    /// Each key is the long name of an option. SIGHUP reads the file again: census-every, incidents, interval, labels,
    /// max-cpu (where there was one at the start) and series change while it runs, other options at the next start. If the file is wrong by then, the old configuration stays.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration, and exit: 0 if it is right, else 2
    #[arg(long)]
    pub check_config: bool,

    /// Address to listen on: 127.0.0.1:9435, [::1]:9435 or unix:/PATH; may be repeated [default: the sockets that systemd passes,
    /// else 127.0.0.1:9435]
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
    pub listen: Vec<Address>,

    /// File with certificates and users, as Prometheus and its exporters take it (docs/serve.md)
    #[arg(long, value_name = "FILE")]
    pub web_config: Option<PathBuf>,

    /// More labels of each series than cache and comm
    #[arg(long, value_enum, value_name = "LABEL", value_delimiter = ',')]
    pub labels: Vec<Label>,

    /// Series of each metric by process, at most; what has none of its own is counted as (other)
    #[arg(long, value_name = "N", default_value = "200", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub series: NonZeroUsize,

    /// Time between two censuses of what the slab holds, and whose it is; 0: only one at the start, if it is much
    ///
    /// A census takes about a second of CPU time at most, and one in 5 minutes on average; with --max-cpu, after the first one a
    /// tenth of that on average. After one that took more the next comes later.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse_or_none, allow_hyphen_values = true)]
    pub census_every: Duration,

    #[command(flatten)]
    pub trace: TraceArgs,

    /// File with additional known incidents for the findings (docs/incidents.md); may be repeated
    #[arg(long, value_name = "FILE")]
    pub incidents: Vec<PathBuf>,

    /// Also record when a condition holds, as memtrace watch does, and when somebody leaks or floods (docs/watch.md)
    #[arg(long)]
    pub arm: bool,

    #[command(flatten)]
    pub arming: ArmingArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Label {
    /// The cgroup's path, and container_id and pod_uid where it is a container's
    Cgroup,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Web(#[from] WebError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Arming(#[from] ArmingError),
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("ends after a rest, to be started again: --max-cpu could not be kept")]
    OverBudget,
}

impl Failure for ServeError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Web(_) => Exit::Usage,
            Self::Incidents(error) => error.exit(),
            Self::Arming(error) => error.exit(),
            Self::Session(error) => error.exit(),
            Self::Write(error) => error.exit(),
            Self::Listen(_) | Self::Thread(_) | Self::OverBudget => Exit::Failed,
        }
    }
}

/// Rows that are looked at, at most; the rest is one row.
const ROWS: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not 0");

pub fn run(line: CommandLine, out: &mut dyn Write) -> Result<(), ServeError> {
    let settings = line.settle()?;
    let options = options(&settings.args)?;
    let web = Web::open(settings.args.web_config.as_deref())?;
    if line.only_checks() {
        return writeln!(out, "the configuration is right").map_err(ServeError::Write);
    }
    serve(line, settings, options, web)
}

fn serve(line: CommandLine, settings: Settings, options: Options, web: Web) -> Result<(), ServeError> {
    // Before anything is attached.
    let listeners = listeners(&settings.args.listen)?;
    let (asker, requests) = Requests::new();
    let board = Arc::new(Board::new(asker.clone(), adjustable(&settings.args, &options)));
    let args = &settings.args;
    let guard = args.arm.then(|| armed::arm(&args.arming, &board)).transpose()?;
    let hangup = if line.config().is_some() { Hangup::IsElsewhere } else { Hangup::Ends };
    let reloading = Reloading { line, settings, asker, board: Arc::clone(&board) };
    let reloader = (hangup == Hangup::IsElsewhere).then(|| Reloader::start(reloading));
    let reloader = reloader.transpose().map_err(ServeError::Thread)?;
    let greeting = greeting(&listeners, &web.current());
    let server = Server::start(listeners, Arc::clone(&board), web).map_err(ServeError::Thread)?;
    // Nowhere to complain if even standard error is closed.
    let _ = writeln!(io::stderr(), "{greeting}");
    let watching = guard.map(Watching::start).transpose().map_err(ServeError::Thread)?;
    let session = session::run_asked(options, Box::new(Publisher::new(board)), requests, hangup);
    let over_budget = block_on(session).map_err(SessionError::Runtime)??;
    let rested = over_budget.map(|why| rest(&why, hangup)).transpose()?;
    drop((watching, server, reloader));
    if rested == Some(Rested::Whole) { Err(ServeError::OverBudget) } else { Ok(()) }
}

fn options(args: &ServeArgs) -> Result<Options, IncidentsError> {
    let options = live::options(args.trace.clone(), rows(&args.labels, args.incidents.clone()))?;
    let census_every = Some(args.census_every).filter(|every| !every.is_zero());
    // What is asked for each few minutes is worth asking at the start.
    let census = if census_every.is_some() { TakeCensus::Always } else { options.census };
    // One that is read again may ask for them later.
    let may_ask = args.config.is_some();
    let needs = options.needs.map(|needs| Needs { looks_at_slabs: may_ask, ..needs });
    // Its recorder needs what a session needs, and its hook may be anything.
    let needs = needs.filter(|_| !args.arm);
    Ok(Options { census, census_every, needs, ..options })
}

/// Where it listens; and what others than this host's users should know.
fn greeting(listeners: &[Listener], web: &web::Config) -> String {
    let urls: Vec<_> = listeners.iter().map(|listener| listener.url(web.tls.is_some())).collect();
    let warnings = [
        (web.tls.is_none(), "what is sent to other hosts is not encrypted"),
        (web.lets_in_everybody(), "whoever can connect can read"),
    ];
    let warnings =
        warnings.into_iter().filter(|(holds, _)| *holds && listeners.iter().any(Listener::is_remote));
    let warnings: Vec<_> = warnings.map(|(_, warning)| warning).collect();
    let warning = match &warnings[..] {
        [] => String::new(),
        warnings => format!("\nwarning: {}; see --web-config", warnings.join(", and ")),
    };
    format!("listening on {}{warning}", urls.join(", "))
}

fn adjustable(args: &ServeArgs, options: &Options) -> Adjustable {
    let config = args.config.as_ref().map(|_| Config { is_good: true, taken: SystemTime::now() });
    Adjustable { interval: options.interval, series: args.series, config }
}

fn listeners(asked: &[Address]) -> Result<Vec<Listener>, ListenError> {
    if !asked.is_empty() {
        return listen::listen(asked);
    }
    let inherited = listen::inherited()?;
    if !inherited.is_empty() {
        return Ok(inherited);
    }
    listen::listen(&address::DEFAULT.parse().into_iter().collect::<Vec<_>>())
}

fn rows(labels: &[Label], incidents: Vec<PathBuf>) -> RowArgs {
    let by_cgroup = labels.contains(&Label::Cgroup).then_some(By::Cgroup);
    RowArgs {
        by: KEYS.into_iter().chain(by_cgroup).collect(),
        top: ROWS,
        sort: Sort::Bytes,
        older: None,
        incidents,
    }
}
