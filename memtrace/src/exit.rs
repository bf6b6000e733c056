//! Exit codes: 0 done, 1 failed, 2 asked for something that cannot be, 3 triage found something.

use std::{io, process::ExitCode};

use crate::{
    cmd::{
        bundle::BundleError, caches::CachesError, explain::ExplainError, live::LiveError, mark::MarkError,
        record::RecordError, triage::Found,
    },
    session::{SessionError, SetupError},
};

const FAILED: u8 = 1;
/// As clap exits on a usage error.
const USAGE: u8 = 2;
const FOUND: u8 = 3;

pub fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(if is_usage(error) { USAGE } else { FAILED })
}

pub fn of_triage(found: Found) -> ExitCode {
    match found {
        Found::Nothing => ExitCode::SUCCESS,
        Found::Suspect => ExitCode::from(FOUND),
    }
}

/// The reader of our output has gone, as `head` does: no error.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut io_errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    io_errors.any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn is_usage(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(LiveError::Incidents(_) | LiveError::Session(SessionError::Setup(SetupError::Resolve(_))))
    ) || matches!(error.downcast_ref(), Some(CachesError::Pattern(_)))
        || matches!(
            error.downcast_ref(),
            Some(
                RecordError::Incidents(_) | RecordError::Session(SessionError::Setup(SetupError::Resolve(_)))
            )
        )
        || matches!(
            error.downcast_ref(),
            Some(
                BundleError::Incidents(_) | BundleError::Session(SessionError::Setup(SetupError::Resolve(_)))
            )
        )
        || matches!(error.downcast_ref(), Some(MarkError::Several(_)))
        || matches!(error.downcast_ref(), Some(ExplainError::Cache(_) | ExplainError::Incidents(_)))
}
