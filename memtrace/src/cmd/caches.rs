//! `memtrace caches`: which slab caches there are, how big they are, and how fast they grow.

mod json;
mod report;
mod table;

use std::{
    io::{self, IsTerminal, Write},
    num::NonZeroUsize,
    time::{Duration, Instant, SystemTime},
};

use clap::{Args, ValueEnum};
use report::{Report, Request};
use thiserror::Error;

use super::number;
use crate::{
    procfs::slab::{Host, MissingSource, ResolveError, SlabError, SlabinfoError},
    text::duration,
};

/// How far apart the two readings are when growth is asked for and `--interval` is not given.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug, Default)]
pub struct CachesArgs {
    /// Only the caches with this in their name, or in that of a cache merged into them; may be a glob ('kmalloc-*')
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,

    /// Read twice, so far apart, and show how fast the caches grow (500ms, 10s, 5m)
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse, allow_hyphen_values = true)]
    pub interval: Option<Duration>,

    /// What to order by, biggest first; growth implies an interval of 1s
    #[arg(short, long, value_enum, value_name = "KEY", default_value_t)]
    pub sort: Sort,

    /// Show only the first N caches; the totals still count all
    #[arg(short, long, value_name = "N", value_parser = number::at_least_one::<NonZeroUsize>, allow_hyphen_values = true)]
    pub top: Option<NonZeroUsize>,

    /// Show which caches are merged into each
    #[arg(long)]
    pub aliases: bool,

    /// As a table, or as one JSON object with exact numbers
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Memory of all the cache's slabs
    #[default]
    Bytes,
    /// Objects in use
    Objects,
    /// Growth in bytes per second, then in objects
    Growth,
    /// Memory of one object
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
    #[error("the caches' growth cannot be measured: {0}")]
    Growth(SlabinfoError),
    /// The user's mistake, not the host's.
    #[error(transparent)]
    Pattern(#[from] ResolveError),
    #[error("the list cannot be written: {0}")]
    Write(#[from] io::Error),
}

pub fn run(args: &CachesArgs, out: &mut impl Write) -> Result<(), CachesError> {
    let report = gather(args, &Host::live())?;
    match args.output {
        Output::Json => json::write(&report, out)?,
        Output::Table => out.write_all(table::render(&report, args.aliases, window_width()).as_bytes())?,
    }
    Ok(out.flush()?)
}

/// None where the output is not a terminal: then nothing is cut.
fn window_width() -> Option<usize> {
    let (columns, _) = io::stdout().is_terminal().then(crossterm::terminal::size)?.ok()?;
    (columns > 0).then_some(usize::from(columns))
}

fn gather(args: &CachesArgs, host: &Host) -> Result<Report, CachesError> {
    let interval = args.interval.or((args.sort == Sort::Growth).then_some(DEFAULT_INTERVAL));
    let mut caches = host.caches()?;
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
        meminfo: host.meminfo().ok(),
        earlier: None,
    };
    // A pattern that matches nothing is said at once, not after the interval.
    report::check_pattern(&request, &caches)?;
    if let Some(interval) = interval {
        let earlier: Vec<_> = caches.caches.iter().map(|cache| cache.counts).collect();
        let start = Instant::now();
        std::thread::sleep(interval);
        caches.update(&host.slabinfo().map_err(CachesError::Growth)?);
        request.earlier = Some((start.elapsed(), earlier));
        request.time = SystemTime::now();
        request.meminfo = host.meminfo().ok();
    }
    Ok(Report::new(request, caches)?)
}

#[cfg(test)]
mod tests;
