//! `memtrace serve`: a session that answers over HTTP.

use std::{
    io::{self, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Failure},
    live,
    shared::{number, rows::RowArgs, runtime::block_on, trace::TraceArgs},
};
use crate::{
    knowledge::incidents::IncidentsError,
    output::metrics::{KEYS, Places},
    serve::{
        address::{self, Address},
        board::{Board, Publisher},
        listen::{self, ListenError, Listener},
        server::Server,
    },
    session::{self, SessionError, requests::Requests},
    view::{By, Sort},
};

#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address to listen on: 127.0.0.1:9435, [::1]:9435 or unix:/PATH; may be repeated [default: the sockets that systemd passes,
    /// else 127.0.0.1:9435]
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
    pub listen: Vec<Address>,

    /// More labels of each series than cache and comm
    #[arg(long, value_enum, value_name = "LABEL", value_delimiter = ',')]
    pub labels: Vec<Label>,

    /// Series of each metric by process, at most; what has none of its own is counted as (other)
    #[arg(long, value_name = "N", default_value = "200", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub series: NonZeroUsize,

    #[command(flatten)]
    pub trace: TraceArgs,

    /// File with additional known incidents for the findings (docs/incidents.md); may be repeated
    #[arg(long, value_name = "FILE")]
    pub incidents: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Label {
    /// The cgroup's path, and container_id and pod_uid where it is a container's
    Cgroup,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error("cannot start the thread that answers: {0}")]
    Thread(#[source] io::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Failure for ServeError {
    fn exit(&self) -> Exit {
        match self {
            Self::Incidents(error) => error.exit(),
            Self::Session(error) => error.exit(),
            Self::Listen(_) | Self::Thread(_) => Exit::Failed,
        }
    }
}

/// Rows that are looked at, at most; the rest is one row.
const ROWS: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not 0");

pub fn run(args: ServeArgs) -> Result<(), ServeError> {
    // Before anything is attached.
    let listeners = listeners(&args.listen)?;
    let interval = args.trace.interval;
    let options = live::options(args.trace, rows(&args.labels, args.incidents))?;
    let (asker, requests) = Requests::new();
    let board = Arc::new(Board::new(asker, interval));
    let urls: Vec<_> = listeners.iter().map(Listener::url).collect();
    let server = Server::start(listeners, Arc::clone(&board)).map_err(ServeError::Thread)?;
    // Nowhere to complain if even standard error is closed.
    let _ = writeln!(io::stderr(), "listening on {}", urls.join(", "));
    let publisher = Publisher::new(board, Places::new(args.series.get()));
    block_on(session::run_asked(options, Box::new(publisher), requests)).map_err(SessionError::Runtime)??;
    drop(server);
    Ok(())
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
