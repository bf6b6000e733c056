//! Why something is unavailable: one line for the user, from an error of the kernel or of aya.

use std::error::Error;

use aya::programs::ProgramError;

pub type Reason = String;

/// Something is missing for this reason: a bug in memtrace.
pub const OUR_BUG: &str = "the kernel's verifier rejects memtrace's own program; please report this";

pub const ON_REQUEST: &str = "disabled on request";

/// The innermost cause of an error, on one line: the outer ones only say which call it was.
pub fn root_cause(error: &dyn Error) -> Reason {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    let line = text.lines().next().unwrap_or_default();
    // The standard library appends the number of an errno to its message.
    line.split(" (os error ").next().unwrap_or_default().trim().to_owned()
}

/// Why a program cannot be used. Where the verifier says why, our program is at fault; else the host refuses it.
pub fn unusable(error: &ProgramError) -> Reason {
    match error {
        ProgramError::LoadError { verifier_log, .. }
            if verifier_message(&verifier_log.to_string()).is_some() =>
        {
            format!("{OUR_BUG}: {}", refusal(error))
        }
        _ => root_cause(error),
    }
}

/// Why the kernel did not load a program: the verifier's last message before its statistics, or else the errno.
pub fn refusal(error: &ProgramError) -> Reason {
    let ProgramError::LoadError { io_error, verifier_log } = error else { return root_cause(error) };
    let log = verifier_log.to_string();
    match verifier_message(&log) {
        Some(message) => format!("{message} ({})", root_cause(io_error)),
        None => root_cause(io_error),
    }
}

fn verifier_message(verifier_log: &str) -> Option<&str> {
    let is_count = |line: &str| {
        ["processed ", "verification time ", "stack depth ", "subprog "]
            .iter()
            .any(|count| line.starts_with(count))
    };
    verifier_log.lines().map(str::trim).rfind(|line| !line.is_empty() && !is_count(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_before_the_statistics() {
        let log =
            "0: (b7) r3 = 16\nR2 unbounded memory access\nverification time 8 usec\nprocessed 1 insns\n\n";
        assert_eq!(verifier_message(log), Some("R2 unbounded memory access"));
        assert_eq!(verifier_message("processed 1 insns"), None);
        assert_eq!(verifier_message(""), None);
    }

    #[test]
    fn a_reason_is_the_innermost_without_its_number() {
        let inner = std::io::Error::from_raw_os_error(1);
        let outer = std::io::Error::other(inner);
        assert_eq!(root_cause(&outer), "Operation not permitted");
    }
}
