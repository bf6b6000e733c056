//! `memtrace caches`: which slab caches there are, how big they are, and how fast they grow.

mod json;
mod report;
mod table;

use std::{
    io::{self, IsTerminal as _, Write},
    num::NonZeroUsize,
    time::{Duration, Instant, SystemTime},
};

use clap::{Args, ValueEnum};
use report::{Report, Request};
use thiserror::Error;

use super::{
    exit::{Exit, Failure},
    shared::{number, terminal::WidthArgs},
};
use crate::{
    output::render::terminal::Frame,
    procfs::{
        Files,
        slab::{MissingSource, ResolveError, SlabError, SlabinfoError},
    },
    text::duration,
};

/// How far apart the two readings are when growth is asked for and `--interval` is not given.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Columns of what is not very wide anyway.
const PLAIN_WIDTH: usize = 80;

#[derive(Args, Clone, Debug, Default)]
pub struct CachesArgs {
    /// Only caches whose name, or that of a cache merged into them, contains this or matches this glob ('kmalloc-*')
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,

    /// Measure growth over this time (500ms, 10s, 5m)
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    pub interval: Option<Duration>,

    /// Sort key, largest first; growth implies --interval 1s
    #[arg(short, long, value_enum, value_name = "KEY", default_value_t)]
    pub sort: Sort,

    /// Show only the first N caches; totals still count all
    #[arg(short, long, value_name = "N", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub top: Option<NonZeroUsize>,

    /// List the caches merged into each
    #[arg(long)]
    pub aliases: bool,

    /// Output format: table, or one JSON object with exact numbers
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Output,

    #[command(flatten)]
    pub width: WidthArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Memory of the cache's slabs
    #[default]
    Bytes,
    /// Objects in use
    Objects,
    /// Bytes per second, then objects
    Growth,
    /// Size of an object
    Size,
    /// A to Z
    Name,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Error)]
pub enum CachesError {
    #[error(transparent)]
    Slab(#[from] SlabError),
    /// Without it there is nothing to list but names.
    #[error(transparent)]
    Slabinfo(SlabinfoError),
    #[error("cannot measure growth: {0}")]
    Growth(SlabinfoError),
    /// The user's mistake, not the host's.
    #[error(transparent)]
    Pattern(#[from] ResolveError),
    #[error("cannot write the list: {0}")]
    Write(#[from] io::Error),
}

impl Failure for CachesError {
    fn exit(&self) -> Exit {
        match self {
            Self::Pattern(error) => error.exit(),
            Self::Write(error) => error.exit(),
            Self::Slab(_) | Self::Slabinfo(_) | Self::Growth(_) => Exit::Failed,
        }
    }
}

pub fn run(args: &CachesArgs, out: &mut impl Write) -> Result<(), CachesError> {
    let report = gather(args, &Files::live())?;
    match args.output {
        Output::Json => json::write(&report, out)?,
        Output::Table => out.write_all(table::render(&report, args.aliases, frame(args)).as_bytes())?,
    }
    Ok(out.flush()?)
}

/// A plain list into a pipe is to stand in a window afterwards.
fn frame(args: &CachesArgs) -> Frame {
    let is_terminal = io::stdout().is_terminal();
    let is_plain = args.interval.is_none() && args.sort != Sort::Growth && !args.aliases;
    match args.width.frame(is_terminal) {
        _ if is_plain && args.width.width.is_none() && !is_terminal => Frame::wide(PLAIN_WIDTH),
        frame => frame,
    }
}

fn gather(args: &CachesArgs, files: &Files) -> Result<Report, CachesError> {
    let interval = args.interval.or((args.sort == Sort::Growth).then_some(DEFAULT_INTERVAL));
    let mut caches = files.slab_caches()?;
    files.read_object_sizes(&mut caches);
    match caches.missing.take() {
        Some(MissingSource::Slabinfo(error)) if interval.is_some() => return Err(CachesError::Growth(error)),
        Some(MissingSource::Slabinfo(error @ SlabinfoError::NotPermitted { .. })) => {
            return Err(CachesError::Slabinfo(error));
        }
        missing => caches.missing = missing,
    }
    let mut request = Request {
        pattern: args.pattern.clone(),
        sort: args.sort,
        top: args.top,
        page_size: rustix::param::page_size() as u64,
        time: SystemTime::now(),
        meminfo: files.slab_memory(),
        earlier: None,
    };
    // Before the interval: the user need not wait for this error.
    report::check_pattern(&request, &caches)?;
    if let Some(interval) = interval {
        let earlier: Vec<_> = caches.caches.iter().map(|cache| cache.counts).collect();
        let start = Instant::now();
        std::thread::sleep(interval);
        caches.update(&files.slabinfo().map_err(CachesError::Growth)?);
        request.earlier = Some((start.elapsed(), earlier));
        request.time = SystemTime::now();
        request.meminfo = files.slab_memory();
    }
    Ok(Report::new(request, caches)?)
}

#[cfg(test)]
mod tests;
