//! `memtrace explain`: what lives in a slab cache, what fills it, whether the memory comes back, and what to do.

mod answer;
mod json;
mod text;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use answer::{Answer, HostState};
use clap::{Args, ValueEnum};
use thiserror::Error;

use super::{
    exit::{Exit, Failure},
    shared::terminal,
};
use crate::{
    knowledge::incidents::{Incidents, IncidentsError},
    procfs::{Files, slab::ResolveError},
};

/// Without a terminal, and at most: longer lines are hard to read.
const WIDTH: usize = 80;

#[derive(Args, Clone, Debug, Default)]
pub struct ExplainArgs {
    /// Name of a slab cache, merged or not, or a glob ('xfs_*'); without it, all entries are listed
    #[arg(value_name = "CACHE")]
    pub cache: Option<String>,

    /// File with additional known incidents (docs/incidents.md); may be repeated
    #[arg(long, value_name = "FILE")]
    pub incidents: Vec<PathBuf>,

    /// Output format: text, or one JSON object
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Error)]
pub enum ExplainError {
    /// The user's mistake, not the host's; so are faulty incidents.
    #[error(transparent)]
    Cache(#[from] ResolveError),
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error("cannot write the explanation: {0}")]
    Write(#[from] io::Error),
}

impl Failure for ExplainError {
    fn exit(&self) -> Exit {
        match self {
            Self::Cache(error) => error.exit(),
            Self::Incidents(error) => error.exit(),
            Self::Write(error) => error.exit(),
        }
    }
}

pub fn run(args: &ExplainArgs, out: &mut impl Write) -> Result<(), ExplainError> {
    let incidents = Incidents::with_files(&args.incidents)?;
    let text = match &args.cache {
        None => listed(&incidents, args.output),
        Some(cache) => explained(cache, &incidents, HostState::read(&Files::live()), args.output)?,
    };
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn listed(incidents: &Incidents, output: Output) -> String {
    match output {
        Output::Text => text::list(incidents, width()),
        Output::Json => json::list(incidents),
    }
}

fn explained(
    cache: &str,
    incidents: &Incidents,
    host: HostState,
    output: Output,
) -> Result<String, ResolveError> {
    let answer = Answer::new(cache, incidents, host)?;
    Ok(match output {
        Output::Text => text::explain(&answer, width()),
        Output::Json => json::explain(&answer),
    })
}

fn width() -> usize {
    terminal::width().unwrap_or(WIDTH).min(WIDTH)
}

#[cfg(test)]
mod tests;
