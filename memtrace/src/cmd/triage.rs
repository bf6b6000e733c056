//! `memtrace triage`: memory is high, what is it?

pub mod trace;
pub mod watch;

use std::{
    io::{self, IsTerminal as _, Write},
    time::{Duration, SystemTime},
};

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::{
    cmd::triage::watch::{WatchError, watch},
    output::triage,
    text::duration,
    triage::page::{About, Page},
};

/// In less, nothing that grows can be told from noise.
const MIN: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug)]
pub struct TriageArgs {
    /// Watch for this long (30s, 5m): the longer, the slower the growth that is found. Ctrl-C ends it sooner
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = window, allow_hyphen_values = true)]
    pub duration: Duration,

    /// As text for a terminal, as one JSON object, or as Markdown for an incident's ticket
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Table,
    Json,
    Markdown,
}

#[derive(Debug, Error)]
pub enum TriageError {
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] io::Error),
    #[error("the page cannot be written: {0}")]
    Write(#[source] io::Error),
}

/// Whether something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the exit code tells"]
pub enum Found {
    Nothing,
    Suspect,
}

pub fn run(args: &TriageArgs, out: &mut impl Write) -> Result<Found, TriageError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (window, tracing) = runtime.map_err(TriageError::Runtime)?.block_on(watch(args.duration))?;
    let page = Page::new(about(), &window, tracing);
    let text = match args.output {
        Output::Table => triage::text(&page, window_width()),
        Output::Json => triage::json::line(&page).map_err(TriageError::Write)?,
        Output::Markdown => triage::markdown(&page),
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(TriageError::Write)?;
    Ok(if page.findings.is_empty() { Found::Nothing } else { Found::Suspect })
}

pub(super) fn about() -> About {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    About { host: text(uname.nodename()), kernel: text(uname.release()), time: SystemTime::now() }
}

/// None where the output is not a terminal.
fn window_width() -> Option<usize> {
    let (columns, _) = io::stdout().is_terminal().then(crossterm::terminal::size)?.ok()?;
    (columns > 0).then_some(usize::from(columns))
}

fn window(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text).map_err(|error| error.to_string())?;
    if time < MIN { Err("nothing can be told of less than 1s".to_owned()) } else { Ok(time) }
}
