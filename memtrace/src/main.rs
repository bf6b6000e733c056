//! The command `memtrace`: parses, runs, and turns errors into messages and exit codes.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use memtrace::{
    cli::{self, Cli, Command},
    cmd::{
        bundle, caches, census, check, diff, events,
        exit::{CommandError, Exit},
        explain, live, mark, record, redact, report, run, serve, top, triage, watch,
    },
    kernel::limits,
};

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    limits::survive_file_size_limit();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            if error.exit() != Exit::ReaderGone {
                // Nowhere to complain if even standard error is closed.
                let _ = writeln!(io::stderr(), "memtrace: {error}");
            }
            error.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, CommandError> {
    let mut out = io::stdout();
    match cli.command {
        None => return Ok(live::run(cli.live)?.into()),
        Some(Command::Caches(args)) => caches::run(&args, &mut out)?,
        Some(Command::Census(args)) => census::run(&args, &mut out)?,
        Some(Command::Triage(args)) => return Ok(triage::run(&args, &mut out)?.into()),
        Some(Command::Run(args)) => return Ok(run::run(args)?),
        Some(Command::Record(args)) => return Ok(record::run(args)?),
        Some(Command::Mark(args)) => mark::run(&args)?,
        Some(Command::Bundle(args)) => bundle::run(&args)?,
        Some(Command::Redact(args)) => redact::run(&args)?,
        Some(Command::Report(args)) => return Ok(report::run(&args)?.into()),
        Some(Command::Serve(line)) => serve::run(line, &mut out)?,
        Some(Command::Watch(args)) => watch::run(args)?,
        Some(Command::Top(args)) => return Ok(top::run(args)?.into()),
        Some(Command::Diff(args)) => diff::run(&args)?,
        Some(Command::Events(args)) => events::run(args)?,
        Some(Command::Check(args)) => check::run(&args, &mut out)?,
        Some(Command::Explain(args)) => explain::run(&args, &mut out)?,
        Some(Command::Completions { shell }) => out.write_all(&cli::completions(shell))?,
        Some(Command::Man) => out.write_all(&cli::man()?)?,
    }
    Ok(ExitCode::SUCCESS)
}
