//! Exit codes: 0 done, 1 failed, 2 asked for something that cannot be, 3 triage found something.
//!
//! Of recordings, 2 is: no recording, or one of a newer version; no such window or mark; a bad pattern; a file that is there
//! already, without --force. 1 is: it cannot be read or written, or is so damaged that nothing of it can be told.

use std::{io, process::ExitCode};

use crate::{
    cmd::{
        bundle::BundleError, caches::CachesError, diff::DiffError, events::EventsError,
        explain::ExplainError, live::LiveError, mark::MarkError, record::RecordError, report::ReportError,
        triage::Found,
    },
    evidence::recording::{ReadError, file::OpenError, header::HeaderError},
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
    fn any<E: std::error::Error + Send + Sync + 'static>(error: &anyhow::Error, is: fn(&E) -> bool) -> bool {
        error.downcast_ref().is_some_and(is)
    }
    any(error, |error| match error {
        LiveError::Incidents(_) => true,
        LiveError::Session(error) => cannot_be_traced(error),
    }) || any(error, |error| matches!(error, CachesError::Pattern(_)))
        || any(error, |error| matches!(error, ExplainError::Cache(_) | ExplainError::Incidents(_)))
        || any(error, |error| matches!(error, MarkError::Several(_)))
        || any(error, cannot_be_recorded)
        || any(error, cannot_be_reported)
        || any(error, cannot_be_listed)
        || any(error, cannot_be_bundled)
        || any(error, |error| match error {
            DiffError::Report(error) => cannot_be_reported(error),
            DiffError::Keys(_) => true,
        })
}

fn cannot_be_traced(error: &SessionError) -> bool {
    matches!(error, SessionError::Setup(SetupError::Resolve(_)))
}

fn cannot_be_listed(error: &EventsError) -> bool {
    match error {
        EventsError::Filter(_) | EventsError::Terminal => true,
        EventsError::Read(error) => cannot_be_read(error),
        EventsError::Session(error) => cannot_be_traced(error),
        EventsError::Stream(_) | EventsError::Create { .. } => false,
    }
}

fn cannot_be_bundled(error: &BundleError) -> bool {
    match error {
        BundleError::Incidents(_) | BundleError::Filter(_) | BundleError::Window(_) => true,
        BundleError::Session(error) => cannot_be_traced(error),
        BundleError::Read(error) => cannot_be_read(error),
        _ => false,
    }
}

fn cannot_be_recorded(error: &RecordError) -> bool {
    match error {
        RecordError::Open(OpenError::Open { .. }) => false,
        RecordError::Session(error) => cannot_be_traced(error),
        _ => true,
    }
}

fn cannot_be_reported(error: &ReportError) -> bool {
    match error {
        ReportError::Read(error) => cannot_be_read(error),
        ReportError::Create { .. } | ReportError::Write(_) => false,
        _ => true,
    }
}

fn cannot_be_read(error: &ReadError) -> bool {
    match error {
        ReadError::Header { source, .. } => !matches!(source, HeaderError::Damaged(_)),
        ReadError::NoFile(_) => true,
        ReadError::Open { .. } | ReadError::NoBlocks(_) => false,
    }
}
