//! `memtrace triage`: memory is high, what is it?

pub mod trace;
pub mod watch;

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use clap::Args;
use thiserror::Error;

use self::watch::{WatchError, Watched, watch};
use super::{
    exit::{Exit, Failure, Found},
    shared::{output::PageFormat, runtime::block_on, terminal},
};
use crate::{
    output::{
        documents::triage::{Length, WIDTH, document, ticket},
        render::{
            self,
            terminal::{Frame, Style},
        },
        triage,
    },
    text::duration,
    triage::page::{About, Page},
};

/// In less time, growth cannot be told from noise.
const MIN: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug)]
pub struct TriageArgs {
    /// Watch for this long (30s, 5m); a longer time finds slower growth. Ctrl-C stops earlier
    #[arg(short, long, value_name = "TIME", default_value = "30s", value_parser = window, allow_hyphen_values = true)]
    pub duration: Duration,

    /// Output format: text, one JSON object, or Markdown for a ticket
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: PageFormat,

    /// Show processes, cgroups, slab caches, the trace, and steps to do by hand too; the other formats always have them
    #[arg(long)]
    pub details: bool,
}

#[derive(Debug, Error)]
pub enum TriageError {
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot write the page: {0}")]
    Write(#[source] io::Error),
}

impl Failure for TriageError {
    fn exit(&self) -> Exit {
        match self {
            Self::Watch(error) => error.exit(),
            Self::Runtime(_) => Exit::Failed,
            Self::Write(error) => error.exit(),
        }
    }
}

pub fn run(args: &TriageArgs, out: &mut impl Write) -> Result<Found, TriageError> {
    let Watched { window, tracing, already } =
        block_on(watch(args.duration)).map_err(TriageError::Runtime)??;
    let page = Page::new(about(), &window, tracing, already);
    let text = match args.output {
        PageFormat::Table => {
            let frame = Frame::wide(terminal::width().unwrap_or(WIDTH));
            let length = if args.details { Length::Details } else { Length::Page };
            render::terminal::text(&document(&page, length), frame, Style::Plain)
        }
        PageFormat::Json => triage::json::line(&page).map_err(TriageError::Write)?,
        PageFormat::Markdown => render::markdown::text(&ticket(&page)),
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(TriageError::Write)?;
    Ok(if page.suspect().is_none() { Found::Nothing } else { Found::Suspect })
}

pub(super) fn about() -> About {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    About { host: text(uname.nodename()), kernel: text(uname.release()), time: SystemTime::now() }
}

fn window(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text).map_err(|error| error.to_string())?;
    if time < MIN { Err("the minimum is 1s: growth in less time is noise".to_owned()) } else { Ok(time) }
}
