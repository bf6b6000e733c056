//! `memtrace census`: what the slab holds now, and whose it is, without having traced.

use std::{
    io::{self, IsTerminal as _, Write},
    num::NonZeroUsize,
    time::Duration,
};

use clap::Args;
use thiserror::Error;

use super::{
    exit::{Exit, Failure},
    shared::{number, output::PageFormat, runtime::block_on, status::StatusLine, terminal::WidthArgs},
};
use crate::{
    output::{
        documents::census::document,
        json,
        render::{self, terminal::Style},
    },
    session::{
        Signals,
        census::{CensusError, CensusOptions, Taking},
    },
    view::{Census, census::By},
};

/// Of a CPU: as long as a person waits who asked for nothing more exact than usual.
const TIME: Duration = Duration::from_secs(1);
/// Who asks for more waits longer.
const LONG: Duration = Duration::from_secs(10);
const USUAL_ERROR: f64 = 0.02;

#[derive(Args, Clone, Debug)]
pub struct CensusArgs {
    /// Slab caches to look at: names as in `memtrace caches`, globs ('kmalloc-*') or all; may be repeated
    #[arg(short, long = "cache", value_name = "NAME|GLOB", value_delimiter = ',', default_value = "all")]
    pub caches: Vec<String>,

    /// All but these slab caches: names or globs; may be repeated
    #[arg(long = "exclude-cache", value_name = "NAME", value_delimiter = ',')]
    pub excluded_caches: Vec<String>,

    /// What each row stands for; keys can be combined with commas: cgroup,uid
    #[arg(long, value_enum, value_name = "KEY", value_delimiter = ',', default_value = "cache,cgroup,place")]
    pub by: Vec<By>,

    /// How exact: half the width of the 95% interval of what is half of the slab. A census that is to be more exact than 2% may
    /// take 10 seconds instead of one
    #[arg(long, value_name = "PERCENT", default_value = "2%", value_parser = error, allow_hyphen_values = true)]
    pub error: f64,

    /// Draw the same pages as an earlier census [default: others each time]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = seed)]
    pub seed: Option<u64>,

    /// Show the first N rows of each cache; the rest are summed up
    #[arg(short, long, value_name = "N", default_value = "5", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub top: NonZeroUsize,

    /// Output format: text, one JSON object with all rows, or Markdown for a ticket
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: PageFormat,

    #[command(flatten)]
    pub width: WidthArgs,
}

#[derive(Debug, Error)]
pub enum CensusCommandError {
    #[error(transparent)]
    Census(#[from] CensusError),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot write the census: {0}")]
    Write(#[from] io::Error),
}

impl Failure for CensusCommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Census(CensusError::Resolve(error)) => error.exit(),
            Self::Census(_) | Self::Signals(_) | Self::Runtime(_) => Exit::Failed,
            Self::Write(error) => error.exit(),
        }
    }
}

pub fn run(args: &CensusArgs, out: &mut impl Write) -> Result<(), CensusCommandError> {
    let census = block_on(take(options(args))).map_err(CensusCommandError::Runtime)??;
    let text = match args.output {
        PageFormat::Json => json::census::line(&census)?,
        PageFormat::Table => {
            let frame = args.width.frame(io::stdout().is_terminal());
            render::terminal::text(&document(&census, args.top.get()), frame, Style::Plain)
        }
        PageFormat::Markdown => render::markdown::text(&document(&census, args.top.get())),
    };
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn options(args: &CensusArgs) -> CensusOptions {
    let mut by: Vec<By> = Vec::new();
    for key in &args.by {
        if !by.contains(key) {
            by.push(*key);
        }
    }
    let defaults = CensusOptions::default();
    CensusOptions {
        caches: args.caches.clone(),
        excluded_caches: args.excluded_caches.clone(),
        by,
        error: args.error,
        seed: args.seed.unwrap_or(defaults.seed),
        cpu_time: if args.error < USUAL_ERROR { LONG } else { TIME },
        ..defaults
    }
}

/// Ctrl-C ends it early: what was seen so far is shown.
async fn take(options: CensusOptions) -> Result<Census, CensusCommandError> {
    let mut signals = Signals::new().map_err(CensusCommandError::Signals)?;
    let mut line = StatusLine::stderr();
    line.show("looking at pages of memory (Ctrl-C shows what was seen so far)");
    let mut taking = Taking::start(options);
    tokio::select! {
        taken = taking.result() => return Ok(taken?),
        () = signals.end() => taking.end(),
    }
    Ok(taking.result().await?)
}

/// Half the width of an interval, in percent of the whole.
fn error(text: &str) -> Result<f64, &'static str> {
    let percent = number::percent(text).ok().filter(|percent| (0.01..=50.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or("not a percentage from 0.01% to 50%")
}

fn seed(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "not a whole number of 0 or more")
}
