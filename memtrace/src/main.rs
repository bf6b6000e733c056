//! The command `memtrace`: parses, runs, and turns errors into messages and exit codes.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use memtrace::{
    cli::{self, Cli, Command},
    cmd::{bundle, caches, check, diff, events, explain, live, mark, record, redact, report, triage},
    exit,
};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere to complain if even standard error is closed.
            let _ = writeln!(io::stderr(), "memtrace: {error}");
            exit::code(&error)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    match cli.command {
        None => live::run(cli.live)?,
        Some(Command::Caches(args)) => caches::run(&args, &mut out)?,
        Some(Command::Triage(args)) => return Ok(exit::of_triage(triage::run(&args, &mut out)?)),
        Some(Command::Record(args)) => record::run(args)?,
        Some(Command::Mark(args)) => mark::run(&args)?,
        Some(Command::Bundle(args)) => bundle::run(&args)?,
        Some(Command::Redact(args)) => redact::run(&args)?,
        Some(Command::Report(args)) => report::run(&args)?,
        Some(Command::Diff(args)) => diff::run(&args)?,
        Some(Command::Events(args)) => events::run(args)?,
        Some(Command::Check(args)) => check::run(&args, &mut out)?,
        Some(Command::Explain(args)) => explain::run(&args, &mut out)?,
        Some(Command::Completions { shell }) => out.write_all(&cli::completions(shell))?,
        Some(Command::Man) => out.write_all(&cli::man()?)?,
    }
    Ok(ExitCode::SUCCESS)
}
